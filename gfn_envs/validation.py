"""Checks of what users give: the message says what was given and what is allowed."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray


def checked_log_reward(reward: npt.ArrayLike, states: IntArray, where: str) -> FloatArray:
    """log of rewards (n,), refusing what a reward may not be.

    Raises:
        ValueError: a reward that is NaN, infinite, negative or zero, naming the first such object; or a wrong shape.
    """
    reward = np.asarray(reward, dtype=np.float64)
    if reward.shape != (len(states),):
        raise ValueError(f"{where}: rewards must have shape ({len(states)},), got {reward.shape}")
    good = (reward > 0) & np.isfinite(reward)
    if not good.all():
        bad = int(np.argmin(good))
        raise ValueError(
            f"{where}: the reward of object {states[bad].tolist()} is {reward[bad]}; allowed: finite and > 0 "
            "(give objects of no value a small positive floor)"
        )
    return np.log(reward)


def positive_int(name: str, value: Any, where: str, at_least: int = 1) -> int:
    """``value`` as int, or a ValueError that says what was given and allowed."""
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < at_least:
        raise ValueError(f"{where}: {name} must be an integer >= {at_least}, got {value!r}")
    return int(value)


def positive(name: str, value: Any, where: str) -> float:
    """``value`` as float, or a ValueError: it must be finite and above 0."""
    if not (isinstance(value, numbers.Real) and 0 < float(value) < float("inf")):
        raise ValueError(f"{where}: {name} must be finite and > 0, got {value!r}")
    return float(value)
