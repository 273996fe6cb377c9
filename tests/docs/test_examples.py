"""The examples run with small settings, and their output is correct. TorchRL and RLlib: tests/interop."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import run_fork

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HERE = [
    "tb_in_one_file.py",
    "random_agent.py",
    "human_play.py",
    "sb3_maskable_ppo.py",
    "cleanrl_style_ppo.py",
    "soft_rl_equals_gflownet.py",
]
CUSTOM = ["custom_backward_policy.py", "custom_network.py"]
ACQUIRE = ["acquire_tfbind8.py", "acquire_molecules.py"]
ELSEWHERE = ["torchrl_ppo.py", "rllib_ppo.py", "custom_environment.py"]


def run(name: str, *arguments: str, code: int = 0) -> str:
    done = run_fork(str(EXAMPLES / name), *arguments)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def figure(text: str, before: str) -> float:
    return float(re.search(re.escape(before) + r"\s*(-?[\d.]+(?:e-?\d+)?)", text)[1].rstrip("."))


def test_every_example_is_tested_somewhere() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} >= {
        *HERE,
        *CUSTOM,
        *ACQUIRE,
        *ELSEWHERE,
        "custom_objective.py",
    }


@pytest.mark.parametrize("name", HERE)
def test_help_and_seed(name: str) -> None:
    assert "--seed" in run(name, "--help")


def test_an_objective_of_ones_own_learns_on_both_engines() -> None:
    text = run("custom_objective.py")
    assert figure(text, "torch: exact total variation") < 0.02
    assert figure(text, "numba: exact total variation") < 0.02


def test_trajectory_balance_in_one_file_learns() -> None:
    text = run("tb_in_one_file.py", "--iterations", "1000", "--seed", "1")
    distances = [float(tv) for tv in re.findall(r"exact TV ([\d.]+)", text)]
    assert len(distances) == 10
    assert distances[0] > 0.1
    assert distances[-1] < 0.02
    assert figure(text.splitlines()[-1], "log Z") == pytest.approx(3.1091, abs=0.02)  # log of the sum of R


def test_trajectory_balance_in_one_file_is_short_and_stands_alone() -> None:
    source = (EXAMPLES / "tb_in_one_file.py").read_text("utf-8")
    assert len(source.splitlines()) <= 130
    assert set(re.findall(r"^(?:import|from) (\w+)", source, re.M)) == {"argparse", "numpy", "torch"}


@pytest.mark.parametrize(("name", "agents"), [("custom_backward_policy.py", 2), ("custom_network.py", 1)])
def test_custom_parts_learn_the_target(name: str, agents: int) -> None:
    distances = [float(tv) for tv in re.findall(r"total variation\D* (\d\.\d+)", run(name, "1000"))]
    assert len(distances) == agents
    assert max(distances) < 0.05


def test_random_agent_agrees_with_the_exact_mean() -> None:
    text = run("random_agent.py", "--steps", "500", "--seed", "3")
    assert figure(text, "transitions: mean reward") == pytest.approx(figure(text, "exactly: mean reward"), rel=0.1)
    assert text == run("random_agent.py", "--steps", "500", "--seed", "3")
    assert "too many to enumerate" in run("random_agent.py", "--env", "GFN/BitSequence-v0", "--steps", "20")


def test_playing_by_hand() -> None:
    text = run("human_play.py", "--moves", "+x0,1,stop")
    assert "finished: R(x) = " in text
    assert "-> +x0" in text
    assert "not a legal action" in run("human_play.py", "--moves", "0,9", code=2)
    assert "before the object was finished" in run("human_play.py", "--moves", "0", code=1)
    assert run("human_play.py", "--moves", ",".join("r" * 13), "--env", "GFN/Bag-v0", "--seed", "1").count("->") == 13


def test_playing_from_the_keyboard() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "human_play.py")], input="0\nnonsense\n2\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "'nonsense' is not a legal action here" in done.stdout
    assert "(1, 0) stopped" in done.stdout


def test_maskable_ppo_finds_the_maximum_and_loses_the_rest() -> None:
    text = run("sb3_maskable_ppo.py", "--steps", "12000")
    assert " 0 illegal actions" in text
    assert figure(text, "exact mean reward") > 1.4214  # the mean under R(x) / Z
    assert 0 < figure(text, "exact total variation from R(x) / Z:") <= 1


def test_ppo_in_one_file() -> None:
    text = run("cleanrl_style_ppo.py", "--total-timesteps", "20000")
    assert figure(text, "exact mean reward") > 1.4214


def test_soft_rl_is_a_gflownet() -> None:
    text = run("soft_rl_equals_gflownet.py", "--steps", "4000")
    assert all(float(tv) <= 1e-9 for tv in re.findall(r"with log P_B (\S+),", text))
    assert len(re.findall("with log P_B", text)) == 5
    assert figure(text, "soft Q-learning: total variation") < 1e-6


def test_rounds_of_calls_find_better_strings_than_random_search() -> None:
    rewards = dict(re.findall(r"^(.+?)  +180 calls: mean reward ([\d.]+)", run("acquire_tfbind8.py", "--quick"), re.M))
    assert float(rewards["GFlowNet, UCB"]) > 1.3 * float(rewards["random"])
    assert len(rewards) == 5


def test_rounds_on_molecules_write_a_log(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    log = tmp_path / "calls.sqlite"
    text = run("acquire_molecules.py", "--quick", "--log", str(log))
    assert "60 calls, 0 saved" in text
    assert figure(text, "GFlowNet mean reward of the 30 best:") > 0
    with sqlite3.connect(log) as calls:
        (logged,) = calls.execute("SELECT COUNT(*) FROM calls WHERE components LIKE '%qed%'").fetchone()
    assert 110 < logged <= 120
