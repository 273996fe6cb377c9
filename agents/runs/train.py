"""The training loop: progress bar, logging, evaluation, checkpoints, resume."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.agent import Agent
from agents.evaluation.evaluate import evaluate, is_enumerable
from agents.runs import directory as runs
from agents.runs.errors import RunError
from agents.runs.interrupt import Interrupt
from agents.runs.log import RunLog
from gfn_envs.border import reward_record


@dataclass
class Progress:
    """State of the training loop between iterations. Every checkpoint holds it."""

    transitions: int = 0
    seconds: float = 0.0
    """Seconds spent in iterations, without evaluation and checkpoints."""
    begun: int = 0
    """Iterations of the agent before the run began."""
    window: int = 0
    loss_sum: float = 0.0
    tv: float | None = None
    failed_rewards: int = 0
    """Objects whose reward failed and got the floor or was left out (``on_error`` of the environment)."""


def train(
    agent: Agent,
    iterations: int,
    out: str | os.PathLike[str] | None = None,
    *,
    log_every: int | None = None,
    eval_every: int | None = None,
    checkpoint_every: int | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    resume: bool = False,
) -> list[dict[str, Any]]:
    """Train ``agent`` until it has done ``iterations`` iterations in total.

    Args:
        agent: the agent to train. Training continues from its current iteration.
        iterations: total number of iterations.
        out: run directory (see :mod:`agents.runs.directory`), first written after the first iteration. None writes
            nothing.
        log_every: iterations between rows of the history. Default: a hundredth of ``iterations``.
        eval_every: iterations between evaluations. Default: a tenth of ``iterations``.
        checkpoint_every: iterations between checkpoints. Default: ``eval_every``.
        progress: show a progress bar with iterations per second, loss, log Z and the last exact TV.
        tensorboard: also write TensorBoard events to ``out``.
        resume: continue the run in ``out`` if it has a checkpoint. The result equals that of an uninterrupted run.

    Returns:
        The history: one dict per log step with ``iteration``, ``loss`` (mean since the last row), ``log_z``,
        ``transitions`` and ``seconds``; also ``failed_rewards`` if ``on_error`` of the environment is not "raise". Rows of evaluated iterations also hold the metrics of
        :func:`agents.evaluation.evaluate.evaluate`. An agent without iterations left is evaluated once, with a ``loss``
        of None.

    Raises:
        RunError: ``out`` holds a run and ``resume`` is False, holds a run with another configuration, or has lost its
            config or its checkpoint.
        ValueError: an interval is not positive, or TensorBoard is requested without ``out``.
        ImportError: TensorBoard is requested but not installed.
        FloatingPointError: the loss or the weights became NaN or infinite. The last checkpoint is from before.
        RewardError: a reward failed. The agent is as it was before the iteration.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    log_every = _interval("log_every", log_every, iterations // 100)
    eval_every = _interval("eval_every", eval_every, iterations // 10)
    checkpoint_every = _interval("checkpoint_every", checkpoint_every, eval_every)
    if tensorboard and out is None:
        raise ValueError("TensorBoard events need a run directory (out)")
    directory = None if out is None else Path(out)
    config = {} if directory is None else {**runs.describe(agent), "iterations": iterations}
    state, history = _restore(directory, agent, config, resume)
    log = RunLog(directory, config, history, tensorboard)
    if is_enumerable(agent.dag):
        evaluate(agent, num_samples=2)  # Enumerate the DAG before the clock and the progress bar start.

    def record(metrics: dict[str, Any]) -> dict[str, Any]:
        row = _row(agent, state, metrics)
        history.append(row)
        log.add(row)
        return row

    # The first iteration is saved, so that a run can be resumed whenever it is killed.
    unsaved = directory is not None and not (directory / runs.CHECKPOINT).exists()
    bar = tqdm(total=iterations, initial=agent.iteration, disable=not progress, unit="it", dynamic_ncols=True)
    interrupt = Interrupt()
    try:
        while agent.iteration < iterations and not interrupt.requested:
            start = time.perf_counter()
            failed = reward_record(agent.dag).failed
            info = agent.update()
            state.seconds += time.perf_counter() - start
            state.failed_rewards += reward_record(agent.dag).failed - failed
            log.begin()
            state.transitions += int(info["transitions"])
            state.window, state.loss_sum = state.window + 1, state.loss_sum + info["loss"]
            i, last = agent.iteration, agent.iteration == iterations
            bar.update()
            evaluated = i % eval_every == 0 or last
            if i % log_every == 0 or evaluated:
                row = record(evaluate(agent) if evaluated else {})
                bar.set_postfix({k: f"{row[k]:.4g}" for k in ("loss", "log_z", "tv") if row.get(k) is not None})
            if directory is not None and (unsaved or i % checkpoint_every == 0 or last or interrupt.requested):
                runs.save_checkpoint(directory, agent, asdict(state))
                unsaved = False
        if agent.iteration < iterations:
            raise KeyboardInterrupt
        # The agent had no iteration left, or an interrupt stopped its last evaluation.
        if not (history and "elbo" in history[-1] and history[-1]["iteration"] == agent.iteration):
            record(evaluate(agent))
            if directory is not None:
                runs.save_checkpoint(directory, agent, asdict(state))
        log.begin()  # A resumed run without iterations left records its new total, too.
    finally:
        interrupt.restore()
        bar.close()
        log.close()
    if directory is not None:
        runs.write_json(directory / runs.METRICS, final_metrics(agent, history, state.begun))
    return history


def final_metrics(agent: Agent, history: list[dict[str, Any]], begun: int = 0) -> dict[str, Any]:
    """The last evaluation of a run, with its speed and seed. Speeds are None if the run had no iteration left.

    Args:
        agent: the trained agent.
        history: rows of the history.
        begun: iteration at which the run began.
    """
    last = [row for row in history if "elbo" in row][-1]
    seconds = last["seconds"]
    return {
        **last,
        "agent": agent.name,
        "seed": agent.seed,
        "iterations_per_second": (last["iteration"] - begun) / seconds if seconds else None,
        "transitions_per_second": last["transitions"] / seconds if seconds else None,
    }


def _interval(name: str, value: int | None, default: int) -> int:
    if value is None:
        return max(1, default)
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def _restore(
    directory: Path | None, agent: Agent, config: dict[str, Any], resume: bool
) -> tuple[Progress, list[dict[str, Any]]]:
    """Progress and rows of a new run, or of the run to resume, whose agent is restored. Writes nothing."""
    begun = Progress(begun=agent.iteration)
    if directory is None:
        return begun, []
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory} is a file: a run needs a directory")
    if not (directory / runs.CONFIG).exists():
        for name in (runs.CHECKPOINT, runs.HISTORY, runs.METRICS):
            if (directory / name).exists():
                raise RunError(f"{directory} holds {name} but no {runs.CONFIG}: choose another directory")
        return begun, []
    if not resume:
        raise RunError(f"{directory} already holds a run: resume it, or choose another directory")
    runs.check_same(directory, config)
    rows = runs.read_history(directory)
    if (directory / runs.CHECKPOINT).exists():
        saved = runs.load_checkpoint(directory, agent)
        try:
            state = Progress(**saved)
        except TypeError as error:
            raise RunError(f"{directory / runs.CHECKPOINT} holds the progress of another loop: {error}") from error
        return state, [row for row in rows if row["iteration"] <= agent.iteration]
    if rows and rows[-1]["iteration"] > agent.iteration + 1:
        raise RunError(
            f"{directory} holds metrics up to iteration {rows[-1]['iteration']} but no {runs.CHECKPOINT} to resume "
            "from: choose another directory"
        )
    return begun, []


def _row(agent: Agent, state: Progress, metrics: dict[str, Any]) -> dict[str, Any]:
    """A row of the history. Resets the loss window."""
    state.tv = metrics.get("tv", state.tv)
    row = {
        "iteration": agent.iteration,
        "loss": state.loss_sum / state.window if state.window else None,
        "log_z": agent.log_z,
        "transitions": state.transitions,
        "seconds": state.seconds,
        **({} if agent.dag.on_error == "raise" else {"failed_rewards": state.failed_rewards}),
        **metrics,
    }
    state.window, state.loss_sum = 0, 0.0
    return row
