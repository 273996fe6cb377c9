"""Goal directions in the space of several objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions
from gfn_envs.conditions.objectives import Objectives, Scorer, names_of, objectives_of
from gfn_envs.dag import Dag
from gfn_envs.validation import positive


class Focus(Conditions):
    """A goal direction d, of norm 1 with entries >= 0, in the space of m objectives r.

    R(x|d) = (mean_i r_i)^exponent alpha, where alpha = 1 if the cosine between r and d is at least ``limit``, and
    cosine^(log(edge) / log(limit)) otherwise, so that it is ``edge`` just outside of the focus region.

    Args:
        *objectives: as for :class:`Preferences`.
        limit: smallest cosine within the focus region, in (0, 1).
        edge: alpha at the border of the region, in (0, 1).
        exponent: power of the mean, > 0.
        floor: objectives below this number count as this number, > 0.
        **kwargs: ``values``, ``features``, ``bins`` (:class:`Conditions`).

    References:
        Roy et al. 2023, Goal-conditioned GFlowNets for Controllable Multi-Objective Molecular Design.

    Raises:
        ValueError: fewer than two objectives, one that the environment does not have, or a number out of its range.
    """

    rule = "their squares add up to 1"

    def __init__(
        self,
        *objectives: Any,
        limit: float = 0.98,
        edge: float = 0.2,
        exponent: float = 1.0,
        floor: float = 1e-4,
        **kwargs: Any,
    ):
        self.objectives: Objectives = objectives_of(objectives)
        for name, value in (("limit", limit), ("edge", edge)):
            if not 0 < value < 1:
                raise ValueError(f"Focus: {name} must lie in (0, 1), got {value}")
        self.limit, self.edge = float(limit), float(edge)
        self.exponent, self.floor = positive("exponent", exponent, "Focus"), positive("floor", floor, "Focus")
        names = names_of(self.objectives, "Focus")
        options = {"limit": (limit, 0.98), "edge": (edge, 0.2), "exponent": (exponent, 1.0)}
        given = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
        plain = not isinstance(self.objectives, Mapping) and "values" not in kwargs
        super().__init__(names, 0.0, 1.0, text=f"focus:{','.join([*names, *given])}" if plain else None, **kwargs)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Uniform on the positive part of the sphere."""
        directions = np.abs(rng.standard_normal((n, len(self.names))))
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def is_allowed(self, conditions: ConditionArray) -> npt.NDArray[np.bool_]:
        return np.abs(np.square(conditions).sum(1) - 1) < 1e-3

    def bind(self, dag: Dag) -> Conditions:
        bound = super().bind(dag)
        bound.scorer = Scorer(dag, self.objectives, self.floor)  # type: ignore[attr-defined]
        return bound

    @property
    def default(self) -> ConditionArray:
        """The diagonal, or the first of the values."""
        m = len(self.names)
        return self.values[0] if self.values is not None else np.full(m, m**-0.5, dtype=np.float32)

    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        scores = self.scorer(states)  # type: ignore[attr-defined]
        cosine = (scores * conditions).sum(1) / np.linalg.norm(scores, axis=1)
        log_alpha = np.where(cosine >= self.limit, 0.0, np.log(cosine) * np.log(self.edge) / np.log(self.limit))
        return self.exponent * np.log(scores.mean(1)) + log_alpha
