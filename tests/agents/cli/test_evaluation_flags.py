"""Flags of evaluation: rewards, samples, exact states, objects by name, warnings, what to do next."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.cli import main as cli
from agents.runs import directory as runs

GRID = "GFN/HyperGrid-v0"
SMALL = ["--env.side", "4", "--agent.hidden", "8", "--agent.engine", "torch", "--iterations", "10"]
QUIET = ["--no-progress", "--no-figures"]

Gfn = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gfn(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gfn:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([*map(str, arguments)])
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def rewards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of objects of each call of the reward of HyperGrid."""
    calls: list[int] = []
    original = gfn_envs.HyperGrid.log_reward
    monkeypatch.setattr(
        gfn_envs.HyperGrid, "log_reward", lambda self, states: calls.append(len(states)) or original(self, states)
    )
    return calls


# ---------------------------------------------------------------------- rewards


def test_training_from_a_shell_spends_expensive_rewards_on_training_alone(gfn: Gfn, rewards: list[int]) -> None:
    flags = [*SMALL, "--env.expensive-reward", "--eval-every", 1, "--out", "run"]
    code, out, _ = gfn("train", "tb", GRID, *flags)
    assert code == 0
    assert sum(rewards) == 160
    assert "without the figures of objects: rewards are expensive: ask with rewards='all'" in out
    assert "rewards are expensive: ask with rewards='all'" in out.split("figures of objects")[0]
    assert runs.read_config(Path("run"))["env_arguments"]["expensive_reward"] is True
    rewards.clear()
    assert gfn("evaluate", "run")[0] == 0
    assert gfn("plot", "run")[0] == 0
    assert sum(rewards) <= 2  # each compares one reward with that of the run
    assert gfn("plot", "run", "--state-graph")[2].startswith("error: --state-graph needs the reward of every object")
    assert "--rewards all" in gfn("evaluate", "run", "--objects", "o.csv")[2]
    rewards.clear()
    assert json.loads(gfn("evaluate", "run", "--json", "--rewards", "all", "--num-samples", 50)[1])["tv"] is not None
    assert sum(rewards) <= 1 + 50 + 16


@pytest.mark.parametrize(
    ("flag", "value"), [(["--env.expensive-reward", "True"], True), (["--env.expensive-reward=False"], None)]
)
def test_truth_values_of_environments(gfn: Gfn, flag: list[str], value: bool | None) -> None:
    assert gfn("train", "tb", GRID, *SMALL, *flag, *QUIET, "--out", "run")[0] == 0
    assert runs.read_config(Path("run"))["env_arguments"].get("expensive_reward") is value


def test_no_reward_is_evaluated_if_none_is_asked_for(gfn: Gfn, rewards: list[int]) -> None:
    gfn("train", "tb", GRID, *SMALL, *QUIET, "--out", "run")
    rewards.clear()
    found = json.loads(gfn("evaluate", "run", "--json", "--rewards", "none")[1])
    assert sum(rewards) <= 16  # the probe
    assert found["tv"] is None
    assert "tv" in found["undefined"]["rewards='none' was given"]


# ---------------------------------------------------------------------- training without evaluation


def test_training_without_evaluation(gfn: Gfn, rewards: list[int]) -> None:
    code, out, err = gfn("train", "tb", GRID, *SMALL, "--eval-every", 0, "--out", "run")
    assert (code, sum(rewards)) == (0, 160)
    assert "exact metrics" not in err
    metrics = runs.read_metrics(Path("run"))
    assert (metrics["iteration"], metrics["total_evaluation_seconds"]) == (10, 0.0)
    assert "elbo" not in metrics
    (reason,) = metrics["undefined"]
    assert reason == "training was not evaluated (eval_every=0); run gfn evaluate"
    assert "without tv, jsd, kl" in out
    assert reason in out
    assert gfn("train", "tb", GRID, *SMALL, "--eval-every", 0, "--out", "run", "--resume")[0] == 0
    assert gfn("compare", "run")[0] == 0


def test_evaluation_in_python_can_be_left_out(tmp_path: Path) -> None:
    agent = agents.make_agent("tb", gfn_envs.make_dag(GRID, side=4), hidden=(8,))
    history = agents.train(agent, 6, tmp_path, eval_every=0, log_every=4, progress=False)
    assert [row["iteration"] for row in history] == [4, 6]
    assert not any("elbo" in row for row in history)
    assert (tmp_path / runs.CHECKPOINT).exists()
    # A run without evaluation goes on with it.
    agents.train(agent, 8, tmp_path, progress=False, resume=True)
    assert runs.read_metrics(tmp_path)["tv"] is not None
    with pytest.raises(ValueError, match="eval_every must be an integer >= 0, got -1"):
        agents.train(agent, 8, eval_every=-1)


def test_samples_and_seconds_of_evaluations(gfn: Gfn, rewards: list[int]) -> None:
    flags = [*SMALL, *QUIET, "--eval-every", 5, "--eval-samples", 40, "--out", "run"]
    assert gfn("train", "tb", GRID, *flags)[0] == 0
    assert sum(rewards) == 160 + 16 + 2 + 2 * 40
    metrics, rows = runs.read_metrics(Path("run")), runs.read_history(Path("run"))
    seconds = [row["evaluation_seconds"] for row in rows if "evaluation_seconds" in row]
    assert len(seconds) == 2
    assert metrics["total_evaluation_seconds"] == pytest.approx(sum(seconds))
    assert "--eval-samples must be at least 2, got 1" in gfn("train", "tb", GRID, "--eval-samples", 1)[2]


# ---------------------------------------------------------------------- exact states


def test_what_is_enumerated_is_said_before_the_progress_bar(gfn: Gfn) -> None:
    err = gfn("train", "tb", GRID, *SMALL, "--no-figures", "--out", "a")[2]
    assert err.startswith("exact metrics: enumerating the 32 states of HyperGrid, about 0.0")
    flags = ["--exact-states", 31, "--out", "b"]
    err = gfn("train", "tb", GRID, *SMALL, "--no-figures", *flags)[2]
    assert err.startswith("sampled metrics: HyperGrid has 32 states, and 31 are enumerated at most (exact_states)\n")
    reason = "the environment has more than 31 states (exact_states, --exact-states)"
    assert "tv" in runs.read_metrics(Path("b"))["undefined"][reason]
    assert runs.read_metrics(Path("b"))["elbo"] is not None


def test_the_limit_of_exact_evaluation(gfn: Gfn, monkeypatch: pytest.MonkeyPatch) -> None:
    gfn("train", "tb", GRID, *SMALL, *QUIET, "--out", "run")
    found = json.loads(gfn("evaluate", "run", "--json", "--exact-states", 31)[1])
    assert found["tv"] is None
    assert any("--exact-states" in reason for reason in found["undefined"])
    assert json.loads(gfn("evaluate", "run", "--json", "--exact-states", 32)[1])["tv"] is not None
    assert gfn("plot", "run", "--exact-states", 31)[0] == 0
    assert "--exact-states must be at least 1, got 0" in gfn("evaluate", "run", "--exact-states", 0)[2]
    assert "random walks" in gfn("check", GRID, "--env.side", 4, "--exact-states", 31)[1]
    # What was asked for goes beyond the memory that is allowed by default.
    monkeypatch.setattr("gfn_envs.enumeration.ENUMERATION_BYTES", 100)
    assert json.loads(gfn("evaluate", "run", "--json")[1])["tv"] is None
    assert json.loads(gfn("evaluate", "run", "--json", "--exact-states", 32)[1])["tv"] is not None


def test_log_lines_of_environments_are_printed(gfn: Gfn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.LogLines, "LONG", 10)
    strings = ("check", "GFN/Sequence-v0", "--env.length", 3)
    first, last = gfn(*strings)[2].splitlines()
    assert first.startswith("enumerating Sequence: ")
    assert last.startswith("enumerated Sequence: ")
    monkeypatch.undo()
    assert gfn(*strings)[2] == ""


# ---------------------------------------------------------------------- estimates, objects


def test_biases_are_printed(gfn: Gfn) -> None:
    gfn("train", "tb", GRID, "--env.ndim", 8, "--env.side", 20, *SMALL[2:], *QUIET, "--out", "run")
    cells = np.full((6, 9), 19)
    cells[:, 0], cells[:, -1] = [0, 5, 10, 15, 17, 19], 1
    np.save("cells.npy", cells)
    flags = ["--test-objects", "cells.npy", "--num-samples", 20]
    found = json.loads(gfn("evaluate", "run", "--json", *flags, "--num-backward", 5)[1])
    other = json.loads(gfn("evaluate", "run", "--json", *flags)[1])
    assert found["log_p_source"] == "estimated"
    assert found["pearson_bias"] != other["pearson_bias"]
    assert gfn("evaluate", "run", *flags)[1].count("its bias, as log p(x) is estimated") == 2
    assert "--num-backward must be at least 2, got 1" in gfn("evaluate", "run", "--num-backward", 1)[2]


def test_the_best_objects_are_listed_by_name(gfn: Gfn) -> None:
    gfn("train", "tb", "GFN/Sequence-v0", "--env.length", 4, *SMALL[2:], *QUIET, "--out", "run")
    code, out, _ = gfn("evaluate", "run", "--best", 3, "--objects", "objects.csv", "--num-samples", 300)
    assert code == 0
    with Path("objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["object"] for row in rows}) == len(rows)
    assert all(set(row["object"]) <= set("ACGT") and len(row["object"]) == 4 for row in rows)
    assert sum(int(row["samples"]) for row in rows) == 300
    log_rewards = [float(row["log_reward"]) for row in rows]
    assert log_rewards == sorted(log_rewards, reverse=True)
    assert all(f" {row['object']} " in out for row in rows[:3])
    assert f" {rows[3]['object']} " not in out
    found = json.loads(gfn("evaluate", "run", "--json", "--best", 2, "--num-samples", 300)[1])
    assert [each["object"] for each in found["best_objects"]] == [row["object"] for row in rows[:2]]


def test_metrics_that_are_undefined_have_reasons(gfn: Gfn) -> None:
    gfn("train", "mcmc", "GFN/Ising-v0", "--env.side", 2, "--iterations", 3, *QUIET, "--out", "run")
    found = json.loads(gfn("evaluate", "run", "--json", "--num-samples", 20)[1])
    reasons = found["undefined"]
    assert reasons["the environment defines no modes"] == ["modes_found", "num_modes"]
    assert "elbo" in reasons["the agent samples without a policy"]
    assert reasons["the agent has no estimate of log Z"]
    names = [name for listed in reasons.values() for name in listed]
    assert sorted(names) == sorted(name for name, value in found.items() if value is None)
    text = gfn("evaluate", "run", "--num-samples", 20)[1]
    assert "without modes_found, num_modes: the environment defines no modes" in text


# ---------------------------------------------------------------------- runs that are not good yet


def test_a_run_that_ended_before_beta_is_1_says_so(gfn: Gfn) -> None:
    flags = ["--agent.beta", "0.25,1,100", *SMALL, "--no-figures", "--log-every", 5, "--out", "run"]
    _, out, err = gfn("train", "tb", GRID, *flags)
    beta = runs.read_history(Path("run"))[-1]["beta"]
    assert beta == pytest.approx(0.25 + 0.75 * 9 / 100)
    assert "beta=0.31" in err
    text = f"training ended at beta {beta:.2g}: the policy samples R^{beta:.2g}; train for more iterations"
    text += " (--resume --iterations N), or with expensive_reward=True if the reward allows only few calls"
    assert f"warning: {text}" in err
    assert runs.read_metrics(Path("run"))["warning"] == text
    assert "training ended at beta" in out
    assert "samples R^0.32, not R" in " ".join(gfn("evaluate", "run")[1].replace("│", " ").split())


def test_an_unfinished_run_says_so(gfn: Gfn) -> None:
    gfn("train", "tb", GRID, *SMALL, *QUIET, "--out", "run")
    config = runs.read_config(Path("run"))
    runs.write_sealed(Path("run") / runs.CONFIG, {**config, "iterations": 1000})
    assert "iteration 10 of 1,000: unfinished" in gfn("evaluate", "run")[1]


def test_the_end_says_what_to_do_next(gfn: Gfn) -> None:
    code, out, _ = gfn("train", "tb", GRID, *SMALL, *QUIET, "--out", "my run")
    assert code == 0
    lines = [shlex.split(line) for line in out.split("next:\n")[1].splitlines()]
    assert [line[:2] for line in lines] == [["gfn", command] for command in ("evaluate", "plot", "report", "train")]
    for line in lines:
        assert gfn(*line[1:])[0] == 0
    assert runs.read_history(Path("my run"))[-1]["iteration"] == 20


def test_a_run_in_the_older_default_directory_is_named(gfn: Gfn) -> None:
    gfn("train", "tb", GRID, *SMALL, *QUIET, "--out", "runs/tb-HyperGrid-v0-0")
    code, _, err = gfn("train", "tb", GRID, *SMALL, *QUIET, "--resume")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "add --out runs/tb-HyperGrid-v0-0 to continue it" in err
    assert [path.name for path in Path("runs").iterdir()] == ["tb-HyperGrid-v0-0"]
    assert gfn("train", "tb", GRID, *SMALL, *QUIET)[0] == 0  # a new run
    assert gfn("train", "tb", GRID, *SMALL, *QUIET, "--resume")[0] == 0


# ---------------------------------------------------------------------- threads


@pytest.mark.parametrize(
    ("batch_size", "threads", "expected"), [(16, None, 1), (300, None, 1), (16, 2, 2), (300, 1, 1)]
)
def test_threads_of_training(batch_size: int, threads: int | None, expected: int) -> None:
    before = torch.get_num_threads()
    agent = agents.make_agent("tb", gfn_envs.make_dag(GRID, side=4), hidden=(8,), batch_size=batch_size, engine="torch")
    update, seen = agent.update, []
    agent.update = lambda: seen.append(torch.get_num_threads()) or update()
    torch.set_num_threads(2)
    try:
        agents.train(agent, 1, progress=False, threads=threads)
        assert (seen, torch.get_num_threads()) == ([expected], 2)
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"):
        agents.train(agent, 2, progress=False, threads=0)
