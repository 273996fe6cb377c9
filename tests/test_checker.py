"""check_dag passes every environment and catches, for each invariant, a DAG that breaks exactly that one."""

from __future__ import annotations

import ast
from collections.abc import Callable
from math import comb
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gfn_envs
from gfn_envs import BitSequence, DagError, HyperGrid, check_dag, checker, make_dag
from gfn_envs.checker import CheckReport, main, parse_arguments
from gfn_envs.graph_layout import GraphLayout, NodeActions, PairActions
from tests.helpers import (
    BAG,
    BITS,
    GRID,
    IDS,
    SMALL,
    SMALL_ARGUMENTS,
    UNEVEN_EDGES,
    TableDag,
    run_python,
    small_dag,
)


def test_every_registered_environment_has_a_small_instance() -> None:
    assert set(gfn_envs.ENVIRONMENTS) <= set(SMALL_ARGUMENTS), "give the new environment an entry in helpers.py"
    assert all(SMALL_ARGUMENTS[env_id] for env_id in gfn_envs.ENVIRONMENTS)


# ---------------------------------------------------------------------- what is well formed


@pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
def test_small_instances_are_well_formed(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    report = check_dag(dag)
    assert report.exhaustive
    assert (report.num_states, report.num_terminal_states) == (dag.num_states, dag.num_terminal_states)
    assert report.longest_path == dag.max_length


@pytest.mark.parametrize("env_id", IDS)
def test_default_instances_are_well_formed(env_id: str) -> None:
    report = check_dag(make_dag(env_id), max_states=100, num_walks=50)
    assert not report.exhaustive
    assert report.num_states > 20


@pytest.mark.parametrize(
    "dag",
    [
        BitSequence(construction="non_autoregressive"),
        BitSequence(construction="non_autoregressive", word_size=1),
        HyperGrid(ndim=10, side=20),
    ],
    ids=repr,
)
@pytest.mark.timeout(30)
def test_large_environments_are_checked_in_seconds(dag: gfn_envs.Dag) -> None:
    report = check_dag(dag)
    assert not report.exhaustive
    assert report.num_states > 50
    assert report.num_edges > 1000


def test_uneven_paths_and_double_edges_are_well_formed() -> None:
    assert check_dag(TableDag(UNEVEN_EDGES)) == CheckReport(True, 6, 2, 10, 4)


@pytest.mark.parametrize(
    ("dag", "edges"),
    [
        # ndim side^(ndim - 1) (side - 1) moves and side^ndim stops.
        (make_dag(GRID, ndim=3, side=4), 3 * 4**2 * 3 + 4**3),
        # A tree has one edge fewer than states.
        (make_dag(BITS, n=8, word_size=2, num_modes=1), 1 + 4 + 16 + 64 + 256 - 1),
        # Each of the 4 slots may be the one filled, by 4 words, whatever is in the others.
        (make_dag(BITS, n=8, word_size=2, num_modes=1, construction="non_autoregressive"), 4 * 4 * 5**3),
        # 5 letters may be added to each bag that is not full.
        (make_dag(BAG, num_letters=5, capacity=6, repeats=3), 5 * comb(5 + 5, 5)),
    ],
    ids=["grid", "append", "fill", "bag"],
)
def test_edges_are_counted(dag: gfn_envs.Dag, edges: int) -> None:
    assert check_dag(dag).num_edges == edges


def test_a_sampled_check_reports_a_longest_path_that_exists() -> None:
    report = check_dag(make_dag(BITS, n=16, word_size=2, num_modes=25), max_states=10, num_walks=5)
    assert (report.exhaustive, report.longest_path, report.num_terminal_states) == (False, 8, 5)


def test_max_states_is_the_limit_of_the_exhaustive_check() -> None:
    dag = make_dag(GRID, ndim=2, side=4)
    assert check_dag(dag, max_states=32).exhaustive
    assert not check_dag(dag, max_states=31).exhaustive


# ---------------------------------------------------------------------- what is broken

CASES: list[Any] = []
Anything: Any = object()


def breaks(invariant: str, state: Any = None, action: int | None = None) -> Callable[[Any], Any]:
    """Register a Dag class that breaks ``invariant``, at ``state`` and ``action`` where these are known."""

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


def test_the_dags_that_the_broken_ones_derive_from_are_well_formed() -> None:
    assert check_dag(Grid()) == CheckReport(True, 18, 9, 21, 5)
    assert check_dag(Table()).exhaustive


@pytest.mark.parametrize(("dag_class", "invariant", "state", "action"), CASES)
def test_broken_dags_are_caught(dag_class: Any, invariant: str, state: Any, action: int | None) -> None:
    with pytest.raises(DagError) as caught:
        check_dag(dag_class())
    error = caught.value
    assert error.invariant == invariant, str(error)
    assert str(error).startswith(f"[{invariant}] ")
    if state is not Anything:
        assert error.state == state, str(error)
    if action is not Anything:
        assert error.action == action, str(error)
    if error.state is not None:
        assert f"at state {error.state}" in str(error)
    if error.action is not None:
        assert f"action {error.action}" in str(error)


def test_every_invariant_of_the_checker_has_a_broken_dag() -> None:
    """The names that the checker raises, read from its source, are those of CASES."""
    named: set[str] = set()
    sources = [path.read_text(encoding="utf-8") for path in sorted(Path(checker.__file__).parent.glob("*.py"))]
    for call in (node for source in sources for node in ast.walk(ast.parse(source))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args):
            continue
        argument = call.args[0]
        raising = ("DagError", "expect_none", "actions_in_range", "one_per_row", "_same_edges", "same_kind")
        if call.func.id in raising and isinstance(argument, ast.Constant):
            named.add(argument.value)
        if call.func.id == "mask_of":
            assert isinstance(call.args[1], ast.Constant)
            named.add(f"{call.args[1].value}_mask")
    assert named == {case.values[1] for case in CASES}


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


# Rewards


def reward_at(value: float) -> Any:
    def log_reward(self: Grid, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [2, 1, 1]), value, HyperGrid.log_reward(self, states))

    return type(f"LogReward-{value}", (Grid,), {"log_reward": log_reward})


for _value in (np.nan, np.inf, -np.inf):
    breaks("log_reward is finite", [2, 1, 1])(reward_at(_value))


@breaks("log_reward is finite", Anything)
class RewardIsRefused(HyperGrid):
    """The environment itself refuses its reward, with a ValueError."""

    def __init__(self) -> None:
        super().__init__(ndim=2, side=3, reward=lambda cells: np.where(cells[:, 0] == 2, -1.0, 1.0))


@breaks("mode_index", [2, 1, 1])
class ModeBelowMinusOne(Grid):
    def mode_index(self, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [2, 1, 1]), -2, super().mode_index(states))


def partial_at(state: int, value: float) -> Any:
    def partial_log_reward(self: Table, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [state]), value, TableDag.partial_log_reward(self, states))

    return type(f"PartialLogReward-{state}-{value}", (Table,), {"partial_log_reward": partial_log_reward})


breaks("partial_log_reward", [0])(partial_at(0, 0.5))
breaks("partial_log_reward", [3])(partial_at(3, np.nan))
breaks("partial_log_reward", [4])(partial_at(4, 0.5))


# Optional capabilities


@breaks("contains", [1, 1, 0])
class ContainsWhatIsBehind(Grid):
    """(1, 1) claims (0, 2), which none of its children claims."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) | (at(states, [1, 1, 0])[:, None] & at(objects, [0, 2, 1]))


@breaks("contains", Anything)
class ContainsNothingOfOneObject(Grid):
    """No state but itself contains (2, 2), which walks end at."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & (~at(objects, [2, 2, 1]) | at(states, [2, 2, 1])[:, None])


@breaks("contains", [0, 0, 0])
class SourceDoesNotContainAll(Grid):
    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & (states.any(1)[:, None] | ~at(objects, [2, 0, 1]))


@breaks("contains", [1, 0, 1])
class StoppedStatesContainMore(Grid):
    """The flag is forgotten: a stopped cell claims those above it. The first such state is (1, 0)."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        going = states * np.array([1, 1, 0], dtype=states.dtype)
        return np.where(
            at(states, [1, 0, 1])[:, None], super().contains(going, objects), super().contains(states, objects)
        )


@breaks("contains", Anything)
class ContainsOnlyTheNextCells(Grid):
    """Far objects are denied; every walk of length 3 meets this."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        distance = objects[None, :, :2].sum(2) - states[:, None, :2].sum(2)
        return super().contains(states, objects) & ((distance < 3) | (~states.any(1))[:, None])


@breaks("contains", [1])
class EdgeForgotten(Table):
    """1 leads to 4; the table denies it, though it is right on every walk through 3."""

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return super().contains(states, objects) & ~(at(states, [1])[:, None] & at(objects, [4]))


def paths_at(base: type, row: list[int], value: float) -> Any:
    def log_num_paths(self: Any, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, row), value, base.log_num_paths(self, states))

    return type(f"LogNumPaths-{row}-{value}", (base,), {"log_num_paths": log_num_paths})


# State 5 of the table is entered from 2, which has 2 paths, by two edges, and from 3, which has 3 paths: 7.
breaks("log_num_paths", [0, 0, 0])(paths_at(Grid, [0, 0, 0], 1.0))
breaks("log_num_paths", [2, 2, 1])(paths_at(Grid, [2, 2, 1], np.log(7.0)))
breaks("log_num_paths", [2, 2, 1])(paths_at(Grid, [2, 2, 1], np.nan))
breaks("log_num_paths", [5])(paths_at(Table, [5], np.log(6.0)))


@breaks("log_num_paths", [5])
class DoubleEdgesCountedOnce(Table):
    def __init__(self) -> None:
        super().__init__()
        single = np.minimum(self.edge_matrix, 1)
        self.path_counts = np.sum([np.linalg.matrix_power(single, t) for t in range(6)], axis=0)


@breaks("can_stop_anywhere", [1, 1, 0])
class StopIsNotEverywhere(Grid):
    """In the middle the walk must go on."""

    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        mask = super().forward_mask(states)
        mask[at(states, [1, 1, 0]), 2] = False
        return mask

    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states, self.declared_num_terminal_states = 17, 8

    def contains(self, states: np.ndarray, objects: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@breaks("can_stop_anywhere", [0, 2, 0])
class StopIsTheFirstAction(Grid):
    """Actions in another order: stop, +x, +y. The last one is illegal where y is 2."""

    def forward_mask(self, states: np.ndarray) -> np.ndarray:
        return np.roll(super().forward_mask(states), 1, axis=1)

    def step(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return super().step(states, (actions - 1) % 3)

    def backward_action(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return (actions - 1) % 3

    def forward_action(self, states: np.ndarray, backward_actions: np.ndarray) -> np.ndarray:
        return (backward_actions + 1) % 3


class Stops(TableDag):
    """0 -> 1 by action 0, and each stops by action 1, the last, in a state of its own."""

    can_stop_anywhere = True

    def __init__(self, edges: Any = ((0, 0, 1), (0, 1, 2), (1, 1, 3))) -> None:
        super().__init__(list(edges))


def test_stops_anywhere_are_well_formed() -> None:
    assert check_dag(Stops()) == CheckReport(True, 4, 2, 3, 2)


@breaks("can_stop_anywhere", [0], 0)
class AnotherActionEnds(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 0, 2), (0, 1, 1)])


@breaks("can_stop_anywhere", [0], 1)
class LastActionGoesOn(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 1, 1), (1, 1, 2)])


@breaks("can_stop_anywhere", [2])
class StopsMeet(Stops):
    def __init__(self) -> None:
        super().__init__([(0, 0, 1), (0, 1, 2), (1, 1, 2)])


@breaks("tokens", [2, 1, 0])
class TokensShared(Grid):
    """(1, 2) has the tokens of (2, 1), which is found after it."""

    def tokens(self, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [1, 2, 0])[:, None], [2, 1], super().tokens(states))


@breaks("tokens")
class TokensNotCounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.num_tokens = None


@breaks("tokens")
class TokensDeclaredAlone(Grid):
    def tokens(self, states: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Pairs(Grid):
    """A node for each coordinate, labelled by it, and one that is absent; all present ones are related."""

    def __init__(self, forward: list[int] | None = None) -> None:
        super().__init__()
        places = PairActions(np.array([0, 4] if forward is None else forward)), NodeActions(1, np.arange(2))
        self.graph_layout = GraphLayout(3, 4, 2, *places)

    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = np.zeros((len(states), 3, 3), dtype=np.int64)
        graphs[:, :2, :2] = 1
        graphs[:, [0, 1], [0, 1]] = states[:, :2] + 1
        return graphs


@breaks("labelled_graphs", [2, 1, 0])
class GraphsShared(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        return super().labelled_graphs(np.where(at(states, [1, 2, 0])[:, None], [2, 1, 0], states))


@breaks("labelled_graphs", [1, 1, 0])
class AbsentNodeRelated(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = super().labelled_graphs(states)
        graphs[:, 0, 2] = at(states, [1, 1, 0])
        return graphs


@breaks("labelled_graphs", [1, 1, 0])
class RelationUnknown(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        graphs = super().labelled_graphs(states)
        graphs[:, 0, 1] += at(states, [1, 1, 0])
        return graphs


@breaks("labelled_graphs")
class ActionsShareAPlace(Pairs):
    def __init__(self) -> None:
        super().__init__([4, 4])


@breaks("labelled_graphs")
class ActionsOfNoPair(Pairs):
    def __init__(self) -> None:
        super().__init__([0, 9])


@breaks("labelled_graphs")
class MorePlacesThanActions(Pairs):
    def __init__(self) -> None:
        super().__init__([0, 1, 2, 3])


@breaks("labelled_graphs")
class GraphsWithoutLayout(Pairs):
    def __init__(self) -> None:
        super().__init__()
        self.graph_layout = None


@breaks("labelled_graphs")
class LayoutAlone(Pairs):
    def labelled_graphs(self, states: np.ndarray) -> np.ndarray:
        raise NotImplementedError


# Encodings


@breaks("encode", [1, 1, 0])
class InfiniteFeature(Grid):
    def encode(self, states: np.ndarray) -> np.ndarray:
        features = super().encode(states)
        features[at(states, [1, 1, 0]), 0] = np.inf
        return features


@breaks("observe", [2, 1, 0])
class ObservationOutside(Grid):
    def observe(self, states: np.ndarray) -> np.ndarray:
        return super().observe(states) + at(states, [2, 1, 0])[:, None]


@breaks("observe", [15, 15, 1])
class OneObservationOfManyOutside(HyperGrid):
    """No state may be left out, however many there are."""

    def __init__(self) -> None:
        super().__init__(ndim=2, side=16)

    def observe(self, states: np.ndarray) -> np.ndarray:
        return super().observe(states) + at(states, [15, 15, 1])[:, None]


# Purity: every method, in each way to break it

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


# Counts and enumeration


@breaks("counts")
class StatesMiscounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states = 19


@breaks("counts")
class ObjectsMiscounted(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_terminal_states = 8


@breaks("counts")
class StatesAreTooManyToEnumerate(Grid):
    def __init__(self) -> None:
        super().__init__()
        self.declared_num_states = 10**12


@breaks("counts")
class LevelMissing(Grid):
    def levels(self) -> Any:
        return iter(list(super().levels())[:-1])


@breaks("counts")
class StateListedTwice(Grid):
    def levels(self) -> Any:
        first, *levels = super().levels()
        return iter([first, *levels[:-1], levels[-1][[0] * len(levels[-1])], first])


@breaks("counts")
class OtherStatesListed(Grid):
    def levels(self) -> Any:
        return (level + 1 for level in super().levels())


@breaks("counts")
class StateIndexReversed(Grid):
    def state_index(self, states: np.ndarray) -> np.ndarray:
        return self.num_states - 1 - super().state_index(states)


@breaks("counts")
class TerminalStateMissing(Grid):
    def terminal_states(self) -> np.ndarray:
        return super().terminal_states()[:-1]


@breaks("counts")
class OtherTerminalStatesListed(Grid):
    def terminal_states(self) -> np.ndarray:
        return super().terminal_states()[[0] * 9]

    def terminal_index(self, states: np.ndarray) -> np.ndarray:
        return np.arange(len(states))


@breaks("counts")
class TerminalIndexReversed(Grid):
    def terminal_index(self, states: np.ndarray) -> np.ndarray:
        return self.num_terminal_states - 1 - super().terminal_index(states)


@breaks("levels", [0])
class LevelsByShortestPath(Table):
    """1, 2 and 3 are all one step from 0, but 2 leads to 3: the first listed edge that goes nowhere is 1 -> 2."""

    def _breadth_first(self) -> Any:
        return [np.array(level, dtype=np.int16)[:, None] for level in ([0, 1, 2, 3], [4, 5])]


@breaks("levels", [1])
class LevelsMerged(Table):
    def _breadth_first(self) -> Any:
        first, second, third, *rest = super()._breadth_first()
        return [first, np.concatenate([second, third]), *rest]


# ---------------------------------------------------------------------- on random walks

WALKS_CATCH = [
    DeadEnd,
    TerminalWithLegalActions,
    NoWayBack,
    BackwardActionMissing,
    ForwardActionMissing,
    UndoGoesElsewhere,
    StepGoesElsewhere,
    ForwardActionSwapped,
    OneEdgeUndoneTwice,
    ChildMissing,
    DoubleEdgesMerged,
    UniformBackwardPolicyIsOne,
    InfiniteFeature,
    ObservationOutside,
    FeaturesAreCentred,
    SourceIsTerminal,
    MaxLengthTooSmall,
    ContainsWhatIsBehind,
    ContainsNothingOfOneObject,
    SourceDoesNotContainAll,
    StoppedStatesContainMore,
    DoubleEdgesCountedOnce,
    StopIsNotEverywhere,
    StopsMeet,
    TokensShared,
]


@pytest.mark.parametrize("dag_class", WALKS_CATCH, ids=lambda dag_class: dag_class.__name__)
def test_random_walks_catch_the_same(dag_class: Any) -> None:
    invariant = next(case.values[1] for case in CASES if case.values[0] is dag_class)
    with pytest.raises(DagError) as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == invariant, str(caught.value)


@pytest.mark.parametrize("dag_class", [CycleOfTwo, CycleAboveOtherStates])
def test_random_walks_meet_a_cycle_as_a_walk_that_is_too_long(dag_class: Any) -> None:
    with pytest.raises(DagError, match="a walk is longer than max_length") as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == "max_length"


@pytest.mark.parametrize("dag_class", [OrphanParent, BackwardWalksNeverEnd])
def test_random_walks_meet_an_orphan_at_the_end_of_the_way_back(dag_class: Any) -> None:
    with pytest.raises(DagError) as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == "backward walks end at s0", str(caught.value)


def test_random_walks_meet_a_false_claim_of_an_orphan() -> None:
    with pytest.raises(DagError) as caught:
        check_dag(OrphanParentThatClaimsTheSource(), max_states=1)
    assert (caught.value.invariant, caught.value.state) == ("step(undo) is the identity", [6])


# ---------------------------------------------------------------------- the command line


class Broken(DeadEnd):
    """Registered below as an environment that is broken."""


@pytest.fixture
def broken_id() -> Any:
    gfn_envs.register("Test/Broken-v0", Broken)
    yield "Test/Broken-v0"
    del gym.registry["Test/Broken-v0"]


def test_main_reports_a_well_formed_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([GRID, "ndim=2", "side=4", "reward=easy"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "HyperGrid(ndim=2, side=4, reward='easy', reward_kwargs=None) is well formed on every state: "
        "32 states, 16 terminal, 40 edges, longest path 7\n"
    )
    assert err == ""


def test_main_walks_at_random_where_there_are_too_many_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([GRID, "ndim=2", "side=4", "--max-states", "10", "--num-walks", "3", "--seed", "1"]) == 0
    assert "well formed on random walks" in capsys.readouterr().out


def test_main_reports_a_broken_environment(broken_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([broken_id]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("[walks end at terminal states] no forward action, yet not terminal at state [1, 1, 1]\n")


def test_main_reports_a_reward_that_the_environment_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([GRID, "reward_kwargs={'R0': -1.0}"]) == 1
    assert "[log_reward is finite]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GFN/HyperGird-v0"], "did you mean 'GFN/HyperGrid-v0'?"),
        ([GRID, "sied=3"], "unknown argument sied; allowed: ndim, side, reward, reward_kwargs"),
        ([GRID, "side=1"], "side must be an integer >= 2, got 1"),
        ([GRID, "side=two"], "side must be an integer >= 2, got 'two'"),
        ([GRID, "side"], "expected name=value, got 'side'"),
        ([GRID, "2=side"], "expected name=value, got '2=side'"),
        ([BAG, "modes=/nowhere/modes.txt"], "/nowhere/modes.txt"),
    ],
)
def test_main_refuses_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err


def test_main_without_an_environment_prints_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "usage: python -m gfn_envs.checker" in capsys.readouterr().err


def test_parse_arguments_reads_literals_and_leaves_other_words_as_text() -> None:
    pairs = ["a=1", "b=0.5", "c=None", "d={'R0': 1e-3}", "e=easy", "f=a=b", "g="]
    assert parse_arguments(pairs) == {
        "a": 1,
        "b": 0.5,
        "c": None,
        "d": {"R0": 0.001},
        "e": "easy",
        "f": "a=b",
        "g": "",
    }


def test_the_module_runs_as_a_command_without_warnings() -> None:
    done = run_python("-m", "gfn_envs.checker", GRID, "ndim=2", "side=4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 states, 16 terminal, 40 edges, longest path 7" in done.stdout
