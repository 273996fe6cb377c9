"""Transitions of an enumerable DAG as arrays over states, in the order of ``dag.levels()``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.rollout import NoLegalActionError
from gfn_envs import exact
from gfn_envs.dag import BoolArray, Dag, FloatArray, IntArray

#: States whose masks and features are computed at a time.
CHUNK = 8192


class Tables(NamedTuple):
    """What rollouts and losses ask of a DAG, for every state; s states of at most k features that are not 0."""

    child: IntArray
    """The state each action leads to, -1 where it is illegal; int32 (s, num_actions)."""
    backward_action: IntArray
    """The backward action that undoes each; int32 (s, num_actions)."""
    backward_mask: BoolArray
    """(s, num_backward_actions)."""
    num_parents: IntArray
    """Legal backward actions; int32 (s,)."""
    ends: BoolArray
    """Whether a state is terminal (s,)."""
    feature: IntArray
    """Columns of ``dag.encode`` that are not 0; int32 (s, k)."""
    value: FloatArray
    """What stands there, 0 where a state has fewer than k; float32 (s, k)."""


def tables(dag: Dag) -> Tables:
    """The tables of ``dag``, made once and kept with it.

    Raises:
        EnumerationError: when the DAG is too large.
        NoLegalActionError: a state that is not terminal has no legal action.
    """
    made = dag.__dict__.get("_tables")
    if made is None:
        made = dag.__dict__["_tables"] = _make(dag)
    return made


def _make(dag: Dag) -> Tables:
    graph = exact.state_graph(dag)
    shape = len(graph.states), dag.num_actions
    child, backward_action = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    child[graph.source, graph.action] = graph.target
    ends = np.zeros(len(graph.states), dtype=bool)
    ends[graph.terminal] = True
    stuck = ~ends & (child < 0).all(1)
    if stuck.any():
        raise NoLegalActionError(f"state {graph.states[int(stuck.argmax())].tolist()} has no legal action")
    masks, features = [], []
    for first in range(0, len(graph.states), CHUNK):
        some = graph.states[first : first + CHUNK]
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
    """The columns of each row that are not 0, int32 (n, k), and what stands there, float32 (n, k)."""
    most = max(1, int((encoding != 0).sum(1).max()))
    columns = np.argsort(encoding == 0, axis=1, kind="stable")[:, :most]
    return columns.astype(np.int32), np.take_along_axis(encoding, columns, 1).astype(np.float32)


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Matrices one below another, the narrow ones filled up with zeros."""
    most = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, most - part.shape[1]))) for part in parts])
