"""Tables of the states that the trajectories of a batch visit, in environments that are too large to list."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.engines.numba.tables import Tables
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag

EMPTY = np.zeros((0, 0), np.int32)


def legal_children(mask: BoolArray) -> IntArray:
    """0 for legal actions and -1 for others, as in :class:`Tables`, int32."""
    return np.subtract(mask, 1, dtype=np.int32)


def features_of(dag: Dag, listed: bool, states: IntArray) -> tuple[IntArray, FloatArray]:
    """``feature`` and ``value`` of :class:`Tables`: lists of active features, or all features without columns."""
    if not listed:
        return np.zeros((len(states), 0), np.int32), np.ascontiguousarray(dag.encode(states), np.float32)
    columns: Any = dag.active_features(states)
    return np.maximum(columns, 0).astype(np.int32), (columns >= 0).astype(np.float32)


def with_backward(
    dag: Dag, states: IntArray, child: IntArray, num_ends: int, feature: IntArray, value: FloatArray
) -> Tables:
    """Tables of states (s, state_width), of which the last ``num_ends`` are terminal."""
    backward_mask = dag.backward_mask(states)
    ends = np.zeros(len(states), dtype=bool)
    ends[len(states) - num_ends :] = True
    return Tables(child, EMPTY, backward_mask, backward_mask.sum(1, dtype=np.int32), ends, feature, value)


def tables_of(dag: Dag, listed: bool, states: IntArray) -> Tables:
    """Tables of any states (s, state_width)."""
    made = with_backward(dag, states, legal_children(dag.forward_mask(states)), 0, *features_of(dag, listed, states))
    return made._replace(ends=dag.is_terminal(states))


def check_actions(dag: Dag, made: Tables, batch: Trajectories) -> None:
    """Raise ValueError if the arrays of a batch do not fit together: compiled code does not check its indices."""
    edges, lengths = batch.num_edges, np.diff(batch.offsets)
    fits = len(lengths) == len(batch.log_reward) and len(batch.backward_actions) == edges == len(made.ends) - len(batch)
    fits &= batch.offsets[0] == 0 and batch.offsets[-1] == len(made.ends) and bool((lengths > 1).all())
    for taken, number in ((batch.actions, dag.num_actions), (batch.backward_actions, dag.num_backward_actions)):
        fits = fits and len(taken) == edges and taken.min() >= 0 and int(taken.max()) < number
    if fits:
        fits = bool((made.child[batch.sources, batch.actions] >= 0).all())
        fits = fits and bool(made.backward_mask[batch.targets, batch.backward_actions].all())
        fits = fits and bool(made.ends[batch.last].all()) and not made.ends[batch.sources].any()
    if not fits:
        raise ValueError("inconsistent batch: states, actions, backward actions and rewards do not fit together")
