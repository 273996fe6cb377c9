"""gfn train with the flags of an expensive reward."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from agents.cli import main as cli
from agents.cli.errors import UsageError
from gfn_envs.reward_errors import OracleError

REWARD = """
def score(string):
    with open("calls.txt", "a") as file:
        file.write(string + "\\n")
    return 1.0 + string.count("A")

def other(string, target):
    return 1.0
"""
COMMAND = (
    "train tb GFN/Sequence-v0 --env.reward paid_score:score --env.reward-of string --env.length 5 --iterations 200"
)
QUIET = " --no-progress --no-figures --agent.hidden 8 --agent.engine torch"


def gfn(command: str) -> int:
    return cli.run((command + QUIET).split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paid_score.py").write_text(REWARD)
    return tmp_path


def test_a_budget_from_the_shell(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert gfn(f"{COMMAND} --oracle.budget 40 --out run") == 0
    assert "the budget of 40 calls of paid_score:score is spent" in capfd.readouterr().err
    assert gfn(f"{COMMAND} --oracle.budget 70 --out run --resume") == 0
    calls = (folder / "calls.txt").read_text().split()
    assert len(calls) == len(set(calls)) == 70
    with sqlite3.connect(folder / "run" / "oracle.sqlite") as log:
        assert log.execute("SELECT COUNT(*), MIN(value) FROM calls WHERE status = 'ok'").fetchone() == (70, 1.0)
    assert json.loads((folder / "run" / "metrics.json").read_text())["stopped"].startswith("the budget of 70")
    with pytest.raises(UsageError, match="the budget of 70 calls of paid_score:score is spent; their values"):
        cli.run(["evaluate", "run", "--trust", "--rewards", "all", "--num-samples", "100"])
    # Another run with a shared log has its own budget, and does not call known objects again.
    assert gfn(f"{COMMAND} --seed 1 --oracle.budget 20 --oracle.log run/oracle.sqlite --out other") == 0
    calls = (folder / "calls.txt").read_text().split()
    assert len(calls) == len(set(calls)) == 90


def test_wrong_flags_and_signatures(folder: Path) -> None:
    for flags, error, message in (
        ("--oracle.timeout 3", UsageError, "timeout needs workers >= 1"),
        ("--oracle.budget -1", UsageError, "budget must be an integer >= 0"),
        ("--oracle.buget 3", UsageError, r"unknown argument --oracle.buget; did you mean '?--oracle.budget"),
        ("--env.reward paid_score:other", UsageError, r"other\(string, target\) is called with 1 argument"),
        ("--oracle.workers 1 --oracle.address 127.0.0.1:9", (OracleError, ImportError), "Ray"),
        ("--oracle.log paid_score.py", UsageError, "paid_score.py is not a log of calls"),
    ):
        with pytest.raises(error, match=message):
            gfn(f"{COMMAND} {flags} --out wrong")
    assert not (folder / "calls.txt").exists()
    with pytest.raises(UsageError, match="agent 'mcmc' calls the reward when it is made: --oracle needs --out"):
        cli.run(["train", "mcmc", "GFN/Bag-v0", "--oracle.budget", "9"])


def test_the_config_of_a_run_has_the_oracle_too(folder: Path) -> None:
    assert gfn(f"{COMMAND} --oracle.budget 30 --out run") == 0
    again = "train --config run/config.json --trust --iterations 200"
    assert gfn(f"{again} --out again") == 0
    assert json.loads((folder / "again" / "metrics.json").read_text())["stopped"].startswith("the budget of 30")
    with sqlite3.connect(folder / "again" / "oracle.sqlite") as log:  # Its own log, in its own directory.
        assert log.execute("SELECT COUNT(*) FROM calls").fetchone() == (30,)
    assert gfn(f"{again} --oracle.budget 10 --out fewer") == 0
    assert json.loads((folder / "fewer" / "metrics.json").read_text())["stopped"].startswith("the budget of 10")
