"""Checks of user input. Every message gives the value and the allowed ones."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.reward_errors import RewardError, RewardShapeError


def positive_int(name: str, value: Any, where: str, at_least: int = 1, at_most: int | None = None) -> int:
    """``value`` as an int; the one rule for every argument that must be an integer.

    Integers of NumPy and floats without a fraction (4.0) are accepted. Booleans and text are not.

    Raises:
        ValueError: ``value`` is not an integer, is below ``at_least`` or above ``at_most``.
    """
    whole = isinstance(value, numbers.Integral) or (isinstance(value, numbers.Real) and float(value).is_integer())
    if not whole or isinstance(value, bool) or value < at_least or (at_most is not None and value > at_most):
        allowed = f">= {at_least}" if at_most is None else f"from {at_least} to {at_most:,}"
        raise ValueError(f"{where}: {name} must be an integer {allowed}, got {shown(value)}")
    return int(value)


def checked_seed(seed: Any, where: str) -> int:
    """A seed as an int. Raises ValueError unless it is in 0 ... 2^63 - 1; None would give another result every time."""
    found = positive_int("seed", seed, where, at_least=0)
    if found >= 2**63:
        raise ValueError(f"{where}: seed must be below 2^63, got {shown(found)}")
    return found


#: Largest number of entries of an array that an environment allocates for itself (512 MB of int64).
MAX_ENTRIES = 2**26


def check_size(what: str, entries: int, where: str) -> None:
    """Raise ValueError if an array of ``entries`` entries would be too large; ``what`` says where it comes from."""
    if entries > MAX_ENTRIES:
        raise ValueError(
            f"{where}: {what} is too large: it needs arrays of {shown(entries)} entries (limit {MAX_ENTRIES:,})"
        )


def shown(value: Any) -> str:
    """``repr(value)``, short: the digits of a huge integer would take minutes and pages."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"about 2**{value.bit_length() - 1}"
    text = repr(value)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= 100 else f"{text[:97]}..."


def counted(number: int) -> str:
    """A number of things with thousands separators; huge ones as a power of two, because of the digits."""
    return shown(number) if number.bit_length() > 200 else f"{number:,}"


def one_of(name: str, value: Any, allowed: Iterable[str], where: str) -> str:
    """``value``, one of the texts ``allowed``. Raises ValueError if it is something else, of whatever type."""
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{where}: {name} must be one of {allowed}, got {shown(value)}")
    return value


def parameters(name: str, value: Any, where: str) -> dict[str, Any]:
    """A mapping of parameters by name as a dict, {} for None. Raises TypeError if it is something else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{where}: {name} must be a mapping of parameters by name, or None, got {shown(value)}")
    return dict(value)


def positive(name: str, value: Any, where: str) -> float:
    """``value`` as a float.

    Raises:
        ValueError: ``value`` is not a number, not finite or not above 0.
    """
    return real(name, value, where, above=0.0)


def real(name: str, value: Any, where: str, at_least: float | None = None, above: float | None = None) -> float:
    """``value`` as a finite float.

    Raises:
        ValueError: ``value`` is not a real number (such as a boolean or text), is not finite, is below ``at_least``,
            or is not above ``above``.
    """
    good = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if good else math.nan
    except OverflowError:
        number = math.inf
    if (
        not math.isfinite(number)
        or (at_least is not None and number < at_least)
        or (above is not None and number <= above)
    ):
        limit = (
            ""
            if at_least is None and above is None
            else f" and >= {at_least:g}"
            if above is None
            else f" and > {above:g}"
        )
        raise ValueError(f"{where}: {name} must be finite{limit}, got {shown(value)}")
    return number


def checked_reward_function(function: Any, where: str, what: str) -> Callable[[Any], Any]:
    """``function``, which must take one argument. ``what`` says what that is.

    Raises:
        TypeError: it is not callable, or cannot be called with one argument.
    """
    if not callable(function):
        raise TypeError(f"{where}: the reward must be a function, got {shown(function)}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function that is not written in Python
        return function
    try:
        signature.bind(None)
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        message = f"{where}: the reward must take one argument, {what}, but {name}{signature} does not: {error}"
        raise TypeError(message) from None
    return function


#: Names of objects: rows (n, width) -> n texts.
Names = Callable[[IntArray], list[str]]


def row_texts(rows: IntArray) -> list[str]:
    """Rows of integers as texts: names of objects if nothing better is known."""
    return [str(row) for row in rows.tolist()]


def checked_log_reward(reward: npt.ArrayLike, states: IntArray, where: str, names: Names = row_texts) -> FloatArray:
    """log of the rewards (n,) of ``states`` (n, width), float64 (n,).

    Args:
        reward: the rewards.
        states: the objects.
        where: start of messages.
        names: names rows of ``states`` as the user writes them; called if a reward fails.

    Raises:
        RewardError: a reward is NaN, infinite, negative, zero or not a number. The message names the first such object.
        RewardShapeError: the shape is wrong.
    """
    given = checked_numbers(reward, states, where, names)
    good = (given > 0) & np.isfinite(given)
    if not good.all():
        bad = int(np.argmin(good))
        raise _failure(where, names(states[bad : bad + 1])[0], given[bad])
    return np.log(given)


def checked_numbers(
    reward: npt.ArrayLike, states: IntArray, where: str, names: Names = row_texts
) -> npt.NDArray[np.float64]:
    """The rewards themselves, float64 (n,), of any sign. Arguments and errors are those of :func:`checked_log_reward`,
    which a reward that is NaN, infinite or not above 0 raises later."""
    values = as_given(reward)
    if values.shape != (len(states),):
        raise RewardShapeError(f"{where}: rewards must have shape ({len(states)},), got {values.shape}")
    if (bad := first_non_number(values)) is not None:
        raise _failure(where, names(states[bad : bad + 1])[0], values[bad])
    return values.astype(np.float64)


def as_given(values: npt.ArrayLike) -> npt.NDArray[Any]:
    """An array of what a user's function returned. The elements of a list keep their types."""
    return np.asarray(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)


def first_non_number(values: npt.NDArray[Any]) -> int | None:
    """Position of the first of ``values`` (n,) that is not a real number: text, None, a date ...; None if all are."""
    if values.dtype.kind in "biuf":
        return None
    return next((i for i, value in enumerate(values) if values.dtype.kind != "O" or not _is_number(value)), None)


def _is_number(value: Any) -> bool:
    """True if ``float(value)`` is the same number. Text and complex numbers are not rewards."""
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not isinstance(value, str | bytes | complex | np.complexfloating)


def _failure(where: str, name: str, value: Any) -> RewardError:
    text = str(value) if isinstance(value, np.floating | float) else shown(value)
    return RewardError(
        f"{where}: the reward of object {name} is {text}; allowed: finite and > 0 "
        "(give objects of no value a small positive floor)",
        name,
        value,
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for error messages, ``"; did you mean 'NAME'?"``, or ``""`` if no known word is similar to ``word``."""
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.4)
    return f"; did you mean {by_lower_case[near[0]]!r}?" if near else ""
