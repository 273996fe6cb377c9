"""Levels in closed form: the states of a DAG are listed and found by arithmetic, without search and without a table."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import BoolArray, IntArray

#: Maximum number of entries in the tables of :class:`ProductLevels`.
MOST_NUMBERS = 2**22


class ClosedLevels(Protocol):
    """All states of a DAG, level by level, see :meth:`gfn_envs.Dag.levels`.

    Attributes:
        offsets: level t holds the positions ``offsets[t]`` to ``offsets[t + 1]``, int64 (levels + 1,).
    """

    offsets: IntArray

    def level(self, t: int) -> IntArray:
        """The states of level t, in order of their positions, as a fresh array (n, state_width)."""

    def position(self, rows: IntArray) -> tuple[IntArray, BoolArray]:
        """Position of each of ``rows`` (n, state_width), int64 (n,), and whether it is a state, bool (n,).

        The position of a row that is not a state is arbitrary.
        """


class ProductLevels:
    """States whose entries are independent of each other. The level of a state is the sum of its entries' depths.

    Entry i takes every value 0 .. len(depths[i]) - 1. The states of a level are in lexicographic order. Their number is
    counted entry by entry from the last to the first, so that the position of a state is a sum of one number per entry.

    Args:
        depths: depth of each value of each entry, integers >= 0.
        dtype: integer dtype of the states.
        deepest: rows deeper than this are not states. Default: all rows are.
    """

    def __init__(self, depths: Sequence[Sequence[int]], dtype: npt.DTypeLike, deepest: int | None = None):
        self.dtype = np.dtype(dtype)
        self.depths = [np.asarray(depth, dtype=np.int64) for depth in depths]
        self.sizes = np.array([len(depth) for depth in self.depths])
        self.deepest = deepest = _deepest(depths) if deepest is None else deepest
        # ways[i][r]: number of ways to choose entries i, i + 1, ... so that their depths sum to r.
        # before[i][r, v]: number of them whose entry i is below v.
        ways: list[IntArray] = [np.eye(1, deepest + 1, dtype=np.int64)[0]]
        before: list[IntArray] = []
        for depth in reversed(self.depths):
            rest = np.arange(deepest + 1)[:, None] - depth
            each = np.where(rest >= 0, ways[0][np.maximum(rest, 0)], 0)
            total = each.cumsum(1)
            before.insert(0, total - each)
            ways.insert(0, total[:, -1])
        self._ways, self._before = ways, [table.ravel() for table in before]
        self.offsets = np.concatenate([[0], ways[0].cumsum()])

    def level(self, t: int) -> IntArray:
        rows, left = np.zeros((1, 0), dtype=self.dtype), np.array([t])
        for depth, ways in zip(self.depths, self._ways[1:], strict=True):
            rest = left[:, None] - depth
            parent, value = ((rest >= 0) & (ways[np.maximum(rest, 0)] > 0)).nonzero()
            rows, left = np.column_stack([rows[parent], value.astype(self.dtype)]), rest[parent, value]
        return rows

    def position(self, rows: IntArray) -> tuple[IntArray, BoolArray]:
        values = np.array(rows.T, dtype=np.int64, order="C")
        known: Any = np.ones(len(rows), dtype=bool)
        # Whole columns are compared first: most calls hold states only.
        for value, size in zip(values, self.sizes, strict=True):
            if len(value) and not 0 <= value.min() <= value.max() < size:
                known &= (value >= 0) & (value < size)
                np.clip(value, 0, size - 1, out=value)
        depths = [depth.take(value) for depth, value in zip(self.depths, values, strict=True)]
        left = np.sum(depths, axis=0)
        known &= left <= self.deepest
        np.minimum(left, self.deepest, out=left)
        place = self.offsets.take(left)
        for value, depth, size, before in zip(values, depths, self.sizes, self._before, strict=True):
            place += before.take(left * size + value, mode="clip")
            left -= depth
        return place, known


def product_levels(
    depths: Sequence[Sequence[int]], dtype: npt.DTypeLike, deepest: int | None = None
) -> ProductLevels | None:
    """:class:`ProductLevels`, or None if its tables would have more than ``MOST_NUMBERS`` numbers."""
    numbers = (1 + (_deepest(depths) if deepest is None else deepest)) * sum(map(len, depths))
    return ProductLevels(depths, dtype, deepest) if numbers <= MOST_NUMBERS else None


def _deepest(depths: Sequence[Sequence[int]]) -> int:
    return sum(map(max, depths))


class ClosedEnumeration:
    """The states of a DAG with ``closed_levels``, with the interface of :class:`gfn_envs.enumeration.Enumeration`.

    It stores no states: a level is computed whenever it is requested.
    """

    def __init__(self, dag: Any, levels: ClosedLevels):
        self.dag, self.levels, self.offsets = dag, levels, levels.offsets

    def level(self, t: int) -> IntArray:
        """The states of level t (n, state_width), read-only."""
        states = self.levels.level(t)
        states.flags.writeable = False
        return states

    @functools.cached_property
    def terminal(self) -> IntArray:
        """Positions of the terminal states (x,), read-only."""
        ends = [np.flatnonzero(self.dag.is_terminal(self.level(t))) for t in range(len(self.offsets) - 1)]
        terminal = np.concatenate([start + end for start, end in zip(self.offsets[:-1], ends, strict=True)])
        terminal.flags.writeable = False
        return terminal

    def terminal_states(self) -> IntArray:
        """The terminal states (x, state_width), in topological order."""
        levels = map(self.level, range(len(self.offsets) - 1))
        return np.concatenate([level[self.dag.is_terminal(level)] for level in levels])

    def position(self, rows: IntArray) -> tuple[IntArray, BoolArray]:
        """See :meth:`ClosedLevels.position`. Raises ValueError if the rows have another width."""
        return self.levels.position(rows_of_width(rows, self.dag.state_width))


def rows_of_width(rows: IntArray, width: int) -> IntArray:
    """``rows`` as an array. Raises ValueError unless its shape is (n, width)."""
    rows = np.asarray(rows)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f"states must have shape (n, {width}), got {rows.shape}")
    return rows
