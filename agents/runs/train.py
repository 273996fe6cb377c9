"""The training loop: progress bar, logging, evaluation, checkpoints, resume."""

from __future__ import annotations

import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.agent import Agent
from agents.evaluation.diagnostics import batch_diagnostics, collapse_warning
from agents.evaluation.evaluate import evaluate, is_enumerable
from agents.runs import directory as runs
from agents.runs.errors import RunError
from agents.runs.history import history_text
from agents.runs.inputs import Copies
from agents.runs.interrupt import Interrupt
from agents.runs.lock import RunLock
from agents.runs.log import RunLog
from agents.runs.probe import check_config_probe, make_probe
from agents.runs.provenance import provenance
from agents.runs.rows import add_numbers, final_metrics, means, undefined
from gfn_envs.border import reward_record

#: Columns of the progress bar.
POSTFIX = ("loss", "log_z", "tv", "batch_ess")


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
    sums: dict[str, list[float]] = field(default_factory=dict)
    """Sum and count, since the last row, of every other number that the agent's update returned."""
    tv: float | None = None
    history: str | None = None
    """Checksum of the last row of the history."""
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
        ``transitions`` and ``seconds``, and the mean since the last row of every other number that the agent's update
        returns; also ``failed_rewards`` if ``on_error`` of the environment is not "raise". Rows of evaluated iterations
        also hold the metrics of :func:`agents.evaluation.evaluate.evaluate` and of
        :func:`agents.evaluation.diagnostics.batch_diagnostics`, ``evaluation_seconds``, ``undefined`` (reason -> names
        of metrics) and, if the policy seems collapsed, a ``warning``. An agent without iterations left is evaluated
        once, with a ``loss`` of None.

    Raises:
        RunError: ``out`` holds a run and ``resume`` is False, holds a run with another configuration, is damaged, has
            lost its config or its checkpoint, or another process trains in it.
        OSError: a file cannot be written, for example because the disk is full. The last checkpoint stays.
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
    with RunLock(directory):
        every = (log_every, eval_every, checkpoint_every)
        return _train(agent, iterations, directory, every, progress, tensorboard, resume)


def _train(
    agent: Agent,
    iterations: int,
    directory: Path | None,
    every: tuple[int, int, int],
    progress: bool,
    tensorboard: bool,
    resume: bool,
) -> list[dict[str, Any]]:
    """:func:`train` in a directory that this process holds."""
    log_every, eval_every, checkpoint_every = every
    copies: Copies = {}
    config = {} if directory is None else {**runs.describe(agent, copies), "iterations": iterations}
    state, history, earlier = _restore(directory, agent, config, resume)
    log = RunLog(directory, config, copies, history, tensorboard)
    if missing := [] if directory is None else runs.needs_environment(config):
        warnings.warn(
            f"{directory}: {', '.join(missing)} cannot be imported; load_agent will need dag=...", stacklevel=3
        )
    if is_enumerable(agent.dag):
        evaluate(agent, num_samples=2)  # Enumerate the DAG before the clock and the progress bar start.

    def begin() -> None:
        log.begin(lambda: _origin(agent, earlier))

    def record(metrics: dict[str, Any]) -> dict[str, Any]:
        begin()
        row = _row(agent, state, metrics)
        history.append(row)
        log.add(row)
        return row

    def save() -> None:
        if directory is not None:
            state.history = log.sync()
            runs.save_checkpoint(directory, agent, asdict(state))

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
            begin()
            state.transitions += int(info["transitions"])
            state.window, state.loss_sum = state.window + 1, state.loss_sum + info["loss"]
            add_numbers(state.sums, info)
            i, last = agent.iteration, agent.iteration == iterations
            bar.update()
            evaluated = i % eval_every == 0 or last
            if i % log_every == 0 or evaluated:
                row = record(_evaluated(agent) if evaluated else {})
                bar.set_postfix({k: f"{row[k]:.4g}" for k in POSTFIX if row.get(k) is not None})
            if unsaved or i % checkpoint_every == 0 or last or interrupt.requested:
                save()
                unsaved = False
        if agent.iteration < iterations:
            raise KeyboardInterrupt
        # The agent had no iteration left, or an interrupt stopped its last evaluation.
        if not (history and "elbo" in history[-1] and history[-1]["iteration"] == agent.iteration):
            record(_evaluated(agent))
            save()
        begin()  # A resumed run without iterations left records its new total, too.
    finally:
        interrupt.restore()
        bar.close()
        log.close()
    if progress and "warning" in history[-1]:
        print(f"warning: {history[-1]['warning']}", file=sys.stderr)
    if directory is not None:
        runs.write_sealed(directory / runs.METRICS, final_metrics(agent, history, state.begun))
    return history


def _evaluated(agent: Agent) -> dict[str, Any]:
    """The metrics of an evaluated row."""
    start = time.perf_counter()
    metrics = evaluate(agent)
    metrics |= batch_diagnostics(agent)
    warning, reasons = collapse_warning(metrics), undefined(agent, metrics)
    return {
        **metrics,
        "evaluation_seconds": time.perf_counter() - start,
        **({"undefined": reasons} if reasons else {}),
        **({"warning": warning} if warning else {}),
    }


def _origin(agent: Agent, earlier: dict[str, Any]) -> dict[str, Any]:
    """The part of the config that is known after the first iteration: log rewards of a few objects, provenance.

    Args:
        agent: the agent.
        earlier: config of the run that is resumed. Its probe stays.
    """
    return {
        "probe": earlier["probe"] if "probe" in earlier else make_probe(agent),
        "provenance": [*earlier.get("provenance", []), provenance()],
    }


def _interval(name: str, value: int | None, default: int) -> int:
    if value is None:
        return max(1, default)
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


def _restore(
    directory: Path | None, agent: Agent, config: dict[str, Any], resume: bool
) -> tuple[Progress, list[dict[str, Any]], dict[str, Any]]:
    """Progress, rows and config of the run to resume, whose agent is restored. A new run has none. Writes nothing."""
    begun = Progress(begun=agent.iteration)
    if directory is None:
        return begun, [], {}
    if not (directory / runs.CONFIG).exists():
        for name in (runs.CHECKPOINT, runs.HISTORY, runs.METRICS):
            if (directory / name).exists():
                raise RunError(f"{directory} holds {name} but no {runs.CONFIG}: choose another directory")
        return begun, [], {}
    if not resume:
        raise RunError(f"{directory} already holds a run: resume it, or choose another directory")
    runs.check_same(directory, config)
    earlier = runs.read_config(directory)
    check_config_probe(directory / runs.CONFIG, earlier, agent.dag)
    rows = runs.read_history(directory)
    if (directory / runs.CHECKPOINT).exists():
        saved = runs.load_checkpoint(directory, agent, same_environment="probe" in earlier)
        try:
            state = Progress(**saved)
        except TypeError as error:
            raise RunError(f"{directory / runs.CHECKPOINT} holds the progress of another loop: {error}") from error
        return state, _rows_until(directory, rows, agent.iteration, state.history), earlier
    if rows and rows[-1]["iteration"] > agent.iteration + 1:
        raise RunError(
            f"{directory} holds metrics up to iteration {rows[-1]['iteration']} but no {runs.CHECKPOINT} to resume "
            "from: choose another directory"
        )
    return begun, [], earlier


def _rows_until(directory: Path, rows: list[dict[str, Any]], iteration: int, crc: str | None) -> list[dict[str, Any]]:
    """The rows that the checkpoint of ``iteration`` has seen, the last of them with checksum ``crc``."""
    rows = [row for row in rows if row["iteration"] <= iteration]
    if crc is None:  # version 0.1
        return rows
    # A process killed after its last evaluation leaves a row of this iteration that the checkpoint has not seen.
    unseen = [len(rows), *(k for k in range(len(rows)) if rows[k]["iteration"] == iteration)]
    for end in sorted(unseen, reverse=True):
        if f"{history_text(rows[:end])[1]:08x}" == crc:
            return rows[:end]
    raise RunError(f"{directory / runs.HISTORY}, line {len(rows) + 1}: rows before iteration {iteration} are missing")


def _row(agent: Agent, state: Progress, metrics: dict[str, Any]) -> dict[str, Any]:
    """A row of the history. Resets the loss window."""
    state.tv = metrics.get("tv", state.tv)
    row = {
        "iteration": agent.iteration,
        "loss": state.loss_sum / state.window if state.window else None,
        "log_z": agent.log_z,
        "transitions": state.transitions,
        "seconds": state.seconds,
        **means(state.sums),
        **({} if agent.dag.on_error == "raise" else {"failed_rewards": state.failed_rewards}),
        **metrics,
    }
    state.window, state.loss_sum, state.sums = 0, 0.0, {}
    return row
