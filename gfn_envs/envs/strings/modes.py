"""The modes of a reward on strings: the best fraction of all values, optionally with a minimum separation."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


def fraction_count(fraction: float, n: int) -> int:
    """``ceil(fraction * n)`` in decimal arithmetic: in binary, 0.07 * 100 is slightly more than 7."""
    return math.ceil(round(fraction * n, 6))


def top(values: FloatArray, count: int) -> IntArray:
    """Positions of the ``count`` largest of ``values`` (n,), including ties with the last, ascending, int64 (m,)."""
    threshold = np.partition(values, -count)[-count]
    return np.flatnonzero(values >= threshold)


def top_fraction(values: FloatArray, fraction: float) -> IntArray:
    """Positions of the largest ``fraction`` of ``values`` (n,), including ties with the last, ascending, int64 (m,)."""
    return top(values, fraction_count(fraction, len(values)))


def separated_top(values: FloatArray, num_letters: int, length: int, fraction: float) -> IntArray:
    """Positions of the best strings such that no two differ in exactly one letter, ascending, int64 (m,).

    Strings are selected in order of decreasing value, and alphabetically among ties. A string is skipped if it differs
    in one letter from a string that was selected before.

    Args:
        values: value of every string in alphabetical order (num_letters^length,).
        num_letters, length: of the strings.
        fraction: in (0, 1]; at most ``ceil(fraction * n)`` strings are selected.
    """
    strides = num_letters ** np.arange(length)
    selected, excluded = [], np.zeros(len(values), dtype=bool)
    for position in np.argsort(-values, kind="stable"):
        if excluded[position]:
            continue
        selected.append(position)
        if len(selected) == fraction_count(fraction, len(values)):
            break
        digits = position // strides % num_letters
        neighbors = position - (digits * strides)[:, None] + strides[:, None] * np.arange(num_letters)
        excluded[neighbors.ravel()] = True
    return np.sort(np.array(selected, dtype=np.int64))
