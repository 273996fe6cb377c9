"""Building blocks of the checks: the error, the report, and method calls that check shape, dtype and range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.dag import Dag

#: Number of edges per chunk, and about the largest number of edges checked if the states are sampled.
CHUNK_EDGES = 2**18


class DagError(AssertionError):
    """A DAG breaks one of its invariants.

    Attributes:
        invariant: short name of the invariant.
        state: the state row that breaks it, as a list; None if no single state does.
        action: the forward or backward action that breaks it; None if no single action does.
    """

    def __init__(self, invariant: str, message: str, state: IntArray | None = None, action: Any = None):
        self.invariant = invariant
        self.state = None if state is None else np.asarray(state).tolist()
        self.action = None if action is None else int(action)
        place = "" if self.state is None else f" at state {self.state}"
        place += "" if self.action is None else f", action {self.action}"
        super().__init__(f"[{invariant}] {message}{place}")


@dataclass(frozen=True)
class CheckReport:
    """Result of a successful check.

    Attributes:
        exhaustive: True if every state was checked, False if only states on random walks were.
        num_states, num_terminal_states, num_edges: numbers of those that were checked.
        longest_path: number of actions in the longest path found.
    """

    exhaustive: bool
    num_states: int
    num_terminal_states: int
    num_edges: int
    longest_path: int

    def __str__(self) -> str:
        scope = "every state" if self.exhaustive else "random walks"
        return (
            f"well formed on {scope}: {self.num_states:,} states, {self.num_terminal_states:,} terminal, "
            f"{self.num_edges:,} edges, longest path {self.longest_path}"
        )


def expect_none(invariant: str, message: str, states: IntArray, wrong: Any, actions: IntArray | None = None) -> None:
    """Raises DagError at the first of ``states`` (n, state_width) for which ``wrong`` (n,) is True."""
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
    """``after``; raises DagError unless it has the shape and dtype of ``before``."""
    if after.shape != before.shape or after.dtype != before.dtype:
        raise DagError(
            name, f"must keep shape {before.shape} and dtype {before.dtype}, got {after.shape} {after.dtype}", before[0]
        )
    return after


def one_per_row(name: str, values: Any, kind: Any, states: IntArray) -> Any:
    """``values``; raises DagError unless they are (n,) with a dtype of ``kind``."""
    if values.shape != (len(states),) or not np.issubdtype(values.dtype, kind):
        raise DagError(name, f"must be {kind.__name__} (n,), got {values.dtype} {values.shape}", states[0])
    return values


def actions_in_range(name: str, actions: IntArray, count: int, states: IntArray) -> IntArray:
    """``actions`` (n,); raises DagError unless they are integers 0..count - 1."""
    one_per_row(name, actions, np.integer, states)
    expect_none(name, f"must lie in 0..{count - 1}", states, (actions < 0) | (actions >= count), actions)
    return actions


def log_reward_of(dag: Dag, objects: IntArray) -> Any:
    """log_reward; a ValueError that the environment raises becomes a DagError."""
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
