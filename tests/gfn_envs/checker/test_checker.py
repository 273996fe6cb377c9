"""check_dag passes every environment and catches, for each invariant, a DAG that breaks exactly that one."""

from __future__ import annotations

import ast
from math import comb
from pathlib import Path
from typing import Any

import pytest

import gfn_envs
from gfn_envs import BitSequence, DagError, HyperGrid, check_dag, checker, make_dag
from gfn_envs.checker import CheckReport
from tests.gfn_envs.checker import (
    broken_capabilities,
    broken_dags,
    broken_enumeration,  # noqa: F401  Importing it fills CASES.
    broken_purity,
    broken_values,
)
from tests.gfn_envs.checker.broken_dags import CASES, Anything, Grid, Table
from tests.helpers import BAG, BITS, GRID, IDS, SMALL, SMALL_ARGUMENTS, UNEVEN_EDGES, TableDag, small_dag


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
    dag = make_dag(env_id)
    large = dag.max_length > 100
    report = check_dag(dag, max_states=30 if large else 100, num_walks=2 if large else 15)
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


def test_stops_anywhere_are_well_formed() -> None:
    assert check_dag(broken_capabilities.Stops()) == CheckReport(True, 4, 2, 3, 2)


# ---------------------------------------------------------------------- on random walks

WALKS_CATCH = [
    broken_dags.DeadEnd,
    broken_dags.TerminalWithLegalActions,
    broken_dags.NoWayBack,
    broken_dags.BackwardActionMissing,
    broken_dags.ForwardActionMissing,
    broken_dags.UndoGoesElsewhere,
    broken_dags.StepGoesElsewhere,
    broken_dags.ForwardActionSwapped,
    broken_dags.OneEdgeUndoneTwice,
    broken_dags.ChildMissing,
    broken_dags.DoubleEdgesMerged,
    broken_dags.UniformBackwardPolicyIsOne,
    broken_values.InfiniteFeature,
    broken_values.ObservationOutside,
    broken_purity.FeaturesAreCentred,
    broken_dags.SourceIsTerminal,
    broken_dags.MaxLengthTooSmall,
    broken_capabilities.ContainsWhatIsBehind,
    broken_capabilities.ContainsNothingOfOneObject,
    broken_capabilities.SourceDoesNotContainAll,
    broken_capabilities.StoppedStatesContainMore,
    broken_capabilities.DoubleEdgesCountedOnce,
    broken_capabilities.StopIsNotEverywhere,
    broken_capabilities.StopsMeet,
    broken_capabilities.TokensShared,
]


@pytest.mark.parametrize("dag_class", WALKS_CATCH, ids=lambda dag_class: dag_class.__name__)
def test_random_walks_catch_the_same(dag_class: Any) -> None:
    invariant = next(case.values[1] for case in CASES if case.values[0] is dag_class)
    with pytest.raises(DagError) as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == invariant, str(caught.value)


@pytest.mark.parametrize("dag_class", [broken_dags.CycleOfTwo, broken_dags.CycleAboveOtherStates])
def test_random_walks_meet_a_cycle_as_a_walk_that_is_too_long(dag_class: Any) -> None:
    with pytest.raises(DagError, match="a walk is longer than max_length") as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == "max_length"


@pytest.mark.parametrize("dag_class", [broken_dags.OrphanParent, broken_dags.BackwardWalksNeverEnd])
def test_random_walks_meet_an_orphan_at_the_end_of_the_way_back(dag_class: Any) -> None:
    with pytest.raises(DagError) as caught:
        check_dag(dag_class(), max_states=1)
    assert caught.value.invariant == "backward walks end at s0", str(caught.value)


def test_random_walks_meet_a_false_claim_of_an_orphan() -> None:
    with pytest.raises(DagError) as caught:
        check_dag(broken_dags.OrphanParentThatClaimsTheSource(), max_states=1)
    assert (caught.value.invariant, caught.value.state) == ("step(undo) is the identity", [6])


def test_no_walks_raise() -> None:
    with pytest.raises(ValueError, match="num_walks must be at least 1, got 0"):
        check_dag(gfn_envs.HyperGrid(), num_walks=0)
