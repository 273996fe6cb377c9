"""From a shell, in a fresh directory: the user's environment, objective and more, named as module:name."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import agents
from agents.cli import main as cli
from gfn_envs import named
from tests import forks

Gfn = Callable[..., str]

#: The file of a new user: permutations of n items, and an objective with its own term.
MINE = '''
import dataclasses
import time
import numpy as np
import gfn_envs, agents
from agents.gflownets.tb import TB

class Permutation(gfn_envs.Dag):
    """Order n items, one after another; R(x) rises with the items that follow their predecessor."""

    feature_bounds = (0, 1)

    def __init__(self, n: int = 4, score=None, seconds: float = 0.0):
        self.arguments = {"n": n, "score": score, "seconds": seconds}
        self.n, self.score, self.seconds = n, score, seconds
        self.num_actions = self.max_length = self.state_width = n
        self.num_backward_actions = 1
        self.state_dtype = np.dtype(np.int8)
        self.num_features = n * (n + 1)

    def source(self, n):
        return np.full((n, self.n), -1, dtype=self.state_dtype)

    def placed(self, states):
        return (states >= 0).sum(1)

    def is_terminal(self, states):
        return states[:, -1] >= 0

    def forward_mask(self, states):
        return ~(states[:, :, None] == np.arange(self.n)).any(1)

    def backward_mask(self, states):
        return (states[:, :1] >= 0)

    def step(self, states, actions):
        states = states.copy()
        states[np.arange(len(states)), self.placed(states)] = actions
        return states

    def undo(self, states, backward_actions):
        states = states.copy()
        states[np.arange(len(states)), self.placed(states) - 1] = -1
        return states

    def backward_action(self, states, actions):
        return np.zeros(len(states), dtype=np.int64)

    def forward_action(self, states, backward_actions):
        return states[np.arange(len(states)), self.placed(states) - 1].astype(np.int64)

    def log_reward(self, states):
        time.sleep(self.seconds)
        follow = (np.diff(states, axis=1) == 1).sum(1)
        return follow.astype(np.float64) if self.score is None else np.log(self.score(states))

    def encode(self, states):
        return np.eye(self.n + 1, dtype=np.float32)[states].reshape(len(states), -1)

    def object_names(self, states):
        return [">".join(map(str, row)) for row in states.tolist()]

gfn_envs.register("Mine/Permutation-v0", Permutation)

@dataclasses.dataclass(frozen=True)
class Settings(TB.config_class):
    strength: float = 0.01
    """Weight of the squared log Z in the loss."""
    decay: agents.Schedule = agents.Schedule(1.0, 0.5, 100)
    """Factor of that weight."""

class Shrunk(TB):
    """Trajectory balance with a penalty on log Z."""

    config_class = Settings

    def loss(self, trajectories):
        weight = self.config.strength * self.config.decay(self.iteration)
        self.weight = weight
        return super().loss(trajectories) + weight * self.log_z_parameter.square()

    def update(self):
        return super().update() | {"weight": self.weight, "stage": "early" if self.iteration < 5 else "late"}

def score(states):
    return 1.0 + (states[:, 0] == 0)
'''  # fmt: skip
SLOW = ("--env.seconds", 0.02, "--checkpoint-every", 10)
NAMES = ("mine:Shrunk", "mine:Mine/Permutation-v0")
FLAGS = ("--agent.hidden", "16", "--agent.batch-size", "8", "--no-progress", "--log-every", "5", "--eval-every", "20")


def forget() -> None:
    """As in a new process, nobody has imported the user's file or registered what it holds."""
    sys.modules.pop("mine", None)
    agents.AGENTS.pop("Shrunk", None)
    gymnasium.registry.pop("Mine/Permutation-v0", None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place != ""])
    monkeypatch.setattr(named, "_search_here", False)
    yield tmp_path
    forget()


@pytest.fixture
def gfn(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Output of a command, whose exit code must be ``code``; of a command that fails, its one line of error."""

    def run(*words: Any, code: int = 0) -> str:
        forget()
        with pytest.raises(SystemExit) as stop:
            cli.main([*map(str, words)])
        printed = capsys.readouterr()
        assert stop.value.code == code, printed.err
        if code:
            (line,) = printed.err.strip().splitlines()
            return line
        return printed.out

    return run


def rows(run: Path) -> list[dict[str, Any]]:
    """The history of a run without its times."""
    times = ("seconds", "evaluation_seconds", "crc", "crc32")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in times} for line in lines]


def killed(*words: Any, run: Path) -> None:
    """Start a training, and kill it once it has written a checkpoint and a row."""
    with subprocess.Popen(
        [forks.python(), "-m", "gfn_command", *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + 60
        while not ((run / "checkpoint.pt").exists() and len(rows(run) if (run / "metrics.jsonl").exists() else []) > 1):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_a_new_users_path(folder: Path, gfn: Gfn) -> None:
    """Own environment, own objective: train, kill, resume, plot, compare. No Python."""
    assert "is well formed on every state" in gfn("check", NAMES[1])
    train = ["train", *NAMES, *FLAGS, "--iterations", 40, "--agent.strength", 0.02, "--no-figures"]
    killed(*train, *SLOW, "--out", "runs/killed", run=folder / "runs/killed")
    before = len(rows(folder / "runs/killed"))
    gfn(*train, *SLOW, "--out", "runs/killed", "--resume")
    gfn(*train, *SLOW, "--out", "runs/whole")
    history = rows(folder / "runs/killed")
    assert before < len(history) == 8
    assert history == rows(folder / "runs/whole")
    # What update() returned is in the history: the mean of numbers since the last row, the last text.
    expected = [0.02 * (1 - 0.5 * i / 100) for i in range(5)]
    assert history[0]["weight"] == pytest.approx(sum(expected) / 5)
    assert [row["stage"] for row in history[:2]] == ["late", "late"]
    # Only the user's word lets a run import code, and the line says what, and from where.
    for command in ("evaluate", "plot"):
        line = gfn(command, "runs/killed", code=2)
        assert (
            f"agent is mine:Shrunk, the environment is mine:Permutation, which would be imported from {folder}" in line
        )
        assert "--trust" in line
    metrics = json.loads(gfn("evaluate", "runs/killed", "--trust", "--json", "--num-samples", 100))
    assert metrics["iteration"] == 40
    assert ">" in str(metrics["best_objects"][0])
    assert "learned_against_target.png" in gfn("plot", "runs/killed", "--trust")
    gfn("train", "tb", NAMES[1], *FLAGS, "--iterations", 20, "--no-figures", "--out", "runs/tb")
    table = gfn("compare", "runs/killed", "runs/tb", "--metric", "tv", "--out", "both.png")
    assert "Shrunk" in table
    assert (folder / "both.png").stat().st_size > 1000
    assert json.loads((folder / "runs/killed/config.json").read_text())["env"] == "Mine/Permutation-v0"
    # A source that has changed since is noticed.
    (folder / "mine.py").write_text(MINE.replace("trajectories) + weight", "trajectories) - weight"))
    assert "mine:Shrunk has changed since the run was made" in gfn("evaluate", "runs/killed", "--trust", code=2)
    assert "mine:Shrunk: its source has changed" in gfn(*train, "--out", "runs/killed", "--resume", code=2)


def test_a_training_from_a_file(folder: Path, gfn: Gfn) -> None:
    """The config.json of a run, or the user's own file, begins another training."""
    gfn("train", *NAMES, *FLAGS, "--iterations", 10, "--env.score", "mine:score", "--out", "first", "--no-figures")
    again = ["train", "--config", "first/config.json", *FLAGS[4:], "--no-figures"]
    line = gfn(*again, "--out", "second", code=2)
    assert "agent is mine:Shrunk" in line
    assert "score is mine:score" in line
    assert f"imported from {folder}" in line
    gfn(*again, "--out", "second", "--trust")
    assert rows(folder / "first") == rows(folder / "second")
    gfn(*again, "--out", "third", "--trust", "--agent.strength", 0.5, "--env.n", 3, "--seed", 1)
    third = json.loads((folder / "third/config.json").read_text())
    assert (third["settings"]["strength"], third["env_arguments"]["n"], third["seed"]) == (0.5, 3, 1)
    assert (third["settings"]["hidden"], third["iterations"]) == ([16], 10)
    (folder / "own.json").write_text(
        '{"agent": "tb", "env": "GFN/HyperGrid-v0", "env_arguments": {"side": 4}, "settings": {"hidden": [8]}, '
        '"iterations": 3, "eval_every": 0}'
    )
    gfn("train", "--config", "own.json", "--no-progress", "--no-figures", "--out", "own")
    assert json.loads((folder / "own/config.json").read_text())["env_arguments"]["side"] == 4
    (folder / "bad.json").write_text('{"agent": "tb", "env": "GFN/HyperGrid-v0", "setings": {}}')
    assert "unknown key 'setings'; did you mean 'settings'?" in gfn("train", "--config", "bad.json", code=2)
    assert "leave out tb" in gfn("train", "tb", "--config", "own.json", code=2)


def test_errors_are_one_line(folder: Path, gfn: Gfn) -> None:
    grid = ["GFN/HyperGrid-v0", "--iterations", 1, "--no-progress", "--out", "run"]
    cases = {
        "there is no module 'min' (searched: ": ["mine:Shrunk", "min:Mine/Permutation-v0"],
        "did you mean 'mine'?": ["min:Shrunk", *grid],
        "has no 'Shrink'; did you mean 'Shrunk'?": ["mine:Shrink", *grid],
        "expected a subclass of agents.Agent": ["mine:Permutation", *grid],
        "mine:NAME is not callable": ["tb", *grid, "--env.reward", "mine:NAME"],
        "is called with 1 argument": ["tb", *grid, "--env.reward", "mine:two"],
        "replay: mine:score is not a Scheme": ["tb", *grid, "--agent.replay", "mine:score"],
        "there is no module 'gone'": ["tb", *grid, "--agent.policy", "gone:Gru"],
        "policy score must make an agents.Policy": ["tb", *grid, "--agent.policy", "mine:one"],
        "callbacks: mine": ["tb", *grid, "--callbacks", "mine:Gone"],
    }
    with (folder / "mine.py").open("a") as file:
        file.write("\nNAME = 'x'\ndef two(a, b): return a\ndef one(dag): return 1\n")
    for message, words in cases.items():
        line = gfn("train", *words, code=2)
        assert message.replace("score must", "one must") in line
    assert not (folder / "run").exists()
