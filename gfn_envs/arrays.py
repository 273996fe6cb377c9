"""Array types and small functions of arrays that every other module uses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[Any]


def one_hot_table(size: int) -> FloatArray:
    """float32 (size + 1, size): row v is the one-hot vector of v, the last row (an empty slot) is zero."""
    return np.eye(size + 1, size, dtype=np.float32)


def log_factorials(largest: int) -> FloatArray:
    """log k! for k = 0..largest, float64 (largest + 1,)."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])


def all_columns(compare: Callable[[IntArray, IntArray], BoolArray], left: IntArray, right: IntArray) -> BoolArray:
    """True at [i, j] where ``compare`` holds between left[i] and right[j] in every column, bool (n, m).

    One column at a time, so that no array is larger than the result.
    """
    result = np.ones((len(left), len(right)), dtype=bool)
    for i in range(left.shape[1]):
        result &= compare(left[:, i, None], right[None, :, i])
    return result


def observation_at(observations: Any, i: int) -> Any:
    """Observation ``i`` of what :meth:`Dag.observe` gives: an array, or dicts and tuples of arrays."""
    if isinstance(observations, dict):
        return {key: observation_at(value, i) for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(observation_at(value, i) for value in observations)
    return observations[i]


def row_keys(states: IntArray) -> npt.NDArray[Any]:
    """One fixed-width byte string a row, so that rows sort, compare and hash as scalars."""
    states = np.ascontiguousarray(states)
    return states.view(f"S{states.shape[1] * states.itemsize}").ravel()


def unique_rows(states: IntArray) -> IntArray:
    """Distinct rows of a state matrix, in a fixed order."""
    return states[np.unique(row_keys(states), return_index=True)[1]]


def distinct(states: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct rows and, for each row, which of them it is: ``unique[inverse] == states``."""
    # A sum of products modulo 2^64 tells rows apart in practice; the comparison below makes it certain.
    hashes = states @ _hash_weights(states.shape[1])
    order = hashes.argsort()
    ranked = hashes[order]
    first = np.ones(len(states), dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    unique = states.take(order[first], axis=0)
    inverse = np.empty(len(states), dtype=np.int64)
    inverse[order] = first.cumsum() - 1
    if not np.array_equal(unique.take(inverse, axis=0), states):
        unique, inverse = np.unique(states, axis=0, return_inverse=True)
        inverse = inverse.ravel()
    return unique, inverse


@functools.lru_cache
def _hash_weights(width: int) -> IntArray:
    return np.random.default_rng(0).integers(2**62, size=width, dtype=np.int64) * 2 + 1


def parallel_edges(row: IntArray, neighbour: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Merge edges between the same two states.

    Args:
        row: of each edge's own state in the batch (e,).
        neighbour: number of the distinct state at its other end (e,).

    Returns:
        ``(pair, log_share, first)``: which distinct pair each edge belongs to (e,), minus the log of the number of
        edges of that pair (e,), and one edge of each pair (p,).
    """
    key = row * (neighbour.max(initial=0) + 1) + neighbour
    ordered = np.sort(key)
    if (ordered[1:] != ordered[:-1]).all():
        each = np.arange(len(key))
        return each, np.zeros(len(key)), each
    _, first, pair, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return pair, -np.log(count[pair]), first
