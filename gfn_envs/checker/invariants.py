"""Invariants of the required methods: source, masks, edges in both directions, cycles, rewards, encodings, counts."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import IntArray, observation_at, row_keys
from gfn_envs.checker.calls import (
    DagError,
    actions_in_range,
    chunks,
    expect_none,
    log_reward_of,
    mask_of,
    one_per_row,
    same_kind,
    step_of,
    terminal_of,
)
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError


def check_source(dag: Dag) -> None:
    """s0: equal rows of the declared width and dtype, not terminal, without backward actions."""
    rows = dag.source(3)
    if np.shares_memory(rows, dag.source(3)):
        raise DagError("fresh arrays", "source returned the same memory twice", rows[0])
    if rows.shape != (3, dag.state_width) or rows.dtype != dag.state_dtype:
        raise DagError(
            "source",
            f"source(3) has shape {rows.shape} and dtype {rows.dtype}, declared "
            f"{(3, dag.state_width)} and {dag.state_dtype}",
        )
    if not np.issubdtype(rows.dtype, np.integer) or (rows != rows[0]).any():
        raise DagError("source", "rows of source(3) must be equal integers", rows[0])
    if terminal_of(dag, rows).any():
        raise DagError("source", "s0 is terminal", rows[0])
    if mask_of(dag, "backward", rows).any():
        raise DagError("source", "s0 has a backward action", rows[0])


def check_graph(dag: Dag, states: IntArray) -> int:
    """Parents are reachable, there is no cycle, the longest path has ``max_length`` actions. Returns that number."""
    order = np.argsort(keys := row_keys(states))
    row, back = np.nonzero(mask_of(dag, "backward", states))
    if len(row):
        unknown = ~np.isin(row_keys(same_kind("undo", dag.undo(states[row], back), states[row])), keys)
        expect_none("parents are reachable", "undo leads to a state that s0 does not", states[row], unknown, back)
    row, actions = np.nonzero(mask_of(dag, "forward", states))
    target = order[np.searchsorted(keys[order], row_keys(dag.step(states[row], actions)))]
    pending = np.bincount(target, minlength=len(states))
    depth, ready = 0, pending == 0
    resolved = int(ready.sum())
    while True:
        edges = ready[row]
        released = np.bincount(target[edges], minlength=len(states))
        pending -= released
        ready = (released > 0) & (pending == 0)
        if not ready.any():
            break
        depth, resolved = depth + 1, resolved + int(ready.sum())
    if resolved < len(states):
        # Every pending state has a pending predecessor, so following predecessors long enough ends on a cycle.
        edges, before = pending[row] > 0, np.zeros(len(states), dtype=np.int64)
        before[target[edges]] = row[edges]
        state = int(np.argmax(pending > 0))
        for _ in range(len(states)):
            state = before[state]
        raise DagError("no cycle", "a state can be reached from itself", states[state])
    if depth > dag.max_length or (depth < dag.max_length and not dag.max_length_is_bound):
        raise DagError("max_length", f"the longest path has {depth} actions, declared max_length = {dag.max_length}")
    return depth


def check_masks(dag: Dag, states: IntArray) -> None:
    """The forward mask is all False on terminal states only, the backward mask on s0 only."""
    terminal = terminal_of(dag, states)
    dead_end = ~mask_of(dag, "forward", states).any(1) & ~terminal
    expect_none("walks end at terminal states", "no forward action, yet not terminal", states, dead_end)
    open_end = mask_of(dag, "forward", states).any(1) & terminal
    expect_none("terminal states are final", "terminal, yet a forward action is legal", states, open_end)
    orphan = ~mask_of(dag, "backward", states).any(1) & (states != dag.source(1)).any(1)
    expect_none("backward walks end at s0", "no backward action, yet not s0", states, orphan)


def check_edges(dag: Dag, states: IntArray) -> int:
    """step and undo are inverse, action maps are inverse and masks agree. Returns the number of forward edges."""
    row, actions = np.nonzero(mask_of(dag, "forward", states))
    parents = states[row]
    if len(row):
        children = step_of(dag, parents, actions)
        back = actions_in_range(
            "backward_action", dag.backward_action(parents, actions), dag.num_backward_actions, parents
        )
        legal = mask_of(dag, "backward", children)[np.arange(len(row)), back]
        expect_none("masks agree", "the edge taken forward is illegal backward", parents, ~legal, actions)
        wrong = (dag.undo(children, back) != parents).any(1)
        expect_none(
            "undo(step) is the identity", "undo(step(s, a), backward_action(s, a)) != s", parents, wrong, actions
        )
        wrong = (
            actions_in_range("forward_action", dag.forward_action(children, back), dag.num_actions, children) != actions
        )
        expect_none(
            "action maps are inverse", "forward_action(child, backward_action(s, a)) != a", parents, wrong, actions
        )
    backward_edges(dag, states)
    return len(row)


def backward_edges(dag: Dag, states: IntArray) -> None:
    """The second half of :func:`check_edges`, which starts from the children."""
    row, back = np.nonzero(mask_of(dag, "backward", states))
    children = states[row]
    if not len(row):
        return
    parents = same_kind("undo", dag.undo(children, back), children)
    actions = actions_in_range("forward_action", dag.forward_action(children, back), dag.num_actions, children)
    legal = mask_of(dag, "forward", parents)[np.arange(len(row)), actions]
    expect_none("masks agree", "the edge taken backward is illegal forward", children, ~legal, back)
    wrong = (dag.step(parents, actions) != children).any(1)
    expect_none("step(undo) is the identity", "step(undo(s, b), forward_action(s, b)) != s", children, wrong, back)
    wrong = (
        actions_in_range("backward_action", dag.backward_action(parents, actions), dag.num_backward_actions, parents)
        != back
    )
    expect_none("action maps are inverse", "backward_action(parent, forward_action(s, b)) != b", children, wrong, back)


def check_derived(dag: Dag, states: IntArray) -> None:
    """children, parents and uniform_log_pb, which may be overridden, agree with the masks and transitions."""
    row, actions = np.nonzero(mask_of(dag, "forward", states))
    children = _edge_rows(row, dag.step(states[row], actions), actions)
    _same_edges("children", "differ from forward_mask and step", states, children, dag.children(states.copy()))
    row, back = np.nonzero(mask_of(dag, "backward", states))
    parents = _edge_rows(row, dag.undo(states[row], back), dag.forward_action(states[row], back))
    _same_edges("parents", "differ from backward_mask and undo", states, parents, dag.parents(states.copy()))
    count = np.maximum(mask_of(dag, "backward", states).sum(1), 1)
    log_pb = one_per_row("uniform_log_pb", dag.uniform_log_pb(states), np.float64, states)
    wrong = np.abs(log_pb + np.log(count)) > 1e-9
    expect_none("uniform_log_pb", "is not -log of the number of backward actions", states, wrong)


def _same_edges(name: str, message: str, states: IntArray, expected: IntArray, edges: tuple[IntArray, ...]) -> None:
    found = _edge_rows(*edges)
    if np.array_equal(found, expected):
        return
    # Edges may be in any order. Sorting wide rows is slow, so the usual order is tried first.
    found, expected = (rows[np.lexsort(rows.T[::-1])] for rows in (found, expected))
    if np.array_equal(found, expected):
        return
    for i in range(len(states)):
        if not np.array_equal(found[found[:, 0] == i], expected[expected[:, 0] == i]):
            raise DagError(name, message, states[i])
    raise DagError(name, "name rows outside of the batch", states[0])


def _edge_rows(row: IntArray, states: IntArray, actions: IntArray) -> IntArray:
    """Edges as rows (row, state, action)."""
    return np.column_stack([row, states, actions]).astype(np.int64)


def check_rewards(dag: Dag, states: IntArray) -> None:
    """log_reward is float64 (n,) and finite; mode_index is an integer (n,) of at least -1."""
    objects = states[terminal_of(dag, states)]
    if len(objects):
        log_reward = one_per_row("log_reward", log_reward_of(dag, objects), np.float64, objects)
        expect_none("log_reward is finite", "log_reward is not finite", objects, ~np.isfinite(log_reward))
        modes = one_per_row("mode_index", dag.mode_index(objects), np.integer, objects)
        expect_none("mode_index", "must be -1 or more", objects, modes < -1)


def check_encodings(dag: Dag, states: IntArray) -> None:
    """encode is float32 (n, num_features) and finite; observations lie in observation_space."""
    features = dag.encode(states)
    if features.shape != (len(states), dag.num_features) or features.dtype != np.float32:
        raise DagError(
            "encode",
            f"must be float32 of shape {(len(states), dag.num_features)}, got {features.dtype} {features.shape}",
        )
    expect_none("encode", "is not finite", states, ~np.isfinite(features).all(1))
    low, high = dag.feature_bounds
    outside = ((features < low) | (features > high)).any(1)
    expect_none("encode", f"is outside feature_bounds = {dag.feature_bounds}", states, outside)
    observations = dag.observe(states)
    for i in range(len(states)):
        row = observation_at(observations, i)
        if not dag.observation_space.contains(row):
            raise DagError("observe", f"observation {row!r} is outside {dag.observation_space}", states[i])


def check_encodings_differ(dag: Dag, states: IntArray) -> None:
    """encode does not give all non-terminal states the same features: no network could tell them apart."""
    inner = states[~terminal_of(dag, states)]
    first = dag.encode(inner[:1])
    if len(inner) > 1 and all((dag.encode(chunk) == first).all() for chunk in chunks(inner, dag.num_actions)):
        raise DagError("encode tells states apart", f"is the same for all {len(inner)} non-terminal states", inner[1])


def check_counts(dag: Dag, states: IntArray) -> None:
    """Enumeration agrees with exploration: counts, levels, terminal states and both indices."""
    terminal = states[terminal_of(dag, states)]
    try:
        listed = np.concatenate(list(dag.levels()))
        counts = (dag.num_states, len(listed), dag.num_terminal_states, len(dag.terminal_states()))
    except EnumerationError as error:
        raise DagError("counts", f"{len(states)} states are reachable, yet enumeration failed: {error}") from error
    if counts != (len(states), len(states), len(terminal), len(terminal)):
        raise DagError(
            "counts",
            f"reachable: {len(states)} states, {len(terminal)} terminal; declared num_states = {counts[0]}, "
            f"levels() lists {counts[1]}, num_terminal_states = {counts[2]}, terminal_states() lists {counts[3]}",
        )
    if not np.array_equal(np.sort(row_keys(listed)), np.sort(row_keys(states))):
        raise DagError("counts", "levels() lists other states than those reachable from s0")
    if not np.array_equal(np.sort(row_keys(dag.terminal_states())), np.sort(row_keys(terminal))):
        raise DagError("counts", "terminal_states() lists other states than the terminal ones")
    if not np.array_equal(dag.state_index(listed), np.arange(len(listed))):
        raise DagError("counts", "state_index() is not the position in levels()")
    if not np.array_equal(dag.terminal_index(dag.terminal_states()), np.arange(len(terminal))):
        raise DagError("counts", "terminal_index() is not the position in terminal_states()")
    row, children, _ = dag.children(listed)
    level_of = np.repeat(np.arange(len(list(dag.levels()))), [len(level) for level in dag.levels()])
    wrong = level_of[dag.state_index(children)] <= level_of[row]
    expect_none("levels", "levels() is not a topological order: a child is not after its parent", listed[row], wrong)
