"""Enumeration of every state of a DAG, and the graph of its states and edges.

The functions here need only the part of :class:`gfn_envs.Dag` that :class:`Enumerable` names. Users call the methods of
``Dag`` instead (``levels``, ``num_states``, ``state_index`` ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, row_keys, unique_rows

#: The most memory, in bytes, that the enumerated states of one DAG may take.
ENUMERATION_BYTES = 2 * 1024**3


class EnumerationError(ValueError):
    """The DAG has too many states to enumerate. The message gives their number and the limit."""


class Enumerable(Protocol):
    """The part of :class:`gfn_envs.Dag` that enumeration needs; see there."""

    state_width: int
    state_dtype: np.dtype[Any]
    max_length: int

    def source(self, n: int) -> IntArray: ...
    def is_terminal(self, states: IntArray) -> BoolArray: ...
    def children(self, states: IntArray) -> tuple[IntArray, IntArray, IntArray]: ...
    def levels(self) -> Iterator[IntArray]: ...
    def state_index(self, states: IntArray) -> IntArray: ...


class Enumeration(NamedTuple):
    """Every state of a DAG in topological order, with an index. The arrays are read-only.

    Attributes:
        states: all states (s, state_width), level after level.
        offsets: level t is ``states[offsets[t]:offsets[t + 1]]``.
        sorted_keys: the sorted keys of the states (see :func:`gfn_envs.arrays.row_keys`).
        order: permutation that sorts the states by key.
        terminal: positions of the terminal states (x,).
    """

    states: IntArray
    offsets: IntArray
    sorted_keys: npt.NDArray[Any]
    order: IntArray
    terminal: IntArray

    def position(self, rows: IntArray) -> tuple[IntArray, BoolArray]:
        """Position of each of ``rows`` (n, state_width) among the states, int64 (n,), and whether it is one, bool (n,).

        The position of a row that is not a state is arbitrary.
        """
        converted = np.asarray(rows).astype(self.states.dtype)
        keys = row_keys(converted)
        place = np.minimum(np.searchsorted(self.sorted_keys, keys), len(self.sorted_keys) - 1)
        return self.order[place], (self.sorted_keys[place] == keys) & (converted == rows).all(1)


def enumerate_states(dag: Enumerable, levels: list[IntArray]) -> Enumeration:
    """The enumeration of ``dag`` from the states of its ``levels``."""
    states = np.concatenate(levels)
    offsets = np.cumsum([0] + [len(level) for level in levels])
    keys = row_keys(states)
    order = np.argsort(keys, kind="stable")
    enumeration = Enumeration(states, offsets, keys[order], order, np.flatnonzero(dag.is_terminal(states)))
    for array in enumeration:
        array.flags.writeable = False
    return enumeration


def breadth_first(dag: Enumerable, max_states: int | None = None) -> list[IntArray]:
    """The states of each level; level t holds the states whose longest path from s0 has length t.

    Raises:
        EnumerationError: the states do not fit in ``ENUMERATION_BYTES``, there are more than ``max_states``, or a walk
            is longer than ``max_length``.
    """
    frontiers, size = [dag.source(1)], 0
    while len(frontiers[-1]):
        if len(frontiers) > dag.max_length + 1:
            raise EnumerationError(
                f"{type(dag).__name__}: a walk is longer than max_length = {dag.max_length} "
                "(a cycle, or max_length is too small)"
            )
        size += frontiers[-1].nbytes
        # Frontiers may overlap (unless the DAG is graded), so only a single frontier bounds the number of states.
        if size > ENUMERATION_BYTES or (max_states is not None and len(frontiers[-1]) > max_states):
            raise EnumerationError(_too_large(dag, f"more than {sum(map(len, frontiers)):,}"))
        frontiers.append(unique_rows(dag.children(frontiers[-1])[1]))
    # A state can be in several frontiers. The last one corresponds to the longest path.
    depth = np.repeat(np.arange(len(frontiers)), [len(frontier) for frontier in frontiers])
    states = np.concatenate(frontiers)
    last = len(states) - 1 - np.unique(row_keys(states[::-1]), return_index=True)[1]
    if len(last) == len(states):
        return frontiers[:-1]
    return [states[last[depth[last] == t]] for t in range(len(frontiers) - 1)]


def is_listable(dag: Enumerable, num_states: int) -> bool:
    """True if ``num_states`` states fit in ``ENUMERATION_BYTES``."""
    return num_states * dag.state_width * np.dtype(dag.state_dtype).itemsize <= ENUMERATION_BYTES


def check_enumerable(dag: Enumerable, num_states: int) -> None:
    """Raises EnumerationError if ``num_states`` states do not fit in ``ENUMERATION_BYTES``."""
    if not is_listable(dag, num_states):
        raise EnumerationError(_too_large(dag, f"{num_states:,}"))


def _too_large(dag: Enumerable, count: str) -> str:
    row_bytes = dag.state_width * np.dtype(dag.state_dtype).itemsize
    return (
        f"{type(dag).__name__} has {count} states of {row_bytes} bytes each: too many to enumerate "
        f"(limit {ENUMERATION_BYTES // row_bytes:,} states in {ENUMERATION_BYTES / 1024**3:g} GiB). "
        "Use sampled estimates instead of exact ones."
    )


def log_path_counts(dag: Enumerable) -> FloatArray:
    """log of the number of trajectories from s0 to every state, float64 (s,), by dynamic programming over the levels.

    N(s0) = 1, N(s') = sum over edges s -> s' of N(s) (Mohammadpour et al. 2024, Maximum entropy GFlowNets).
    """
    levels = list(dag.levels())
    counts = np.full(sum(map(len, levels)), -np.inf)
    counts[0] = 0.0
    start = 0
    for level in levels:
        row, children, _ = dag.children(level)
        np.logaddexp.at(counts, dag.state_index(children), counts[start + row])
        start += len(level)
    return counts


# ---------------------------------------------------------------------- states and edges as arrays


@dataclass(frozen=True)
class StateGraph:
    """Every state and edge of a DAG as arrays. Positions of states follow ``dag.levels()``.

    Attributes:
        states: all states in topological order (s, state_width).
        level_offsets: level t is ``states[level_offsets[t]:level_offsets[t + 1]]``.
        source, action, target: position of the parent, forward action and position of the child of each edge (e,),
            sorted by source.
        edge_offsets: the edges that leave level t are edges ``edge_offsets[t]:edge_offsets[t + 1]``.
        terminal: positions of the terminal states (x,).
    """

    states: IntArray
    level_offsets: IntArray
    source: IntArray
    action: IntArray
    target: IntArray
    edge_offsets: IntArray
    terminal: IntArray

    @property
    def num_levels(self) -> int:
        """Number of levels, ``max_length + 1``."""
        return len(self.level_offsets) - 1


def state_graph(dag: Enumerable) -> StateGraph:
    """The enumerated graph of ``dag``, built at the first call and cached on the instance.

    Raises:
        EnumerationError: the DAG has too many states.
    """
    graph = dag.__dict__.get("_state_graph")
    if graph is None:
        levels = list(dag.levels())
        states = np.concatenate(levels)
        level_offsets = np.cumsum([0] + [len(level) for level in levels])
        source, children, action = dag.children(states)
        if (source[1:] < source[:-1]).any():  # An override of children() may list the edges in any order.
            order = source.argsort(kind="stable")
            source, children, action = source[order], children[order], action[order]
        target = dag.state_index(children)
        edge_offsets = np.searchsorted(source, level_offsets)
        terminal = np.flatnonzero(dag.is_terminal(states))
        graph = StateGraph(states, level_offsets, source, action, target, edge_offsets, terminal)
        dag.__dict__["_state_graph"] = graph
    return graph
