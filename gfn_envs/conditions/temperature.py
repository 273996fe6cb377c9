"""Reward exponents."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions
from gfn_envs.validation import real


def number_text(number: float) -> str:
    """A number as text, short, and without a loss of digits."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


class Temperature(Conditions):
    """R(x|beta) = R(x)^beta, with beta uniform in a range or among values.

    Args:
        low, high: range of beta, > 0.
        values: the only values of beta, instead of a range.
        **kwargs: ``features``, ``bins`` (:class:`Conditions`).

    References:
        Kim et al. 2024, Learning to Scale Logits for Temperature-Conditional GFlowNets; Zhang et al. 2023, Robust
        Scheduling with GFlowNets.

    Raises:
        ValueError: beta is not finite and > 0, low > high, or not exactly one of range and values is given.
    """

    def __init__(
        self, low: float | None = None, high: float | None = None, values: npt.ArrayLike | None = None, **kwargs: Any
    ):
        if (values is None) == (low is None or high is None):
            raise ValueError("Temperature: give a range (low, high) or values")
        if values is not None:
            listed = [real("beta", value, "Temperature", above=0.0) for value in list(values)]  # type: ignore[arg-type]
            if not listed:
                raise ValueError("Temperature: give at least one value")
            low, high, text = min(listed), max(listed), f"temperature:values={','.join(map(number_text, listed))}"
        else:
            low, high = (real("beta", value, "Temperature", above=0.0) for value in (low, high))
            listed, text = None, f"temperature:{number_text(low)},{number_text(high)}"
        super().__init__(["beta"], low, high, values=listed, text=text, **kwargs)

    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        return conditions[:, 0] * self.dag.log_reward(states)

    def scores(self, states: IntArray) -> FloatArray:
        return self.dag.log_reward(states)[:, None]

    def every_log_reward(self, scores: FloatArray, conditions: ConditionArray) -> FloatArray:
        return conditions * scores.T

    def partial_log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        return conditions[:, 0] * self.dag.partial_log_reward(states)
