"""Every number of the history reaches TensorBoard, Weights & Biases (offline) and MLflow (a local file)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agents
import gfn_envs
from agents.runs import loggers


def train(out: Path, iterations: int, **arguments: Any) -> list[dict[str, Any]]:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", side=3)
    agent = agents.make_agent("tb", dag, hidden=(8,), engine="torch")
    settings = {"progress": False, "log_every": 2, "checkpoint_every": 2, "eval_every": 4, "eval_samples": 10}
    return agents.train(agent, iterations, out, **settings, **arguments)


def expected(history: list[dict[str, Any]], column: str) -> list[tuple[int, float]]:
    return [(row["iteration"], pytest.approx(row[column])) for row in history if row.get(column) is not None]


def test_tensorboard(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = train(tmp_path / "run", 4, logger="tensorboard")
    events = event_accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    for column in ("loss", "tv"):
        assert [(event.step, event.value) for event in events.Scalars(column)] == expected(history, column)


@pytest.mark.slow
def test_mlflow_continues_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    train(tmp_path / "run", 4, logger="mlflow")
    history = train(tmp_path / "run", 8, logger="mlflow", resume=True)
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("gfn-envs").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["env.side"] == "3"
    for column in ("loss", "tv"):
        logged = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, column)]
        assert logged == expected(history, column)


@pytest.mark.slow
def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    history = train(tmp_path / "run", 4, logger="wandb")
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    assert logged_by_wandb(file) == {
        column: [value for _, value in expected(history, column)] for column in ("loss", "tv")
    }


def logged_by_wandb(file: Path) -> dict[str, list[float]]:
    """The values of two columns in a file of records that ``wandb sync`` would send."""
    # In a separate process, so that protocol buffers do not conflict with those of other tests.
    program = """
import json, struct, sys
from wandb.proto import wandb_internal_pb2 as pb

content, place, parts, found = open(sys.argv[1], "rb").read(), 7, b"", {"loss": [], "tv": []}
while place + 7 <= len(content):
    if place % 32768 > 32768 - 7:  # the end of a block is padding
        place += 32768 - place % 32768
        continue
    _, length, kind = struct.unpack("<IHB", content[place : place + 7])
    parts, place = parts + content[place + 7 : place + 7 + length], place + 7 + length
    if kind in (1, 4):  # a record, or its last part
        record, parts = pb.Record.FromString(parts), b""
        for item in record.history.item:
            name = item.key or ".".join(item.nested_key)
            if name in found:
                found[name].append(json.loads(item.value_json))
print(json.dumps(found))
"""
    ran = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_what_is_wrong_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"unknown logger 'wandbb'; did you mean 'wandb'\?"):
        train(tmp_path / "run", 2, logger="wandbb")
    for name, module in (("wandb", "wandb"), ("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf"pip install 'gfn-envs\[{name}\]'"):
            train(tmp_path / "run", 2, logger=[name])
    monkeypatch.setitem(loggers.LOGGERS, "wandb", agents.Callback)
    with pytest.raises(ValueError, match=r"logger 'wandb' needs a run directory \(out\)"):
        train(None, 2, logger="wandb")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


class Extra(agents.Callback):
    def row(self, agent, row):
        return {"mine": 1.5}


def test_loggers_get_the_columns_of_callbacks(tmp_path, monkeypatch):
    seen = []

    class Logger(agents.Callback):
        def row(self, agent, row):
            seen.append(dict(row))

    monkeypatch.setitem(loggers.LOGGERS, "wandb", Logger)
    history = train(tmp_path / "run", 2, logger="wandb", callbacks=[Extra()])
    assert [row["mine"] for row in history] == [row["mine"] for row in seen] == [1.5] * len(history)
