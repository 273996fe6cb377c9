"""Transitions of an enumerable DAG as arrays over states, in the order of ``dag.levels()``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.errors import NoLegalActionError
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.enumeration import ENUMERATION_BYTES, EnumerationError, state_graph
from gfn_envs.validation import counted

#: Features and masks are computed in chunks of about this many numbers.
CHUNK = 2**22


class Tables(NamedTuple):
    """Transitions, masks and features of all s states, which have at most k nonzero features."""

    child: IntArray
    """Child that each action leads to, -1 if illegal; int32 (s, num_actions)."""
    backward_action: IntArray
    """Backward action that undoes each action; int32 (s, num_actions)."""
    backward_mask: BoolArray
    """(s, num_backward_actions)."""
    num_parents: IntArray
    """Number of legal backward actions; int32 (s,)."""
    ends: BoolArray
    """True if a state is terminal (s,)."""
    feature: IntArray
    """Nonzero columns of ``dag.encode``; int32 (s, k)."""
    value: FloatArray
    """Values in these columns, 0 if a state has fewer than k; float32 (s, k)."""


def tables(dag: Dag) -> Tables:
    """The tables of ``dag``, computed once and stored with it.

    Raises:
        EnumerationError: the DAG or its tables do not fit in ``ENUMERATION_BYTES``.
        NoLegalActionError: a non-terminal state has no legal action.
    """
    made = dag.__dict__.get("_tables")
    if made is None:
        made = dag.__dict__["_tables"] = _make(dag)
    return made


def _make(dag: Dag) -> Tables:
    size = dag.num_states * (8 * dag.num_actions + dag.num_backward_actions)
    if size > ENUMERATION_BYTES:
        raise EnumerationError(
            f"{dag!r} has {counted(dag.num_states)} states and {dag.num_actions:,} actions: tables of its transitions "
            f"would take {size / 1024**3:.1f} GiB (limit {ENUMERATION_BYTES / 1024**3:g} GiB)"
        )
    graph = state_graph(dag)
    shape = len(graph.states), dag.num_actions
    child, backward_action = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    child[graph.source, graph.action] = graph.target
    ends = np.zeros(len(graph.states), dtype=bool)
    ends[graph.terminal] = True
    stuck = ~ends & (child < 0).all(1)
    if stuck.any():
        raise NoLegalActionError(f"state {graph.states[int(stuck.argmax())].tolist()} has no legal action")
    masks, features, rows = [], [], max(1, CHUNK // (dag.num_features + dag.num_backward_actions))
    for first in range(0, len(graph.states), rows):
        some = graph.states[first : first + rows]
        masks.append(dag.backward_mask(some))
        features.append(_sparse(dag.encode(some)))
    for first in range(0, len(graph.source), CHUNK):
        source, action = graph.source[first : first + CHUNK], graph.action[first : first + CHUNK]
        backward_action[source, action] = dag.backward_action(graph.states[source], action)
    backward_mask = np.concatenate(masks)
    return Tables(
        child,
        backward_action,
        backward_mask,
        backward_mask.sum(1, dtype=np.int32),
        ends,
        *(_stack([part[i] for part in features]) for i in range(2)),
    )


def _sparse(encoding: FloatArray) -> tuple[IntArray, FloatArray]:
    """Nonzero columns of each row, int32 (n, k), and their values, float32 (n, k)."""
    row, column = encoding.nonzero()
    count = np.bincount(row, minlength=len(encoding))
    place = np.arange(len(row)) - np.repeat(count.cumsum() - count, count)
    columns, values = (
        np.zeros((len(encoding), count.max()), np.int32),
        np.zeros((len(encoding), count.max()), np.float32),
    )
    columns[row, place], values[row, place] = column, encoding[row, column]
    return columns, values


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Matrices concatenated by rows, padded with zeros to the same width."""
    widest = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, widest - part.shape[1]))) for part in parts])


def checked_index(dag: Dag, known: Tables, batch: Trajectories) -> IntArray:
    """Indices of a batch's states in ``dag.levels()``, (s,).

    Raises:
        KeyError: an unreachable state.
        ValueError: inconsistent arrays.
    """
    index, edges, lengths = dag.state_index(batch.states), batch.num_edges, np.diff(batch.offsets)
    fits = len(lengths) == len(batch.log_reward) and len(batch.backward_actions) == edges == len(index) - len(batch)
    fits &= batch.offsets[0] == 0 and batch.offsets[-1] == len(index) and bool((lengths > 1).all())
    fits = fits and batch.actions.min() >= 0 and int(batch.actions.max()) < dag.num_actions
    if fits:
        taken = index[batch.sources], batch.actions
        fits = np.array_equal(known.child[taken], index[batch.targets])
        fits = fits and np.array_equal(known.backward_action[taken], batch.backward_actions)
    if not fits:
        raise ValueError("inconsistent batch: states, actions, backward actions and rewards do not fit together")
    return index
