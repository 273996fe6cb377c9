"""Array types, and functions of arrays that several modules use."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[Any]

# ---------------------------------------------------------------------- rows of a matrix as keys


def row_keys(states: IntArray) -> npt.NDArray[Any]:
    """One fixed-width byte string per row (n,), so that rows sort, compare and hash like scalars."""
    states = np.ascontiguousarray(states)
    return states.view(f"S{states.shape[1] * states.itemsize}").ravel()


def unique_rows(states: IntArray) -> IntArray:
    """Distinct rows of a state matrix (n, width), in a fixed order."""
    return states[np.unique(row_keys(states), return_index=True)[1]]


def distinct(states: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct rows of a state matrix, and the index of each row among them.

    Returns:
        ``(unique, inverse)`` with ``unique[inverse] == states``, shapes (m, width) and (n,).
    """
    # Hashes sort much faster than rows. Rows with equal hashes are equal in practice; the comparison below makes sure.
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
    """Odd multipliers of the columns, int64 (width,)."""
    return np.random.default_rng(0).integers(2**62, size=width, dtype=np.int64) * 2 + 1


def all_columns(compare: Callable[[IntArray, IntArray], BoolArray], left: IntArray, right: IntArray) -> BoolArray:
    """True at [i, j] if ``compare`` holds between left[i] and right[j] in every column, bool (n, m).

    The columns are compared one by one, so that no temporary array is larger than the result.
    """
    result = np.ones((len(left), len(right)), dtype=bool)
    for i in range(left.shape[1]):
        result &= compare(left[:, i, None], right[None, :, i])
    return result


# ---------------------------------------------------------------------- edges


def parallel_edges(row: IntArray, neighbor: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Group edges that connect the same two states.

    Args:
        row: index in the batch of the state at one end of each edge (e,).
        neighbor: index of the distinct state at its other end (e,).

    Returns:
        ``(pair, log_share, first)``: the index of the pair of states of each edge (e,), minus the log of the number of
        edges of that pair (e,), and one edge of each pair (p,).
    """
    key = row * (neighbor.max(initial=0) + 1) + neighbor
    ordered = np.sort(key)
    if (ordered[1:] != ordered[:-1]).all():
        each = np.arange(len(key))
        return each, np.zeros(len(key)), each
    _, first, pair, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return pair, -np.log(count[pair]), first


# ---------------------------------------------------------------------- tables and observations


def one_hot_table(size: int) -> FloatArray:
    """float32 (size + 1, size): row v is the one-hot vector of v; the last row, for an empty slot, is zero."""
    return np.eye(size + 1, size, dtype=np.float32)


def one_hot_columns(values: IntArray, size: int) -> IntArray:
    """Columns of the ones in the one-hot vectors of ``values`` (n, k), one vector after another, int64 (n, k).

    -1 for the value ``size``, an empty slot.
    """
    columns = values + np.arange(0, size * values.shape[1], size)
    columns[values == size] = -1
    return columns


def log_factorials(largest: int) -> FloatArray:
    """log k! for k = 0..largest, float64 (largest + 1,)."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])


def observation_at(observations: Any, i: int) -> Any:
    """Observation ``i`` of the batch that :meth:`gfn_envs.Dag.observe` returns: arrays, or dicts or tuples of them."""
    if isinstance(observations, dict):
        return {key: observation_at(value, i) for key, value in observations.items()}
    if isinstance(observations, tuple):
        return tuple(observation_at(value, i) for value in observations)
    return observations[i]
