"""The edges of a DAG in topological order, a few at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.enumeration import QUIET_SECONDS, StateGraph, check_enumerable, is_listable, state_graph

logger = logging.getLogger(__name__)

#: The edges of a DAG are kept between calls if they cannot take more memory than this, in bytes.
KEPT_BYTES = 2**30


class Block(NamedTuple):
    """Some non-terminal states in topological order, and the edges that leave them, sorted by state."""

    states: IntArray
    """(n, state_width)"""
    row: IntArray
    """Index in ``states`` of the state that each edge leaves (e,)."""
    action: IntArray
    """(e,)"""
    source: IntArray
    """Position in ``dag.levels()`` of the state that each edge leaves (e,)."""
    target: IntArray
    """Position of the state that it leads to (e,)."""
    cuts: list[int]
    """Edges ``cuts[k]:cuts[k + 1]`` leave states of one level."""


def edge_blocks(dag: Dag, chunk: int) -> tuple[Iterator[Block], Callable[[], IntArray]]:
    """Every edge of ``dag``, in blocks of up to ``chunk`` states, and a function for positions of terminal states (x,).

    The function is called after the last block. The edges come from the state graph, which ``dag`` keeps, or are
    computed anew if it would be large.

    Raises:
        EnumerationError: the DAG has too many states.
    """
    small = 24 * dag.num_states * dag.num_actions <= KEPT_BYTES
    if small or "_state_graph" in dag.__dict__:
        graph = state_graph(dag)
        return graph_blocks(graph, chunk), lambda: graph.terminal
    if not is_listable(dag, dag.num_states):
        check_enumerable(dag, dag.num_states)
    ends: list[IntArray] = []
    return _computed_blocks(dag, chunk, ends), lambda: np.concatenate(ends)


def graph_blocks(graph: StateGraph, chunk: int) -> Iterator[Block]:
    """The blocks of an enumerated graph. Small levels share a block."""
    # The first edge of each state that has edges, and the end.
    firsts = np.append(np.flatnonzero(np.diff(graph.source, prepend=-1)), len(graph.source))
    for k in range(0, len(firsts) - 1, chunk):
        some = firsts[k : k + chunk + 1]
        start, stop = some[0], some[-1]
        levels = graph.edge_offsets[(graph.edge_offsets > start) & (graph.edge_offsets < stop)]
        yield Block(
            graph.states[graph.source[some[:-1]]],
            np.repeat(np.arange(len(some) - 1), np.diff(some)),
            graph.action[start:stop],
            graph.source[start:stop],
            graph.target[start:stop],
            [0, *(levels - start).tolist(), int(stop - start)],
        )


def _computed_blocks(dag: Dag, chunk: int, ends: list[IntArray]) -> Iterator[Block]:
    """The blocks of a DAG whose edges are not kept, each on one level. Positions of terminal states go to ``ends``."""
    start = 0
    for level in dag.levels():
        terminal = dag.is_terminal(level)
        inner = np.flatnonzero(~terminal)
        ends.append(start + np.flatnonzero(terminal))
        for first in range(0, len(inner), chunk):
            place = inner[first : first + chunk]
            states = level[place]
            row, children, action = dag.children(states)
            yield Block(states, row, action, start + place[row], dag.state_index(children), [0, len(row)])
        start += len(level)


class Countdown:
    """Log lines of a long computation, at level WARNING: how far it is, and how long it will take.

    Args:
        dag: the environment.
        what: name of the computation.
        unit: name of the counted items.
        total: number of items.
    """

    def __init__(self, dag: Dag, what: str, unit: str, total: int):
        self.dag, self.what, self.unit, self.total = dag, what, unit, total
        self.start = self.last = time.monotonic()

    def report(self, done: int) -> None:
        """Log that ``done`` of them are ready, at most once in ``QUIET_SECONDS``."""
        now = time.monotonic()
        if now - self.last >= QUIET_SECONDS:
            self.last, left = now, (now - self.start) * (self.total / done - 1)
            text = "%s of %s: %s of %s %s, about %.0f s left"
            count = f"{done:,}", f"{self.total:,}"
            logger.warning(text, self.what, type(self.dag).__name__, *count, self.unit, left)
