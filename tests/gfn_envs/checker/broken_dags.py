"""DAGs that each break one invariant of the checker: states, masks and transitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gfn_envs
from gfn_envs import HyperGrid
from tests.helpers import UNEVEN_EDGES, TableDag

CASES: list[Any] = []
Anything: Any = object()


def breaks(invariant: str, state: Any = None, action: int | None = None) -> Callable[[Any], Any]:
    """Register a Dag class that breaks ``invariant``, at ``state`` and ``action`` (Anything if unknown)."""

    def register(dag_class: Callable[[], gfn_envs.Dag]) -> Callable[[], gfn_envs.Dag]:
        CASES.append(pytest.param(dag_class, invariant, state, action, id=dag_class.__name__))
        return dag_class

    return register


class Grid(HyperGrid):
    """18 states: cells (x, y) with 0 <= x, y <= 2 and their stopped copies; actions +x, +y, stop."""

    def __init__(self) -> None:
        super().__init__(ndim=2, side=3)


class Table(TableDag):
    """Six states 0..5, of which 4 and 5 are terminal; 4 and 5 have backward actions 0..1 and 0..2."""

    def __init__(self, extra: list[tuple[int, int, int]] | None = None, max_length: int | None = None) -> None:
        super().__init__(UNEVEN_EDGES + (extra or []), max_length)


def at(states: np.ndarray, row: list[int]) -> np.ndarray:
    return (states == row).all(1)


# Declarations


@breaks("state_dtype")
class DtypeByName(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.state_dtype = "int16"  # type: ignore[assignment]


@breaks("observation_space")
class NoObservationSpace(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = None  # type: ignore[assignment]


# The source


@breaks("source")
class SourceOfWrongWidth(Grid):
    def source(self, n: int) -> np.ndarray:
        return np.zeros((n, 4), dtype=np.int16)


@breaks("source")
class SourceOfWrongDtype(Grid):
    def source(self, n: int) -> np.ndarray:
        return np.zeros((n, 3), dtype=np.int64)


@breaks("source")
class SourceIgnoresTheCount(Grid):
    def source(self, n: int) -> np.ndarray:
        return np.zeros((1, 3), dtype=np.int16)


@breaks("source", [0, 0, 0])
class SourceRowsDiffer(Grid):
    def source(self, n: int) -> np.ndarray:
        rows = super().source(n)
        rows[1:, 0] = 1
        return rows


@breaks("source", [0.0, 0.0, 0.0])
class SourceOfFloats(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.state_dtype = np.dtype(np.float32)

    def source(self, n: int) -> np.ndarray:
        return np.zeros((n, 3), dtype=np.float32)


@breaks("source", [0, 0, 0])
class SourceIsTerminal(Grid):
    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return super().is_terminal(states) | at(states, [0, 0, 0])


@breaks("source", [0, 0, 0])
class SourceHasABackwardAction(Grid):
    def backward_mask(self, states: np.ndarray) -> np.ndarray:
        mask = super().backward_mask(states)
        mask[at(states, [0, 0, 0]), 1] = True
        return mask


# Shapes and dtypes of what the methods return


def returns(name: str, change: Callable[[np.ndarray], np.ndarray], base: type = Grid) -> Any:
    """A subclass of ``base`` whose method ``name`` returns ``change`` of what it should."""

    def method(self: Any, *arguments: np.ndarray) -> np.ndarray:
        return change(getattr(base, name)(self, *arguments))

    return type(f"{name}-{change.__name__}", (base,), {name: method})


def as_int8(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int8)


def as_int64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64)


def as_float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def as_float64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def as_column(array: np.ndarray) -> np.ndarray:
    return array[:, None].copy()


def without_last_column(array: np.ndarray) -> np.ndarray:
    return array[:, :-1].copy()


def negative(array: np.ndarray) -> np.ndarray:
    return array - 10


def too_large(array: np.ndarray) -> np.ndarray:
    return array + 3


for _name, _change in [
    ("is_terminal", as_int8),
    ("is_terminal", as_column),
    ("forward_mask", as_int8),
    ("forward_mask", without_last_column),
    ("backward_mask", as_int8),
    ("backward_mask", without_last_column),
    ("step", as_int64),
    ("step", without_last_column),
    ("undo", as_int64),
    ("undo", without_last_column),
    ("backward_action", as_float64),
    ("backward_action", as_column),
    ("backward_action", negative),
    ("backward_action", too_large),
    ("forward_action", as_float64),
    ("forward_action", as_column),
    ("forward_action", negative),
    ("forward_action", too_large),
    ("log_reward", as_float32),
    ("log_reward", as_column),
    ("mode_index", as_float64),
    ("mode_index", as_column),
    ("mode_index", negative),
    ("encode", as_float64),
    ("encode", without_last_column),
    ("observe", as_float64),
    ("observe", without_last_column),
]:
    breaks(_name, Anything, Anything)(returns(_name, _change))
for _name, _change in [
    ("log_num_paths", as_float32),
    ("log_num_paths", as_column),
    ("contains", as_int8),
    ("contains", without_last_column),
    ("tokens", as_int8),
    ("tokens", as_float64),
    ("tokens", as_column),
    ("tokens", negative),
    ("tokens", too_large),
]:
    breaks(_name, Anything)(returns(_name, _change))
for _change in (as_int8, as_column, negative, too_large):
    breaks("labelled_graphs", Anything)(returns("labelled_graphs", _change, Table))
for _change in (as_float32, as_column):
    breaks("partial_log_reward", Anything)(returns("partial_log_reward", _change, Table))
    breaks("uniform_log_pb", Anything)(returns("uniform_log_pb", _change))


# The graph


@breaks("no cycle", Anything)
class CycleOfTwo(Table):
    """1 -> 2 -> 1."""

    def __init__(self) -> None:
        super().__init__([(2, 3, 1)], max_length=4)


@breaks("no cycle", [2])
class CycleAboveOtherStates(TableDag):
    """2 -> 2; what comes after it, 1 and 3, is not on the cycle."""

    def __init__(self) -> None:
        super().__init__([(0, 0, 1), (0, 1, 2), (2, 0, 2), (2, 1, 3), (3, 0, 1)], max_length=3)


@breaks("max_length")
class MaxLengthTooSmall(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.max_length -= 1


@breaks("max_length")
class MaxLengthTooLarge(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.max_length += 1


@breaks("walks end at terminal states", [1, 1, 1])
class DeadEnd(Grid):
    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return super().is_terminal(states) & ~at(states, [1, 1, 1])


@breaks("walks end at terminal states", [2, 2, 1])
class DeadEndOnTheLongestPath(Grid):
    """The longest path ends in a state without actions that is not terminal."""

    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return super().is_terminal(states) & (states[:, :2].sum(1) < 4)


@breaks("walks end at terminal states", Anything)
class NothingIsTerminal(Grid):
    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return np.zeros(len(states), dtype=bool)


@breaks("terminal states are final", [1, 2, 0])
class TerminalWithLegalActions(Grid):
    def is_terminal(self, states: np.ndarray) -> np.ndarray:
        return super().is_terminal(states) | at(states, [1, 2, 0])


@breaks("backward walks end at s0", [1, 0, 0])
class NoWayBack(Grid):
    def backward_mask(self, states: np.ndarray) -> np.ndarray:
        return super().backward_mask(states) & ~at(states, [1, 0, 0])[:, None]


@breaks("parents are reachable", [5], 3)
class OrphanParent(Table):
    """State 6 leads to 5, but nothing leads to 6."""

    def __init__(self) -> None:
        super().__init__([(6, 0, 5)])


@breaks("parents are reachable", [5], 3)
class OrphanParentThatClaimsTheSource(Table):
    """State 6 leads to 5, and leads back to 0; but no action at 0 leads to 6."""

    def __init__(self) -> None:
        super().__init__([(6, 0, 5)])
        self.parent[6, 0], self.forth[6, 0] = 0, 0


@breaks("parents are reachable", [1], 0)
class BackwardWalksNeverEnd(TableDag):
    """The only way back from 1 is 3, which is never reached, and from there 1."""

    def __init__(self) -> None:
        super().__init__([(0, 0, 1), (1, 0, 2), (3, 0, 1)])
        self.parent[1], self.forth[1] = [3, -1], [0, -1]
        self.parent[3, 0], self.forth[3, 0] = 1, 0


# Edges


@breaks("masks agree", [1, 2, 0], 0)
class BackwardActionMissing(Grid):
    def backward_mask(self, states: np.ndarray) -> np.ndarray:
        mask = super().backward_mask(states)
        mask[at(states, [2, 2, 0]), 0] = False
        return mask


@breaks("masks agree", [2, 2, 0], 0)
class ForwardActionMissing(Grid):
    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        mask = super().forward_mask(states)
        mask[at(states, [1, 2, 0]), 0] = False
        return mask


@breaks("undo(step) is the identity", [1, 2, 0], 0)
class UndoGoesElsewhere(Grid):
    def undo(self, states: np.ndarray, backward_actions: np.ndarray) -> np.ndarray:
        parents = super().undo(states, backward_actions)
        parents[at(states, [2, 2, 0])] = [2, 1, 0]
        return parents


@breaks("step(undo) is the identity", [3], 2)
class StepGoesElsewhere(Table):
    """3 claims to come from 1 by action 0, which leads to 2."""

    def __init__(self) -> None:
        super().__init__()
        self.parent[3, 2], self.forth[3, 2] = 1, 0


@breaks("action maps are inverse", [2], 1)
class ForwardActionSwapped(Table):
    """Two edges lead from 2 to 5; forward_action exchanges them."""

    def __init__(self) -> None:
        super().__init__()
        self.forth[5, :2] = self.forth[5, 1::-1]


@breaks("action maps are inverse", [5], 3)
class OneEdgeUndoneTwice(TableDag):
    """5 lists the edge from 3 under two backward actions."""

    def __init__(self) -> None:
        super().__init__(UNEVEN_EDGES + [(1, 2, 5)])
        self.child[1, 2] = -1
        self.parent[5, 3], self.forth[5, 3] = 3, 1


# Derived methods


def without(row: list[int], edges: tuple[np.ndarray, ...], states: np.ndarray) -> tuple[np.ndarray, ...]:
    """``edges`` without the last of those of state ``row``."""
    of_row = np.flatnonzero(at(states, row)[edges[0]])
    keep = np.delete(np.arange(len(edges[0])), of_row[-1:])
    return tuple(part[keep] for part in edges)


@breaks("children", [1, 1, 0])
class ChildMissing(Grid):
    def children(self, states: np.ndarray) -> Any:
        return without([1, 1, 0], super().children(states), states)


@breaks("children", [0, 0, 0])
class ChildrenWithOtherActions(Grid):
    def children(self, states: np.ndarray) -> Any:
        row, states, actions = super().children(states)
        return row, states, (actions + 1) % 3


@breaks("parents", [2, 1, 0])
class ParentMissing(Grid):
    def parents(self, states: np.ndarray) -> Any:
        return without([2, 1, 0], super().parents(states), states)


@breaks("parents", [5])
class DoubleEdgesMerged(Table):
    def parents(self, states: np.ndarray) -> Any:
        row, parents, actions = super().parents(states)
        keep = np.unique(np.column_stack([row, parents[:, 0]]), axis=0, return_index=True)[1]
        return row[keep], parents[keep], actions[keep]


@breaks("uniform_log_pb", [1, 1, 0])
class UniformBackwardPolicyIsOne(Grid):
    def uniform_log_pb(self, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [1, 1, 0]), 0.0, super().uniform_log_pb(states))
