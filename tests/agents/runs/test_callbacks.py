"""Callbacks of a training, and what an agent's update returns, in the history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.agent import Agent
from agents.gflownets.tb import TB
from agents.runs import directory as runs
from agents.runs.compare import read_run


def make(kind: type[Agent] = TB) -> Agent:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", side=3)
    return kind(dag, kind.config_class(hidden=(8,), engine="torch"))


def train(agent: Agent, iterations: int, out: Path | None = None, **arguments: Any) -> list[dict[str, Any]]:
    settings = {"progress": False, "log_every": 2, "checkpoint_every": 2, "eval_every": 0}
    return agents.train(agent, iterations, out, **{**settings, **arguments})


class Recorder(agents.Callback):
    def __init__(self, stop_at: int = 10**9) -> None:
        self.calls: list[str] = []
        self.stop_at, self.seen = stop_at, 0

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        self.calls.append(f"begin {agent.iteration}")

    def iteration(self, agent: Agent, info: dict[str, Any]) -> bool:
        self.seen += 1
        self.calls.append(f"iteration {agent.iteration}")
        return agent.iteration == self.stop_at

    def row(self, agent: Agent, row: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(f"row {row['iteration']}")
        return {"seen": self.seen}

    def end(self, agent: Agent, final: dict[str, Any]) -> None:
        self.calls.append(f"end {final['iteration']}")

    def close(self) -> None:
        self.calls.append("close")

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "tensor": torch.ones(2)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


def test_they_are_called_in_order_and_add_columns() -> None:
    recorder, rows = Recorder(), []
    history = train(make(), 3, callbacks=[recorder, rows.append])
    assert recorder.calls == [
        *("begin 1", "iteration 1", "iteration 2", "row 2", "iteration 3", "row 3", "end 3", "close"),
    ]
    assert [row["seen"] for row in history] == [2, 3]
    assert rows == history


def test_one_ends_the_training_cleanly(tmp_path: Path) -> None:
    recorder = Recorder(stop_at=3)
    history = train(make(), 100, tmp_path / "run", callbacks=[recorder], eval_every=50, eval_samples=10)
    assert history[-1]["iteration"] == 3
    assert history[-1]["tv"] is not None
    assert recorder.calls[-3:] == ["row 3", "end 3", "close"]
    assert runs.read_metrics(tmp_path / "run")["stopped"]
    assert agents.load_agent(tmp_path / "run").iteration == 3
    assert read_run(tmp_path / "run").finished


def test_their_state_is_part_of_checkpoints(tmp_path: Path) -> None:
    train(make(), 4, tmp_path / "run", callbacks=[Recorder()])
    history = train(make(), 8, tmp_path / "run", callbacks=[Recorder()], resume=True)
    assert [row["seen"] for row in history] == [2, 4, 6, 8]


def test_an_error_closes_them() -> None:
    class Broken(agents.Callback):
        def iteration(self, agent: Agent, info: dict[str, Any]) -> None:
            raise RuntimeError("mine")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="mine"):
        train(make(), 3, callbacks=[recorder, Broken()])
    assert recorder.calls == ["begin 1", "iteration 1", "close"]


def test_what_is_no_callback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"callbacks must be agents.Callback objects or functions of a row, got 3"):
        train(make(), 2, tmp_path / "run", callbacks=[3])
    with pytest.raises(ImportError, match="callbacks: there is no module 'no_module'"):
        train(make(), 2, tmp_path / "run", callbacks=["no_module:Mine"])
    with pytest.raises(ValueError, match="callback of_loss: the row has a column 'loss' already"):
        train(make(), 2, callbacks=[type("of_loss", (Recorder,), {"row": lambda self, agent, row: {"loss": 1}})()])
    assert not (tmp_path / "run").exists()


def test_one_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    monkeypatch.setitem(sys.modules, "found_callbacks", type(sys)("found_callbacks"))
    monkeypatch.setattr(sys.modules["found_callbacks"], "keep", found.append, raising=False)
    history = train(make(), 2, callbacks=["found_callbacks:keep"])
    assert found == history


# ---------------------------------------------------------------------- what update() returns


class Reports(TB):
    """Reports whatever ``extra`` makes of the iteration."""

    extra: Any = staticmethod(lambda i: {})

    def update(self) -> dict[str, Any]:
        return super().update() | self.extra(self.iteration)


def test_everything_that_update_returns_is_in_the_history(tmp_path: Path) -> None:
    class Rich(Reports):
        extra = staticmethod(
            lambda i: {
                "scalar": torch.tensor(float(i)),
                "flag": i == 2,
                "text": f"stage {i}",
                "array": np.arange(i),
                "nested": {"a": i, "deep": {"b": 10 * i}},
                "nothing": None,
                "rare": 5.0 if i == 2 else None,
            }
        )

    train(make(Rich), 4, tmp_path / "run")
    first, second = runs.read_history(tmp_path / "run")
    assert (first["scalar"], first["flag"], first["text"], first["array"]) == (1.5, 0.5, "stage 2", [0, 1])
    assert (second["scalar"], second["nested.a"], second["nested.deep.b"]) == (3.5, 3.5, 35.0)
    assert first["rare"] == 5.0
    assert not {"nothing", "nested"} & first.keys() | {"rare"} & second.keys()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"seconds": 1.0}, "agent 'Bad': update returned 'seconds', which is another column of the history"),
        ({"tv": 1.0}, "update returned 'tv'"),
        ({"thing": object()}, "update returned thing = <object object.*allowed: numbers, text, arrays of numbers"),
        ({"words": ["a", "b"]}, "update returned words = "),
    ],
)
def test_what_cannot_be_in_the_history_is_refused(extra: dict[str, Any], message: str, tmp_path: Path) -> None:
    class Bad(Reports):
        pass

    Bad.extra = staticmethod(lambda i: extra)
    with pytest.raises(ValueError, match=message):
        train(make(Bad), 2, tmp_path / "run")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.json*"))


def test_an_update_without_a_loss_says_what_it_must_return() -> None:
    class Silent(TB):
        def update(self) -> Any:
            return None

    with pytest.raises(ValueError, match=r"agent 'Silent': update must return a dict with 'loss' and 'transitions'"):
        train(make(Silent), 2)
