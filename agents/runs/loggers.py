"""Loggers: callbacks that send the metrics of the history to TensorBoard, Weights & Biases or MLflow."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.runs.callbacks import Callback
from gfn_envs.validation import did_you_mean


def numbers(row: dict[str, Any]) -> dict[str, float]:
    """The finite numbers of a row, by column, without its iteration."""
    return {
        key: float(value)
        for key, value in row.items()
        if key != "iteration" and isinstance(value, int | float) and math.isfinite(value)
    }


def run_id(config: dict[str, Any], directory: Path | None) -> str:
    """An id of a run that stays the same if it is resumed: a hash of its directory and of the date it began."""
    begun = (config.get("provenance") or [{}])[0].get("date")
    return hashlib.sha256(json.dumps([str(directory and directory.absolute()), begun]).encode()).hexdigest()[:16]


def flat(config: dict[str, Any]) -> dict[str, Any]:
    """Agent, environment, seed, settings and arguments of a config in one dict."""
    kept = {name: config[name] for name in ("agent", "env", "seed", "iterations", "engine") if name in config}
    parts = (("agent", config.get("settings", {})), ("env", config.get("env_arguments", {})))
    return kept | {f"{part}.{name}": value for part, values in parts for name, value in values.items()}


class TensorBoard(Callback):
    """TensorBoard events in the folder ``tensorboard`` of the run directory.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("TensorBoard is not installed: pip install 'gfn-envs[tensorboard]'") from error
        self.make, self.writer = SummaryWriter, None  # type: Any, Any

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        self.writer = self.make(str((directory or Path()) / "tensorboard"))

    def row(self, agent: Agent, row: dict[str, Any]) -> None:
        for key, value in numbers(row).items():
            self.writer.add_scalar(key, value, row["iteration"])

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class WandB(Callback):
    """A run of Weights & Biases in the project ``WANDB_PROJECT``, by default "gfn-envs".

    ``WANDB_MODE=offline`` writes to the run directory and needs no account; ``wandb sync`` sends it later. A resumed
    training continues its run.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(self) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ImportError("Weights & Biases is not installed: pip install 'gfn-envs[wandb]'") from error
        self.wandb, self.run = wandb, None  # type: Any, Any

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        try:
            self.run = self.wandb.init(
                project=os.environ.get("WANDB_PROJECT", "gfn-envs"),
                name=directory.name if directory else None,
                id=run_id(config, directory),
                resume="allow",
                config=flat(config),
                dir=str(directory or Path()),
                settings=self.wandb.Settings(console="off", silent=True),
            )
        except self.wandb.errors.Error as error:
            reason = " ".join(str(error).split())
            raise OSError(f"Weights & Biases: {reason} (WANDB_MODE=offline logs without an account)") from error

    def row(self, agent: Agent, row: dict[str, Any]) -> None:
        if self.run is not None:
            self.run.log(numbers(row), step=row["iteration"])

    def end(self, agent: Agent, final: dict[str, Any]) -> None:
        if self.run is not None:
            self.run.summary.update(numbers(final))

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()


class MLflow(Callback):
    """A run of MLflow in the experiment ``MLFLOW_EXPERIMENT_NAME``, by default "gfn-envs".

    ``MLFLOW_TRACKING_URI`` sets the place; the default is a SQLite file ``mlflow.db`` in the run directory. A resumed
    training continues its run.

    Raises:
        ImportError: MLflow is not installed.
    """

    def __init__(self) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise ImportError("MLflow is not installed: pip install 'gfn-envs[mlflow]'") from error
        self.mlflow, self.client, self.id = mlflow, None, ""  # type: Any, Any, str

    def begin(self, agent: Agent, config: dict[str, Any], directory: Path | None) -> None:
        place = (directory or Path()).absolute()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place / 'mlflow.db'}"
        name, own = os.environ.get("MLFLOW_EXPERIMENT_NAME", "gfn-envs"), run_id(config, directory)
        try:
            self.client = self.mlflow.MlflowClient(tracking_uri=uri)
            known = self.client.get_experiment_by_name(name)
            experiment = known.experiment_id if known else self.client.create_experiment(name)
            earlier = self.client.search_runs([experiment], f"tags.gfn_envs = '{own}'")
            if earlier:
                self.id = earlier[0].info.run_id
                self.client.update_run(self.id, status="RUNNING")
            else:
                tags = {"gfn_envs": own}
                self.id = self.client.create_run(experiment, tags=tags, run_name=place.name).info.run_id
                for key, value in flat(config).items():
                    self.client.log_param(self.id, key, str(value)[:500])
        except self.mlflow.exceptions.MlflowException as error:
            raise OSError(f"MLflow ({uri}): {' '.join(str(error).split())}") from error

    def row(self, agent: Agent, row: dict[str, Any]) -> None:
        if self.client is not None:
            now, metric = int(time.time() * 1000), self.mlflow.entities.Metric
            found = [metric(key, value, now, row["iteration"]) for key, value in numbers(row).items()]
            self.client.log_batch(self.id, metrics=found)

    def close(self) -> None:
        if self.client is not None and self.id:
            self.client.set_terminated(self.id)


LOGGERS: dict[str, type[Callback]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def loggers(names: str | Iterable[str]) -> list[Callback]:
    """The loggers with these names, each once.

    Raises:
        ValueError: an unknown name.
        ImportError: a library is not installed.
    """
    chosen = list(dict.fromkeys([names] if isinstance(names, str) else names))
    if unknown := [name for name in chosen if name not in LOGGERS]:
        hint = did_you_mean(unknown[0], LOGGERS)
        raise ValueError(f"unknown logger {unknown[0]!r}{hint} (available: {', '.join(LOGGERS)})")
    return [LOGGERS[name]() for name in chosen]
