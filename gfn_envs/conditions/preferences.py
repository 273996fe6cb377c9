"""Weights of several objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions
from gfn_envs.conditions.objectives import Objectives, Scorer, names_of, objectives_of
from gfn_envs.dag import Dag
from gfn_envs.validation import one_of, positive

SCALARIZATIONS = ("sum", "product", "tchebycheff")


class Preferences(Conditions):
    """Weights w on the simplex over m objectives r, and one reward R(x|w) from both.

    | scalarize | R(x|w) |
    |---|---|
    | sum | (sum_i w_i r_i)^exponent |
    | product | (prod_i r_i^w_i)^exponent |
    | tchebycheff | (1 - max_i w_i (1 - r_i))^exponent |

    Args:
        *objectives: names of components of the environment's reward (:meth:`gfn_envs.Dag.reward_components`), in
            [0, 1]; or one mapping of functions of terminal states by name.
        scalarize: see the table.
        exponent: power of the reward, > 0.
        alpha: concentration of the Dirichlet distribution that weights are drawn from, > 0.
        floor: objectives below this number count as this number, > 0.
        values: the only weights, (k, m), instead of the whole simplex.
        **kwargs: ``features``, ``bins`` (:class:`Conditions`).

    References:
        Jain et al. 2023, Multi-Objective GFlowNets (section 3.1).

    Raises:
        ValueError: fewer than two objectives, or one that the environment does not have.
    """

    rule = "they add up to 1"

    def __init__(
        self,
        *objectives: Any,
        scalarize: str = "sum",
        exponent: float = 1.0,
        alpha: float = 1.0,
        floor: float = 1e-4,
        values: npt.ArrayLike | None = None,
        **kwargs: Any,
    ):
        self.objectives: Objectives = objectives_of(objectives)
        self.scalarize = one_of("scalarize", scalarize, SCALARIZATIONS, "Preferences")
        self.exponent, self.alpha = (
            positive("exponent", exponent, "Preferences"),
            positive("alpha", alpha, "Preferences"),
        )
        self.floor = positive("floor", floor, "Preferences")
        names = names_of(self.objectives, "Preferences")
        options = {"scalarize": (scalarize, "sum"), "exponent": (exponent, 1.0), "alpha": (alpha, 1.0)}
        given = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
        plain = not isinstance(self.objectives, Mapping) and values is None
        text = f"preferences:{','.join([*names, *given])}" if plain else None
        super().__init__(names, 0.0, 1.0, values=values, text=text, **kwargs)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        return rng.dirichlet(np.full(len(self.names), self.alpha), size=n)

    def is_allowed(self, conditions: ConditionArray) -> npt.NDArray[np.bool_]:
        return np.abs(conditions.sum(1) - 1) < 1e-3

    def bind(self, dag: Dag) -> Conditions:
        bound = super().bind(dag)
        bound.scorer = Scorer(dag, self.objectives, self.floor)  # type: ignore[attr-defined]
        return bound

    @property
    def default(self) -> ConditionArray:
        """Equal weights, or the first of the values."""
        m = len(self.names)
        return self.values[0] if self.values is not None else np.full(m, 1 / m, dtype=np.float32)

    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        return self.exponent * scalarized(self.scorer(states), conditions, self.scalarize)  # type: ignore[attr-defined]


def scalarized(scores: FloatArray, weights: ConditionArray, how: str) -> FloatArray:
    """log of the scalarization of objectives (n, m) > 0 with weights (n, m), float64 (n,)."""
    weights = weights.astype(np.float64)
    if how == "product":
        return (weights * np.log(scores)).sum(1)
    if how == "sum":
        return np.log((weights * scores).sum(1))
    return np.log(1 - (weights * (1 - scores)).max(1))  # At least the smallest objective, so above 0.
