"""Checks of user input. Every message says what was given and what is allowed."""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray


def positive_int(name: str, value: Any, where: str, at_least: int = 1) -> int:
    """``value`` as an int.

    Raises:
        ValueError: ``value`` is not an integer or is below ``at_least``. Integer-valued floats are accepted, bools are
            not.
    """
    whole = isinstance(value, numbers.Real) and not isinstance(value, bool) and float(value).is_integer()
    if not whole or value < at_least:
        raise ValueError(f"{where}: {name} must be an integer >= {at_least}, got {value!r}")
    return int(value)


def positive(name: str, value: Any, where: str) -> float:
    """``value`` as a float.

    Raises:
        ValueError: ``value`` is not a number, not finite or not above 0.
    """
    if not (isinstance(value, numbers.Real) and 0 < float(value) < float("inf")):
        raise ValueError(f"{where}: {name} must be finite and > 0, got {value!r}")
    return float(value)


def checked_log_reward(reward: npt.ArrayLike, states: IntArray, where: str) -> FloatArray:
    """log of the rewards (n,) of ``states`` (n, width), float64 (n,).

    Raises:
        ValueError: the shape is wrong, or a reward is NaN, infinite, negative or zero. The message names the first such
            object.
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


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for error messages, ``"; did you mean 'NAME'?"``, or ``""`` if no known word is similar to ``word``."""
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.4)
    return f"; did you mean {by_lower_case[near[0]]!r}?" if near else ""
