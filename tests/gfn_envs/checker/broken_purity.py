"""DAGs that each break purity: every method, in each way to break it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.gfn_envs.checker.broken_dags import Anything, Grid, Table, breaks
from tests.helpers import TableDag

METHODS = ["is_terminal", "forward_mask", "backward_mask", "encode", "observe", "log_reward", "partial_log_reward"]
METHODS += [
    "contains",
    "log_num_paths",
    "tokens",
    "labelled_graphs",
    "mode_index",
    "uniform_log_pb",
    "step",
    "undo",
    "backward_action",
    "forward_action",
]
EDGE_LISTS = ["children", "parents"]


def overriding(name: str, how: str, body: Callable[..., Any]) -> Any:
    def method(self: Any, *arguments: np.ndarray) -> Any:
        return body(self, getattr(TableDag, name), *arguments)

    return type(f"{name}-{how}", (Table,), {name: method})


def changes_states(self: Any, original: Any, states: np.ndarray, *rest: np.ndarray) -> Any:
    result = original(self, states, *rest)
    states[:] = 0
    return result


def changes_actions(self: Any, original: Any, states: np.ndarray, actions: np.ndarray) -> Any:
    result = original(self, states, actions)
    actions[:] = 0
    return result


def keeps_its_result(self: Any, original: Any, *arguments: np.ndarray) -> Any:
    """Equal results are one array."""
    result = original(self, *arguments)
    parts = result if isinstance(result, tuple) else (result,)
    kept = self.__dict__.setdefault("kept", {})
    parts = tuple(kept.setdefault((part.tobytes(), part.shape, part.dtype.str), part) for part in parts)
    return parts if isinstance(result, tuple) else parts[0]


def mixes_rows(self: Any, original: Any, *arguments: np.ndarray) -> Any:
    """Each row gets the result of the next."""
    return np.roll(original(self, *arguments), -1, axis=0)


for _name in METHODS + EDGE_LISTS:
    breaks("nothing is mutated", Anything)(overriding(_name, "changes states", changes_states))
    breaks("fresh arrays", Anything)(overriding(_name, "keeps its result", keeps_its_result))
for _name in ["step", "undo", "backward_action", "forward_action"]:
    breaks("nothing is mutated", Anything)(overriding(_name, "changes actions", changes_actions))
for _name in METHODS:
    breaks("rows are independent", Anything)(overriding(_name, "mixes rows", mixes_rows))


@breaks("fresh arrays", Anything)
class SourceIsKept(Grid):
    def source(self, n: int) -> np.ndarray:
        self.__dict__.setdefault("kept", super().source(1000))
        return self.kept[:n]


@breaks("fresh arrays", Anything)
class ObservationIsAView(Grid):
    def observe(self, states: np.ndarray) -> np.ndarray:
        return states[:, :-1]


@breaks("fresh arrays", Anything)
class ActionIsPassedThrough(Grid):
    def backward_action(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return actions


@breaks("rows are independent", Anything)
class FeaturesAreCentred(Grid):
    def encode(self, states: np.ndarray) -> np.ndarray:
        features = super().encode(states)
        return features - features.mean(0)
