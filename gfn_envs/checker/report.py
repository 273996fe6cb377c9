"""What check_dag reports, and what it raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray


class DagError(AssertionError):
    """A DAG breaks one of its invariants.

    Attributes:
        invariant: short name of the invariant.
        state: the offending row as a list, where there is one.
        action: the offending forward or backward action, where there is one.
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
    """What was checked: all states (``exhaustive``) or those met on random walks."""

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
