"""Listing every state of a Dag, and what is computed on the list: :class:`gfn_envs.Dag` is where users find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import IntArray, row_keys, unique_rows

if TYPE_CHECKING:
    from gfn_envs.dag import Dag


#: The most memory, in bytes, that the enumerated states of one DAG may take.
ENUMERATION_BYTES = 2 * 1024**3


class EnumerationError(ValueError):
    """The DAG has too many states to list; the message says how many and what the limit is."""


class Enumeration(NamedTuple):
    """Every state of a DAG in topological order, and how to find one. Its arrays cannot be written to.

    Attributes:
        states: all states (s, state_width), level after level.
        offsets: level t is ``states[offsets[t]:offsets[t + 1]]``.
        sorted_keys: the keys of the states, sorted.
        order: ``states[order]`` has the keys ``sorted_keys``.
        terminal: positions of the terminal states (x,).
    """

    states: IntArray
    offsets: IntArray
    sorted_keys: npt.NDArray[Any]
    order: IntArray
    terminal: IntArray

    def position(self, rows: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Where each of ``rows`` (n, state_width) is among the states, int64 (n,), and whether it is there at all."""
        converted = np.asarray(rows).astype(self.states.dtype)
        keys = row_keys(converted)
        place = np.minimum(np.searchsorted(self.sorted_keys, keys), len(self.sorted_keys) - 1)
        return self.order[place], (self.sorted_keys[place] == keys) & (converted == rows).all(1)


def enumerate_states(dag: Dag, levels: list[IntArray]) -> Enumeration:
    """The enumeration of ``dag``, given its ``levels``."""
    states = np.concatenate(levels)
    offsets = np.cumsum([0] + [len(level) for level in levels])
    keys = row_keys(states)
    order = np.argsort(keys, kind="stable")
    enumeration = Enumeration(states, offsets, keys[order], order, np.flatnonzero(dag.is_terminal(states)))
    for array in enumeration:
        array.flags.writeable = False
    return enumeration


def breadth_first(dag: Dag, max_states: int | None = None) -> list[IntArray]:
    """States by length of the longest path from s0.

    Raises:
        EnumerationError: the states would not fit in ``ENUMERATION_BYTES`` or are more than ``max_states``, or a walk
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
        # Only in a graded DAG is no state in two frontiers.
        if size > ENUMERATION_BYTES or (max_states is not None and len(frontiers[-1]) > max_states):
            raise EnumerationError(_too_large(dag, f"more than {sum(map(len, frontiers)):,}"))
        frontiers.append(unique_rows(dag.children(frontiers[-1])[1]))
    # In a graded DAG no state is met twice; elsewhere the last meeting is the longest path, so it counts.
    depth = np.repeat(np.arange(len(frontiers)), [len(frontier) for frontier in frontiers])
    states = np.concatenate(frontiers)
    last = len(states) - 1 - np.unique(row_keys(states[::-1]), return_index=True)[1]
    if len(last) == len(states):
        return frontiers[:-1]
    return [states[last[depth[last] == t]] for t in range(len(frontiers) - 1)]


def is_listable(dag: Dag, num_states: int) -> bool:
    """Whether so many states fit in ``ENUMERATION_BYTES``."""
    return num_states * dag.state_width * np.dtype(dag.state_dtype).itemsize <= ENUMERATION_BYTES


def check_enumerable(dag: Dag, num_states: int) -> None:
    """EnumerationError where they do not."""
    if not is_listable(dag, num_states):
        raise EnumerationError(_too_large(dag, f"{num_states:,}"))


def _too_large(dag: Dag, count: str) -> str:
    row_bytes = dag.state_width * np.dtype(dag.state_dtype).itemsize
    return (
        f"{type(dag).__name__} has {count} states of {row_bytes} bytes each: too many to enumerate "
        f"(limit {ENUMERATION_BYTES // row_bytes:,} states in {ENUMERATION_BYTES / 1024**3:g} GiB). "
        "Use sampled estimates instead of exact ones."
    )


def log_path_counts(dag: Dag) -> npt.NDArray[np.float64]:
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


# ---------------------------------------------------------------------- rows as keys


@dataclass(frozen=True)
class StateGraph:
    """Every state and edge of a DAG, as arrays; positions of states follow ``dag.levels()``.

    Attributes:
        states: all states in topological order (s, state_width).
        level_offsets: level t is ``states[level_offsets[t]:level_offsets[t + 1]]``.
        source, action, target: edges (e,), sorted by source.
        edge_offsets: the edges that leave level t are ``edge_offsets[t]:edge_offsets[t + 1]``.
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
        return len(self.level_offsets) - 1


def state_graph(dag: Dag) -> StateGraph:
    """The enumerated graph of ``dag``, built once and kept with it.

    Raises:
        EnumerationError: when the DAG is too large.
    """
    graph = dag.__dict__.get("_state_graph")
    if graph is None:
        levels = list(dag.levels())
        states = np.concatenate(levels)
        level_offsets = np.cumsum([0] + [len(level) for level in levels])
        source, children, action = dag.children(states)
        if (source[1:] < source[:-1]).any():  # A Dag may list its edges in any order.
            order = source.argsort(kind="stable")
            source, children, action = source[order], children[order], action[order]
        target = dag.state_index(children)
        edge_offsets = np.searchsorted(source, level_offsets)
        terminal = np.flatnonzero(dag.is_terminal(states))
        graph = StateGraph(states, level_offsets, source, action, target, edge_offsets, terminal)
        dag.__dict__["_state_graph"] = graph
    return graph
