"""The command gfn-envs: check, envs, data; values of arguments as text."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import pytest

import gfn_envs
from gfn_envs import cli
from gfn_envs.cli import check, envs
from gfn_envs.registration import environment_parameters, parse_value
from tests.gfn_envs.checker import broken_dags
from tests.helpers import BAG, BAYES_NET, FRAGMENTS, GRID, IDS, run_python

# ---------------------------------------------------------------------- check


class Broken(broken_dags.DeadEnd):
    """Registered below as an environment that is broken."""


class AnyArguments(gfn_envs.HyperGrid):
    """An environment that takes any argument."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


@pytest.fixture
def own_ids() -> Any:
    gfn_envs.register("Test/Broken-v0", Broken)
    gfn_envs.register("Test/Any-v0", AnyArguments)
    yield
    del gym.registry["Test/Broken-v0"], gym.registry["Test/Any-v0"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--env.ndim", "2", "--env.side", "4", "--env.reward", "easy"],
        ["--env.side=4", "--env.reward=easy", "--env.reward-kwargs", "None"],
    ],
)
def test_check_reports_a_well_formed_environment(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert check([GRID, *arguments]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "HyperGrid(ndim=2, side=4, reward='easy', reward_kwargs=None) is well formed on every state: "
        "32 states, 16 terminal, 40 edges, longest path 7\n"
    )
    assert err == ""


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        (["--env.expensive-reward"], ", expensive_reward=True)"),
        (["--env.expensive-reward", "True"], ", expensive_reward=True)"),
        (["--env.expensive-reward=True", "--seed", "1"], ", expensive_reward=True)"),
        (["--env.no-expensive-reward"], "reward_kwargs=None)"),
        (["--env.expensive-reward", "False"], "reward_kwargs=None)"),
    ],
)
def test_flags_of_truth_need_no_value(flag: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check([GRID, "--env.side", "3", *flag]) == 0
    assert f"{expected} is well formed" in capsys.readouterr().out


def test_name_equals_value_still_works_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert check([GRID, "side=4", "reward_kwargs={'R0': 1e-3}"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("HyperGrid(ndim=2, side=4, reward='standard', reward_kwargs={'R0': 0.001}) is well formed")
    assert err.splitlines()[0] == "DeprecationWarning: side=4 is deprecated, use --env.side 4"


def test_check_walks_at_random_if_there_are_too_many_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert check([GRID, "--env.side", "4", "--max-states", "10", "--num-walks", "3", "--seed", "1"]) == 0
    assert "well formed on random walks" in capsys.readouterr().out


@pytest.mark.usefixtures("own_ids")
def test_check_reports_a_broken_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(["Test/Broken-v0"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("[walks end at terminal states] no forward action, yet not terminal at state [1, 1, 1]\n")


@pytest.mark.usefixtures("own_ids")
def test_check_passes_any_argument_to_an_environment_that_takes_any(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(["Test/Any-v0", "--env.side", "3", "--env.ndim", "1"]) == 0
    assert "6 states, 3 terminal" in capsys.readouterr().out


def test_check_reports_a_reward_that_the_environment_rejects(capsys: pytest.CaptureFixture[str]) -> None:
    assert check([GRID, "--env.reward-kwargs", "{'R0': -1.0}"]) == 1
    assert "[log_reward is finite]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["GFN/HyperGird-v0"], "did you mean 'GFN/HyperGrid-v0'?"),
        (["gfn/hypergrid-v0"], "did you mean 'GFN/HyperGrid-v0'?"),
        ([GRID, "--env.sied", "3"], "unknown argument sied; did you mean 'side'? (allowed: ndim, side, reward, "),
        ([GRID, "sied=3"], "unknown argument sied; did you mean 'side'? (allowed: ndim, side, reward, reward_kwargs"),
        ([GRID, "--env.side", "1"], "side must be an integer >= 2, got 1"),
        ([GRID, "--env.side", "-1"], "side must be an integer >= 2, got -1"),
        ([GRID, "--env.side", "two"], "--env.side: expected an integer, got 'two'"),
        ([GRID, "--env.side"], "--env.side: expected an integer, got ''"),
        ([GRID, "--env.reward-kwargs", "R0"], "--env.reward_kwargs: expected None or {'name': value}, got 'R0'"),
        (["GFN/PHO4-v0"], "Or give table=PATH"),
        ([GRID, "side"], "unexpected 'side': arguments of the environment are given as --env.NAME VALUE"),
        ([GRID, "2=side"], "unexpected '2=side'"),
        ([BAG, "--env.modes", "/nowhere/modes.txt"], "/nowhere/modes.txt"),
    ],
)
def test_check_names_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err


def test_check_names_bad_numbers_and_prints_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        check([GRID, "--num-walks", "0"])
    assert caught.value.code == 2
    assert "--num-walks at least 1, got 20000 and 0" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        check([])
    assert caught.value.code == 2
    assert "usage: gfn-envs check ENV [--env.ARG VALUE ...]" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        check(["--help"])
    assert "example: gfn-envs check GFN/HyperGrid-v0 --env.ndim 2 --env.side 4" in capsys.readouterr().out


@pytest.mark.parametrize("module", [["gfn_envs.checker"], ["gfn_envs.cli", "check"]], ids=["checker", "cli"])
def test_the_module_runs_as_a_command_without_warnings(module: list[str]) -> None:
    done = run_python("-m", *module, GRID, "--env.ndim", "2", "--env.side", "4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "32 states, 16 terminal, 40 edges, longest path 7" in done.stdout


# ---------------------------------------------------------------------- the other commands


def test_envs_lists_every_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert envs([]) == 0
    out = capsys.readouterr().out
    assert all(f"{id}\n" in out for id in IDS)
    assert "defaults: ndim=2, side=8, reward='standard', reward_kwargs=None" in out


def test_envs_lists_the_arguments_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert envs([GRID]) == 0
    out = capsys.readouterr().out
    assert "  --env.side (default 8)\n      number of cells along each dimension" in out
    assert envs(["GFN/HyperGird-v0"]) == 2
    assert "did you mean 'GFN/HyperGrid-v0'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 0, "usage: gfn-envs COMMAND"),
        (["--help"], 0, "example: gfn-envs check"),
        (["envs"], 0, GRID),
        (["chekc"], 2, "error: unknown command 'chekc'; did you mean 'check'?"),
        (["data", "path"], 0, ""),
    ],
)
def test_main_dispatches(argv: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == code
    assert words in "".join(capsys.readouterr())


def test_main_needs_neither_torch_nor_agents() -> None:
    code = "import sys; sys.modules['torch'] = sys.modules['agents'] = None; from gfn_envs.cli import main; main()"
    for argv in (["envs"], ["check", BAG, "--max-states", "0"], ["data", "list"]):
        done = run_python("-c", code, *argv)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_an_interrupt_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(argv: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "envs", interrupt)
    monkeypatch.setattr(sys, "argv", ["gfn-envs", "envs"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code, capsys.readouterr().err) == (130, "interrupted\n")


# ---------------------------------------------------------------------- arguments as text


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("1", Any, 1),
        ("0.5", Any, 0.5),
        ("None", Any, None),
        ("{'R0': 1e-3}", Any, {"R0": 0.001}),
        ("(1, 2)", Any, (1, 2)),
        ("easy", Any, "easy"),
        ("a=b", Any, "a=b"),
        ("", Any, ""),
        ("3", int, 3),
        ("3", float, 3.0),
        ("True", bool, True),
        ("false", bool, False),
        ("0123", str, "0123"),
        ("None", str, "None"),
        ("10", str | None, "10"),
        ("0123", str | None, "0123"),
        ("1e3", str | Mapping[str, float] | None, "1e3"),
        ("None", str | None, None),
        ("['A', 'B']", str | list[str], ["A", "B"]),
        ("1e3", str | float, 1000.0),
        ("{'R0': 1}", Mapping[str, Any] | None, {"R0": 1}),
        ("None", Mapping[str, Any] | None, None),
    ],
)
def test_values_are_read_by_annotation(text: str, annotation: Any, value: Any) -> None:
    found = parse_value(text, annotation)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "annotation", "message"),
    [
        ("1.5", int, "expected an integer, got '1.5'"),
        ("", float, "expected a number, got ''"),
        ("1", bool, "expected True or False, got '1'"),
        ("[1]", Mapping[str, Any] | None, r"expected None or {'name': value}, got '\[1\]'"),
        ("{1: 2}", Mapping[str, Any] | None, "expected None or {'name': value}, got '{1: 2}'"),
    ],
)
def test_values_of_another_type_raise(text: str, annotation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_value(text, annotation)


def test_parameters_of_an_environment() -> None:
    parameters = environment_parameters(GRID)
    own = ["ndim", "side", "reward", "reward_kwargs", "ends_at_border"]
    assert list(parameters) == [*own, "on_error", "expensive_reward", "conditions"]
    assert parameters["side"] == (int, 8, "number of cells along each dimension H, at least 2.")
    assert environment_parameters("GFN/BitSequence-v0")["n"].default == 120  # of the registration
    assert "blocks in a molecule" in environment_parameters(FRAGMENTS)["min_blocks"].help
    with pytest.raises(ValueError, match="unknown environment 'GFN/Hypergrid'; did you mean 'GFN/HyperGrid-v0'"):
        environment_parameters("GFN/Hypergrid")


@pytest.mark.parametrize("env_id", IDS)
def test_every_argument_is_annotated_and_described(env_id: str) -> None:
    for name, parameter in environment_parameters(env_id).items():
        assert (parameter.annotation is Any) == ((env_id, name) == (BAYES_NET, "data")), name
        assert parameter.default is not inspect.Parameter.empty, name
        assert parameter.help, name
