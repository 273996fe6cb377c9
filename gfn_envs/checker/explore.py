"""Selection of the states to check: all of them, or those on random walks."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray, row_keys, unique_rows
from gfn_envs.checker.calls import DagError, chunks, mask_of, same_kind, step_of
from gfn_envs.dag import Dag


def explore(dag: Dag, max_states: int) -> IntArray | None:
    """Every state reachable from s0, or None if there are more than ``max_states``."""
    known = frontier = dag.source(1)
    while len(frontier):
        visited = len(known)
        for chunk in chunks(frontier, dag.num_actions):
            row, actions = np.nonzero(mask_of(dag, "forward", chunk))
            if len(row):
                children = unique_rows(step_of(dag, chunk[row], actions))
                known = np.concatenate([known, children[~np.isin(row_keys(children), row_keys(known))]])
            if len(known) > max_states:
                return None
        frontier = known[visited:]
    return known


def walk_forward(dag: Dag, num_walks: int, rng: np.random.Generator) -> tuple[IntArray, int]:
    """States on uniform forward walks, and the length of the longest walk.

    Raises:
        DagError: a walk is longer than ``max_length``.
    """
    states, visited, length = dag.source(num_walks), [], 0
    while len(states):
        visited.append(states)
        mask = mask_of(dag, "forward", states)
        alive = mask.any(1)
        if not alive.any():
            break
        length += 1
        if length > dag.max_length:
            raise DagError("max_length", f"a walk is longer than max_length = {dag.max_length}", states[alive][0])
        states = step_of(dag, states[alive], random_legal(mask[alive], rng))
    return np.concatenate(visited), length


def walk_backward(dag: Dag, states: IntArray, rng: np.random.Generator) -> IntArray:
    """States on uniform backward walks from ``states``.

    Raises:
        DagError: a walk does not end at s0 within ``max_length`` actions.
    """
    visited = [states]
    source = dag.source(1)
    for _ in range(dag.max_length + 1):
        mask = mask_of(dag, "backward", states)
        alive = mask.any(1)
        stuck = ~alive & (states != source).any(1)
        if stuck.any():
            raise DagError("backward walks end at s0", "no backward action, yet not s0", states[stuck][0])
        states = states[alive]
        if not len(states):
            return np.concatenate(visited)
        states = same_kind("undo", dag.undo(states, random_legal(mask[alive], rng)), states)
        visited.append(states)
    raise DagError("backward walks end at s0", f"a backward walk is longer than {dag.max_length}", states[0])


def random_legal(mask: BoolArray, rng: np.random.Generator) -> IntArray:
    """One uniformly chosen True column of each row, (n,)."""
    return (mask * (1.0 - rng.random(mask.shape))).argmax(1)
