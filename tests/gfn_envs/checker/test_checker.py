"""check_dag passes every environment and catches, for each invariant, a DAG that breaks exactly that one."""

from __future__ import annotations

import ast
from math import comb
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gfn_envs
from gfn_envs import BitSequence, DagError, HyperGrid, check_dag, checker, make_dag
from gfn_envs.checker import CheckReport, main, parse_arguments
from tests.gfn_envs.checker import broken_dags, broken_values
from tests.gfn_envs.checker.broken_dags import CASES, Anything, Grid, Table
from tests.helpers import BAG, BITS, GRID, IDS, SMALL, SMALL_ARGUMENTS, UNEVEN_EDGES, TableDag, run_python, small_dag


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
    assert check_dag(broken_values.Stops()) == CheckReport(True, 4, 2, 3, 2)


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
    broken_values.FeaturesAreCentred,
    broken_dags.SourceIsTerminal,
    broken_dags.MaxLengthTooSmall,
    broken_values.ContainsWhatIsBehind,
    broken_values.ContainsNothingOfOneObject,
    broken_values.SourceDoesNotContainAll,
    broken_values.StoppedStatesContainMore,
    broken_values.DoubleEdgesCountedOnce,
    broken_values.StopIsNotEverywhere,
    broken_values.StopsMeet,
    broken_values.TokensShared,
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


# ---------------------------------------------------------------------- the command line


class Broken(broken_dags.DeadEnd):
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
        (["GFN/PHO4-v0"], "this package does not include the binding table"),
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


def test_no_walks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="num_walks must be at least 1, got 0"):
        check_dag(gfn_envs.HyperGrid(), num_walks=0)
    with pytest.raises(SystemExit):
        main([GRID, "--num-walks", "0"])
    assert "--num-walks at least 1, got 20000 and 0" in capsys.readouterr().err


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
