"""Goal directions in the space of several objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray
from gfn_envs.conditions.conditions import ConditionArray
from gfn_envs.conditions.objectives import DEFAULT_FLOOR, OfObjectives
from gfn_envs.validation import positive


class Focus(OfObjectives):
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
        ValueError: fewer than two objectives, an unknown objective, or a number out of its range.
    """

    rule = "their squares add up to 1"

    def __init__(
        self,
        *objectives: Any,
        limit: float = 0.98,
        edge: float = 0.2,
        exponent: float = 1.0,
        floor: float = DEFAULT_FLOOR,
        **kwargs: Any,
    ):
        for name, value in (("limit", limit), ("edge", edge)):
            if not 0 < value < 1:
                raise ValueError(f"Focus: {name} must lie in (0, 1), got {value}")
        self.limit, self.edge = float(limit), float(edge)
        self.exponent = positive("exponent", exponent, "Focus")
        options = {"limit": (limit, 0.98), "edge": (edge, 0.2), "exponent": (exponent, 1.0)}
        super().__init__(objectives, floor, options, "focus", **kwargs)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Uniform on the positive part of the sphere."""
        directions = np.abs(rng.standard_normal((n, len(self.names))))
        return directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def is_allowed(self, conditions: ConditionArray) -> npt.NDArray[np.bool_]:
        return np.abs(np.square(conditions).sum(1) - 1) < 1e-3

    @property
    def center(self) -> float:  # type: ignore[override]
        """The diagonal."""
        return len(self.names) ** -0.5

    def scalarized(self, scores: FloatArray, conditions: ConditionArray) -> FloatArray:
        cosine = (scores * conditions).sum(-1) / np.linalg.norm(scores, axis=-1)
        log_alpha = np.where(cosine >= self.limit, 0.0, np.log(cosine) * np.log(self.edge) / np.log(self.limit))
        return self.exponent * np.log(scores.mean(-1)) + log_alpha
