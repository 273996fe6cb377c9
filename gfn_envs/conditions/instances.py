"""Conditions from the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions


class Instances(Conditions):
    """Your own numbers, such as the data of a problem instance, and your own log R(x|c).

    Args:
        log_reward: (terminal states (n, state_width), conditions float32 (n, k)) -> log R(x|c), float64 (n,).
        names: names of the numbers.
        low, high: their ranges, (k,) or one number for all.
        draw: (n, rng) -> (n, k), in the ranges; None: uniform.
        **kwargs: ``values``, ``features``, ``bins``, ``text`` (:class:`Conditions`).
    """

    def __init__(
        self,
        log_reward: Callable[[IntArray, ConditionArray], FloatArray],
        names: Sequence[str],
        low: npt.ArrayLike = 0.0,
        high: npt.ArrayLike = 1.0,
        draw: Callable[[int, np.random.Generator], npt.ArrayLike] | None = None,
        **kwargs: Any,
    ):
        self._log_reward, self._draw = log_reward, draw
        super().__init__(names, low, high, **{"features": "plain", **kwargs})

    def draw(self, n: int, rng: np.random.Generator) -> npt.ArrayLike:
        return super().draw(n, rng) if self._draw is None else self._draw(n, rng)

    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        return np.asarray(self._log_reward(states, conditions), dtype=np.float64)
