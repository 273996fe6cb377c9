"""Calls into a Dag that check the shape, type and range of what comes back, and small tools of the checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.checker.report import DagError
from gfn_envs.dag import Dag

#: Edges handled at once, and about the most edges checked where the states are sampled.
CHUNK_EDGES = 2**18


def expect_none(invariant: str, message: str, states: IntArray, wrong: Any, actions: IntArray | None = None) -> None:
    """DagError at the first of ``states`` (n, state_width) where ``wrong`` (n,) is True."""
    wrong = np.asarray(wrong)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DagError(invariant, message, states[i], None if actions is None else actions[i])


def terminal_of(dag: Dag, states: IntArray) -> BoolArray:
    """is_terminal, bool (n,)."""
    terminal = dag.is_terminal(states.copy())
    if terminal.shape != (len(states),) or terminal.dtype != np.bool_:
        raise DagError("is_terminal", f"must be bool (n,), got {terminal.dtype} {terminal.shape}", states[0])
    return terminal


def mask_of(dag: Dag, which: str, states: IntArray) -> BoolArray:
    """forward_mask or backward_mask, bool of its declared width."""
    mask = getattr(dag, f"{which}_mask")(states.copy())
    width = dag.num_actions if which == "forward" else dag.num_backward_actions
    if mask.shape != (len(states), width) or mask.dtype != np.bool_:
        raise DagError(
            f"{which}_mask", f"must be bool of shape {(len(states), width)}, got {mask.dtype} {mask.shape}", states[0]
        )
    return mask


def step_of(dag: Dag, states: IntArray, actions: IntArray) -> IntArray:
    """step, of the shape and dtype of ``states``."""
    return same_kind("step", dag.step(states, actions), states)


def same_kind(name: str, after: IntArray, before: IntArray) -> IntArray:
    """``after``, refused where its shape or dtype is not that of ``before``."""
    if after.shape != before.shape or after.dtype != before.dtype:
        raise DagError(
            name, f"must keep shape {before.shape} and dtype {before.dtype}, got {after.shape} {after.dtype}", before[0]
        )
    return after


def one_per_row(name: str, values: Any, kind: Any, states: IntArray) -> Any:
    """``values``, refused where they are not (n,) of ``kind``."""
    if values.shape != (len(states),) or not np.issubdtype(values.dtype, kind):
        raise DagError(name, f"must be {kind.__name__} (n,), got {values.dtype} {values.shape}", states[0])
    return values


def actions_in_range(name: str, actions: IntArray, count: int, states: IntArray) -> IntArray:
    """``actions`` (n,), refused where they are not integers 0..count - 1."""
    one_per_row(name, actions, np.integer, states)
    expect_none(name, f"must lie in 0..{count - 1}", states, (actions < 0) | (actions >= count), actions)
    return actions


def log_reward_of(dag: Dag, objects: IntArray) -> Any:
    """log_reward; an environment that refuses its own reward is broken too."""
    try:
        return dag.log_reward(objects)
    except ValueError as error:
        raise DagError("log_reward is finite", f"log_reward raises {error}") from error


def contains_of(dag: Dag, states: IntArray, objects: IntArray) -> BoolArray:
    """contains, bool (n, m)."""
    table, shape = dag.contains(states, objects), (len(states), len(objects))
    if table.shape != shape or table.dtype != np.bool_:
        raise DagError("contains", f"must be bool of shape {shape}, got {table.dtype} {table.shape}", states[0])
    return table


def chunks(states: IntArray, edges_per_state: int) -> Iterator[IntArray]:
    """``states``, about ``CHUNK_EDGES`` edges at a time."""
    size = max(1, CHUNK_EDGES // edges_per_state)
    return (states[start : start + size] for start in range(0, len(states), size))


def defines(dag: Dag, name: str) -> bool:
    """Whether ``dag`` has the optional capability ``name``.

    Where log_num_paths is the base class's, which enumerates all states, the environment adds nothing to check.
    """
    if name == "log_num_paths":
        return type(dag).log_num_paths is not Dag.log_num_paths
    arguments = (dag.source(1), dag.source(0)) if name == "contains" else (dag.source(1),)
    try:
        getattr(dag, name)(*arguments)
    except NotImplementedError:
        return False
    return True
