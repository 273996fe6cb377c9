"""``gfn train``: the run directory that it chooses, and the deprecated alias of --agent.engine."""

import dataclasses
from pathlib import Path

import pytest

from agents.cli import main as cli
from agents.cli.parsing import parse
from agents.cli.train_flags import options_class
from agents.registry import AGENTS
from agents.runs import directory as runs

GRID = "GFN/HyperGrid-v0"
SMALL = ["--env.side", "3", "--agent.hidden", "8", "--iterations", "2", "--no-progress", "--no-figures"]


def gfn(*arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Train in an empty directory. Returns the directories of all runs so far."""
    monkeypatch.chdir(tmp_path)

    def train(*flags, agent="tb", env=GRID):
        assert gfn("train", agent, env, *flags) == 0
        return sorted(path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(runs.CONFIG))

    return train


def test_runs_with_other_settings_have_directories_of_their_own(made):
    each = [
        [],
        ["--seed", 1],
        ["--agent.lr", "1e-4"],
        ["--agent.epsilon", "0.1,0,10"],
        ["--env.ndim", 3],
        ["--env.reward-kwargs", "{'R0': 0.5}"],
        ["--agent.engine", "torch"],
    ]
    for number, flags in enumerate(each, 1):
        assert len(made(*SMALL, *flags)) == number
    assert len(made(*SMALL, agent="db")) == len(each) + 1


def test_defaults_need_no_hash(made):
    flags = ["--iterations", 1, "--no-progress", "--no-figures", "--agent.batch-size", 16, "--seed", 3]
    assert made(*flags, env="GFN/Bag-v0") == ["runs/tb-Bag-v0-s3"]


def test_the_same_settings_name_the_same_run(made, capsys):
    (first,) = made(*SMALL, "--agent.lr", "0.001")
    assert first.startswith("runs/tb-HyperGrid-v0-")
    assert gfn("train", "tb", GRID, *SMALL) == 2
    assert f"{first} already holds a run" in capsys.readouterr().err
    # For more iterations, a run is found again.
    assert made(*SMALL, "--iterations", 4, "--resume") == [first]
    assert runs.read_history(Path(first))[-1]["iteration"] == 4


@pytest.mark.parametrize("flags", [["--out", ""], ["--out="]])
def test_an_empty_out_is_refused(flags, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gfn("train", "tb", GRID, *SMALL, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--out" in line
    assert "must not be empty" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["evaluate", ""], ["plot", ""], ["compare", "a", "--out", ""]])
def test_other_paths_that_are_empty_are_refused(arguments, capsys):
    assert gfn(*arguments) == 2
    assert "must not be empty" in capsys.readouterr().err


@pytest.mark.parametrize("agent", AGENTS)
def test_every_setting_is_a_flag(agent):
    options = options_class(agent, GRID)
    defaults = options().agent
    given = []
    for field in dataclasses.fields(defaults):
        value, flag = getattr(defaults, field.name), "--agent." + field.name.replace("_", "-")
        words = value if isinstance(value, tuple) else [value]
        # As bools have no value, such a flag turns the default around or repeats it.
        given += [flag if value else f"--agent.no-{flag[8:]}"] if isinstance(value, bool) else [flag, *map(str, words)]
    assert parse(options, given, "gfn train").agent == defaults


def test_a_schedule_that_can_be_none(made):
    (run,) = made(*SMALL, "--agent.beta", "0.5,1,10")
    assert runs.read_config(Path(run))["settings"]["beta"] == "0.5,1.0,10"


# ---------------------------------------------------------------------- --agent.compiled


@pytest.mark.parametrize(("flag", "engine"), [("--agent.compiled", "numba"), ("--agent.no-compiled", "torch")])
def test_compiled_is_a_deprecated_alias(made, capsys, flag, engine):
    (run,) = made(*SMALL, flag)
    warnings = [line for line in capsys.readouterr().err.splitlines() if "eprecat" in line]
    assert warnings == [f"DeprecationWarning: {flag} is deprecated, use --agent.engine {engine}"]
    assert runs.read_config(Path(run))["settings"]["engine"] == engine


@pytest.mark.parametrize("other", [["--agent.engine", "torch"], ["--agent.engine=numba"], ["--agent.no-compiled"]])
def test_the_alias_and_the_setting_are_not_given_together(capsys, other):
    assert gfn("train", "tb", GRID, *SMALL, "--agent.compiled", *other) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--agent.compiled is a deprecated alias of --agent.engine" in line


def test_agents_without_engines_know_no_alias(capsys):
    assert gfn("train", "sac", GRID, *SMALL, "--agent.compiled") == 2
    assert "unknown argument --agent.engine" in capsys.readouterr().err


def test_help_names_the_alias(capsys):
    assert gfn("train", "tb", GRID, "--help") == 0
    assert "Deprecated: --agent.compiled" in capsys.readouterr().out
