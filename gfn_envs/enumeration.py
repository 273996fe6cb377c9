"""Enumeration of every state of a DAG, and the graph of its states and edges.

The functions here need only the part of :class:`gfn_envs.Dag` that :class:`Enumerable` names. Users call the methods of
``Dag`` instead (``levels``, ``num_states``, ``state_index`` ...).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, row_keys, unique_rows
from gfn_envs.closed_levels import ClosedLevels, rows_of_width
from gfn_envs.validation import counted

logger = logging.getLogger(__name__)

#: The most memory, in bytes, that the enumerated states of one DAG and their index may take (:func:`bytes_per_state`).
ENUMERATION_BYTES = 2 * 1024**3
#: Memory of an exact evaluation per state, in bytes, if no states are held: probabilities, rewards, distances.
CLOSED_BYTES = 64
#: Above this many bytes, a warning is logged.
MUCH = 2 * 1024**3
#: Memory of an edge of a :class:`StateGraph`, in bytes, doubled for the construction.
EDGE_BYTES = 2 * 3 * 8
#: Entries of the forward masks per chunk.
CHUNK = 2**22
#: An enumeration that takes longer than this many seconds is logged as a warning, and again after as many.
QUIET_SECONDS = 10.0


class EnumerationError(ValueError):
    """The DAG has too many states to enumerate. The message gives their number and the limit."""


class Enumerable(Protocol):
    """The part of :class:`gfn_envs.Dag` that enumeration needs; see there."""

    state_width: int
    state_dtype: np.dtype[Any]
    max_length: int
    num_actions: int
    declared_num_states: int | None
    closed_levels: ClosedLevels | None

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

    def level(self, t: int) -> IntArray:
        """The states of level t (n, state_width)."""
        return self.states[self.offsets[t] : self.offsets[t + 1]]

    def terminal_states(self) -> IntArray:
        """The terminal states (x, state_width), in topological order."""
        return self.states[self.terminal]

    def position(self, rows: IntArray) -> tuple[IntArray, BoolArray]:
        """Position of each of ``rows`` (n, state_width) among the states, int64 (n,), and whether it is one, bool (n,).

        The position of a row that is not a state is arbitrary. Raises ValueError if the rows have another width.
        """
        rows = rows_of_width(rows, self.states.shape[1])
        converted = rows.astype(self.states.dtype)
        keys = row_keys(converted)
        place = np.minimum(np.searchsorted(self.sorted_keys, keys), len(self.sorted_keys) - 1)
        return self.order[place], (self.sorted_keys[place] == keys) & (converted == rows).all(1)


def enumerate_states(dag: Enumerable, levels: list[IntArray]) -> Enumeration:
    """The enumeration of ``dag`` from the states of its ``levels``."""
    states = np.concatenate(levels)
    offsets = np.cumsum([0] + [len(level) for level in levels])
    keys = row_keys(states)
    order = np.argsort(keys, kind="stable")
    enumeration = Enumeration(states, offsets, keys[order], order, terminal_positions(dag, states))
    for array in enumeration:
        array.flags.writeable = False
    return enumeration


def breadth_first(dag: Enumerable, max_states: int | None = None) -> list[IntArray]:
    """The states of each level, found level by level from s0.

    The level of a state is the length of its longest path from s0. Children are computed for a few states at a time,
    so that memory is needed for the states and little else.

    Raises:
        EnumerationError: there are more than ``max_states`` states, or more than :func:`state_limit`; or a walk is
            longer than ``max_length``.
    """
    frontiers, progress = [dag.source(1)], Progress(dag)
    while len(frontiers[-1]):
        if len(frontiers) > dag.max_length + 1:
            raise EnumerationError(
                f"{type(dag).__name__}: a walk is longer than max_length = {dag.max_length} "
                "(a cycle, or max_length is too small)"
            )
        frontiers.append(_next_frontier(dag, frontiers[-1], max_states, sum(map(len, frontiers)), progress))
    # A state can be in several frontiers. The last one corresponds to the longest path.
    depth = np.repeat(np.arange(len(frontiers)), [len(frontier) for frontier in frontiers])
    states = np.concatenate(frontiers)
    last = len(states) - 1 - np.unique(row_keys(states[::-1]), return_index=True)[1]
    progress.end(len(last))
    if len(last) == len(states):
        return frontiers[:-1]
    return [states[last[depth[last] == t]] for t in range(len(frontiers) - 1)]


def _next_frontier(
    dag: Enumerable, frontier: IntArray, max_states: int | None, found: int, progress: Progress
) -> IntArray:
    """The distinct children of ``frontier``, found a few states at a time."""
    parts: list[IntArray] = [dag.source(0)]
    waiting = 0
    for chunk in chunks(frontier, dag.num_actions):
        known = found + len(parts[0])
        # Frontiers may overlap (unless the DAG is graded), so only a single frontier bounds the number of states.
        distinct = max(len(frontier), len(parts[0]))
        if known > state_limit(dag) or (max_states is not None and distinct > max_states):
            raise EnumerationError(_too_large(dag, f"more than {distinct - 1:,}", max_states))
        progress.report(known)
        parts.append(unique_rows(dag.children(chunk)[1]))
        waiting += len(parts[-1])
        if waiting > len(parts[0]):  # Merged whenever they have doubled, which takes n log n in all.
            parts, waiting = [unique_rows(np.concatenate(parts))], 0
    return unique_rows(np.concatenate(parts)) if len(parts) > 1 else parts[0]


def terminal_positions(dag: Enumerable, states: IntArray) -> IntArray:
    """Positions of the terminal states among ``states`` (n, state_width), n >= 1."""
    return np.flatnonzero(np.concatenate([dag.is_terminal(chunk) for chunk in chunks(states, dag.num_actions)]))


def chunks(states: IntArray, entries_per_state: int) -> Iterator[IntArray]:
    """``states`` in chunks of about ``CHUNK`` entries."""
    rows = max(1, CHUNK // max(1, entries_per_state))
    return (states[start : start + rows] for start in range(0, len(states), rows))


class Progress:
    """Log lines of an enumeration: its end at level INFO; if it takes long, how far it is at level WARNING."""

    def __init__(self, dag: Enumerable):
        self.dag, self.start = dag, time.monotonic()
        self.last = self.start
        # Known numbers of states are reported before the enumeration begins.
        self.much = np.inf if dag.declared_num_states else MUCH

    def report(self, found: int) -> None:
        """Log that ``found`` states are known, at most once in ``QUIET_SECONDS``, or once they take 2 GiB."""
        now, size = time.monotonic(), found * bytes_per_state(self.dag)
        if now - self.last >= QUIET_SECONDS or size > self.much:
            self.last = now
            if size > self.much:
                self.much = np.inf
                logger.warning("enumerating %s takes more than %.3g MB", type(self.dag).__name__, size / 1e6)
            name, seconds, count = type(self.dag).__name__, now - self.start, f"{found:,}"
            if total := self.dag.declared_num_states:
                left = f" of {total:,}, about {seconds * (total / found - 1):.0f} s left"
            else:
                left = f", their number is not known; limit {state_limit(self.dag):,}"
            logger.warning("enumerating %s: %s states found in %.0f s%s", name, count, seconds, left)

    def end(self, found: int) -> None:
        """Log that all states are known."""
        name, seconds = type(self.dag).__name__, time.monotonic() - self.start
        logger.info("enumerated %s: %s states in %.1f s", name, f"{found:,}", seconds, extra={"states": found})


def is_listable(dag: Enumerable, num_states: int) -> bool:
    """True if ``num_states`` states are within :func:`state_limit`."""
    return num_states <= state_limit(dag)


def state_limit(dag: Enumerable) -> int:
    """The maximum number of states: as many as fit in ``ENUMERATION_BYTES``, or ``limit`` of ``dag.enumerate``."""
    limit: int | None = dag.__dict__.get("_state_limit")
    return ENUMERATION_BYTES // bytes_per_state(dag) if limit is None else limit


def check_enumerable(dag: Enumerable, num_states: int, max_states: int | None = None) -> None:
    """Log how many states are about to be enumerated and how much memory they take; above 2 GiB as a warning.

    Raises:
        EnumerationError: there are more than ``max_states``, or more than :func:`state_limit`.
    """
    if not is_listable(dag, num_states) or (max_states is not None and num_states > max_states):
        raise EnumerationError(_too_large(dag, counted(num_states), max_states))
    size = num_states * bytes_per_state(dag)
    text, level = "enumerating %s: %s states, about %.3g MB", logging.WARNING if size > MUCH else logging.INFO
    logger.log(level, text, type(dag).__name__, f"{num_states:,}", size / 1e6, extra={"states": num_states})


def closed_form(dag: Enumerable) -> ClosedLevels | None:
    """``dag.closed_levels``, unless they contradict what the DAG declares, as those of a base class can."""
    levels = dag.closed_levels
    if levels is None or len(levels.offsets) != dag.max_length + 2 or levels.offsets[-1] != dag.declared_num_states:
        return None
    return levels


def bytes_per_state(dag: Enumerable) -> int:
    """Memory of an enumeration per state: the row, its key and its position, doubled for the construction.

    If the levels are known in closed form, it is the memory of an exact evaluation: a few floats.
    """
    if closed_form(dag) is not None:
        return CLOSED_BYTES
    return 2 * (2 * dag.state_width * np.dtype(dag.state_dtype).itemsize + 16)


def _too_large(dag: Enumerable, count: str, max_states: int | None = None) -> str:
    limit = state_limit(dag) if max_states is None else min(max_states, state_limit(dag))
    size, memory = bytes_per_state(dag), limit * bytes_per_state(dag) / 1024**3
    return (
        f"{type(dag).__name__} has {count} states of {size} bytes each, with their index: too many to enumerate "
        f"(limit {limit:,} states in {memory:.2g} GiB). "
        "Use sampled estimates instead of exact ones, or raise the limit: dag.enumerate(limit=...)"
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
        for chunk in chunks(level, dag.num_actions):
            row, children, _ = dag.children(chunk)
            np.logaddexp.at(counts, dag.state_index(children), counts[start + row])
            start += len(chunk)
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
        source, action, target = _edges(dag, states)
        edge_offsets = np.searchsorted(source, level_offsets)
        terminal = terminal_positions(dag, states)
        graph = StateGraph(states, level_offsets, source, action, target, edge_offsets, terminal)
        dag.__dict__["_state_graph"] = graph
    return graph


def _check_edges(dag: Enumerable, size: float, total: int) -> None:
    """Raise EnumerationError if the edges of ``total`` states take ``size`` bytes and that is too much.

    A limit that the user has set for the states holds for their edges as well, whose memory is only reported.
    """
    text = f"{type(dag).__name__}: the edges of {total:,} states take about {size / 1e6:.3g} MB"
    if "_state_limit" not in dag.__dict__:
        limit = f"limit {ENUMERATION_BYTES / 1e6:.3g} MB"
        raise EnumerationError(f"{text} ({limit}); to list them nevertheless, raise it: dag.enumerate(limit=...)")
    logger.warning(text)


def _edges(dag: Enumerable, states: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Parent, action and child of every edge, positions in ``states``, sorted by parent."""
    parts, start, count, checked = [], 0, 0, False
    for chunk in chunks(states, dag.num_actions):
        source, children, action = dag.children(chunk)
        count += len(source)
        size = count * EDGE_BYTES + len(states) * bytes_per_state(dag)
        if size > ENUMERATION_BYTES and not checked:
            _check_edges(dag, count * EDGE_BYTES * len(states) / (start + len(chunk)), len(states))
            checked = True
        if (source[1:] < source[:-1]).any():  # An override of children() may list the edges in any order.
            order = source.argsort(kind="stable")
            source, children, action = source[order], children[order], action[order]
        parts.append((source + start, action, dag.state_index(children)))
        start += len(chunk)
    source, action, target = (np.concatenate(column) for column in zip(*parts, strict=True))
    return source, action, target
