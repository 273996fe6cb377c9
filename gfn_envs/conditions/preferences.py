"""Weights of several objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray
from gfn_envs.conditions.conditions import ConditionArray
from gfn_envs.conditions.objectives import DEFAULT_FLOOR, OfObjectives
from gfn_envs.validation import one_of, positive

SCALARIZATIONS = ("sum", "product", "tchebycheff")


class Preferences(OfObjectives):
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
        ValueError: fewer than two objectives, or an unknown one.
    """

    rule = "they add up to 1"

    def __init__(
        self,
        *objectives: Any,
        scalarize: str = "sum",
        exponent: float = 1.0,
        alpha: float = 1.0,
        floor: float = DEFAULT_FLOOR,
        values: npt.ArrayLike | None = None,
        **kwargs: Any,
    ):
        self.scalarize = one_of("scalarize", scalarize, SCALARIZATIONS, "Preferences")
        self.exponent, self.alpha = (
            positive("exponent", exponent, "Preferences"),
            positive("alpha", alpha, "Preferences"),
        )
        options = {"scalarize": (scalarize, "sum"), "exponent": (exponent, 1.0), "alpha": (alpha, 1.0)}
        super().__init__(objectives, floor, options, "preferences", values=values, **kwargs)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        return rng.dirichlet(np.full(len(self.names), self.alpha), size=n)

    def is_allowed(self, conditions: ConditionArray) -> npt.NDArray[np.bool_]:
        return np.abs(conditions.sum(1) - 1) < 1e-3

    @property
    def center(self) -> float:  # type: ignore[override]
        """Equal weights."""
        return 1 / len(self.names)

    def scalarized(self, scores: FloatArray, conditions: ConditionArray) -> FloatArray:
        weights = conditions.astype(np.float64)
        if self.scalarize == "product":
            return self.exponent * (weights * np.log(scores)).sum(-1)
        if self.scalarize == "sum":
            return self.exponent * np.log((weights * scores).sum(-1))
        # At least the smallest objective, hence > 0.
        return self.exponent * np.log(1 - (weights * (1 - scores)).max(-1))
