"""The training loop: progress bar, logging, evaluation, checkpoints, resume."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.agent import Agent
from agents.distributed.team import Team
from agents.memory import say_memory_of_training
from agents.runs import directory as runs
from agents.runs.callbacks import Callbacks
from agents.runs.evaluations import enumerate_states, evaluated_columns
from agents.runs.inputs import Copies
from agents.runs.interrupt import Interrupt
from agents.runs.lock import RunLock
from agents.runs.log import RunLog
from agents.runs.loggers import loggers
from agents.runs.oracles import watched_oracle
from agents.runs.probe import make_probe
from agents.runs.progress import restore
from agents.runs.provenance import provenance
from agents.runs.rows import add_info, final_metrics, history_row
from agents.threads import working_threads
from gfn_envs.border import reward_record
from gfn_envs.reward_errors import BudgetSpent
from gfn_envs.validation import positive_int

#: Columns of the progress bar.
POSTFIX = ("loss", "log_z", "beta", "tv", "mean_tv", "batch_ess")


@dataclass(frozen=True)
class Loop:
    """Arguments of :func:`train` other than agent, directory and number of iterations."""

    log_every: int
    eval_every: int
    checkpoint_every: int
    eval_samples: int
    exact_states: int | None
    progress: bool
    resume: bool
    callbacks: Callbacks


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
    eval_samples: int = 2000,
    exact_states: int | None = None,
    threads: int | None = None,
    logger: str | Sequence[str] = (),
    callbacks: Sequence[Any] = (),
    distributed: bool = False,
) -> list[dict[str, Any]]:
    """Train ``agent`` until it has done ``iterations`` iterations in total.

    Args:
        agent: the agent to train. Training continues from its current iteration.
        iterations: total number of iterations.
        out: run directory (see :mod:`agents.runs.directory`), first written after the first iteration. None writes
            nothing.
        log_every: iterations between rows of the history. Default: a hundredth of ``iterations``.
        eval_every: iterations between evaluations, of which the last iteration has one; 0: none at all. Default: a
            tenth of ``iterations``.
        checkpoint_every: iterations between checkpoints. Default: ``eval_every``, or a tenth of ``iterations`` if it is
            0.
        progress: show a progress bar with iterations per second, loss, log Z and the last exact TV.
        tensorboard: as ``logger="tensorboard"``.
        resume: continue the run in ``out`` if it has a checkpoint. The result equals that of an uninterrupted run.
        eval_samples: number of trajectories of an evaluation, at least 2.
        exact_states: evaluations are exact on DAGs of at most this many states. Default: 2,000,000
            (:func:`agents.evaluation.evaluate.is_enumerable`).
        threads: threads of torch and of NumPy's and SciPy's matrix products during training and evaluation, and most
            threads for the parts of a batch. Default: 1 for matrix products, and as many as the process has cores for
            parts (:mod:`agents.threads`); 1 for both if ``distributed``.
        logger: "tensorboard", "wandb" or "mlflow", or several of them, which also log the history
            (:mod:`agents.runs.loggers`).
        callbacks: :class:`agents.Callback` objects, or functions that are called with every row of the history, or the
            ``module:name`` of such. Their state is part of checkpoints.
        distributed: share every batch with the other processes of ``torch.distributed``, which must be initialized and
            call this function with the same arguments (:mod:`agents.distributed`). Process 0 evaluates, writes ``out``
            and calls the callbacks; the others return an empty history.

    If the budget of the environment's oracle is spent, training ends: the results are saved, and the final metrics say
    so (``stopped``).

    Returns:
        The history: one dict per log step with ``iteration``, ``loss`` (mean since the last row), ``log_z``,
        ``transitions`` and ``seconds``, and everything else that the agent's update returns: the mean since the last
        row of numbers, the last value of text and arrays; also ``failed_rewards`` if ``on_error`` of the environment is
        not "raise". Rows of evaluated iterations also hold the metrics of
        :func:`agents.evaluation.evaluate.evaluate` (with conditions,
        :func:`agents.conditional.evaluation.watched_conditions`) and of
        :func:`agents.evaluation.diagnostics.batch_diagnostics`, ``evaluation_seconds``, ``undefined`` (reason -> names
        of metrics) and, if the policy seems collapsed or has learned R^beta so far, a ``warning``. Rows have ``beta``
        while it is below 1. An agent without iterations left is evaluated once, with a ``loss`` of None.

    Raises:
        RunError: ``out`` holds a run and ``resume`` is False, holds a run with another configuration, is damaged, has
            lost its config or its checkpoint, or another process trains in it.
        OSError: a file cannot be written, for example because the disk is full. The last checkpoint stays.
        ValueError: an interval or a number is too small, a logger is unknown or requested without ``out``, or the
            agent's update or a callback returns what the history cannot hold.
        TypeError: an element of ``callbacks`` is not a callback.
        ImportError: the library of a logger is not installed, or a named module cannot be imported.
        FloatingPointError: the loss or the weights became NaN or infinite. The last checkpoint is from before.
        RewardError: a reward failed. The agent is as it was before the iteration.
        OracleError: the log of calls of a reward cannot be written, or its workers cannot start.
    """
    iterations = positive_int("iterations", iterations, "train")
    wanted = [*(["tensorboard"] if tensorboard else []), *([logger] if isinstance(logger, str) else logger)]
    eval_every = _interval("eval_every", eval_every, iterations // 10, at_least=0)
    loop = Loop(
        log_every=_interval("log_every", log_every, iterations // 100),
        eval_every=eval_every,
        checkpoint_every=_interval("checkpoint_every", checkpoint_every, eval_every or iterations // 10),
        eval_samples=positive_int("eval_samples", eval_samples, "train", at_least=2),
        exact_states=None if exact_states is None else positive_int("exact_states", exact_states, "train"),
        progress=progress,
        resume=resume,
        callbacks=Callbacks([*callbacks, *loggers(wanted)]),
    )
    if wanted and out is None:
        raise ValueError(f"logger {wanted[0]!r} needs a run directory (out)")
    say_memory_of_training(agent)
    directory = None if out is None else Path(out)
    with working_threads(1 if distributed and threads is None else threads), contextlib.closing(loop.callbacks):
        team = Team(agent, iterations) if distributed else None
        if team is not None and not team.leads:
            return _follow(team, iterations)
        with RunLock(directory):
            return _train(agent, iterations, directory, loop, team)


def _follow(team: Team, iterations: int) -> list[dict[str, Any]]:
    """Training in a process that neither evaluates nor writes."""
    team.synchronize()
    interrupt = Interrupt()
    try:
        while team.agent.iteration < iterations:
            team.update()
            if team.agree(stop=interrupt.requested):
                break
    finally:
        interrupt.restore()
    return []


def _train(
    agent: Agent, iterations: int, directory: Path | None, loop: Loop, team: Team | None
) -> list[dict[str, Any]]:
    """:func:`train` in a directory that this process holds."""
    copies: Copies = {}
    config = {} if directory is None else {**runs.describe(agent, copies), "iterations": iterations}
    state, history, earlier = restore(directory, agent, config, loop.resume)
    if team is not None:
        team.synchronize()
    loop.callbacks.load_state_dict(state.callbacks)
    log = RunLog(directory, config, copies, history)
    if missing := [] if directory is None else runs.needs_environment(config):
        warnings.warn(
            f"{directory}: {', '.join(missing)} cannot be imported; load_agent will need dag=...", stacklevel=3
        )
    if loop.eval_every:
        enumerate_states(agent, loop.exact_states, loop.progress)

    def begin() -> None:
        log.begin(lambda: _origin(agent, earlier, 1 if team is None else team.group.size))
        loop.callbacks.begin(agent, log.config, directory)

    def record(metrics: dict[str, Any]) -> dict[str, Any]:
        begin()
        row = loop.callbacks.row(agent, history_row(agent, state, metrics))
        history.append(row)
        log.add(row)
        return row

    def save() -> None:
        if directory is not None:
            state.history = log.sync()
            state.callbacks = loop.callbacks.state_dict()
            runs.save_checkpoint(directory, agent, asdict(state))

    # The first iteration is saved, so that a run can be resumed whenever it is killed.
    unsaved = directory is not None and not (directory / runs.CHECKPOINT).exists()
    bar = tqdm(total=iterations, initial=agent.iteration, disable=not loop.progress, unit="it", dynamic_ncols=True)
    interrupt, sign = Interrupt(), {}
    stopped: bool | str = False
    halted = False
    watched_oracle(agent.dag, bar)
    try:
        while agent.iteration < iterations and not halted:
            start = time.perf_counter()
            failed = reward_record(agent.dag).failed
            try:
                info = agent.update() if team is None else team.update()
            except BudgetSpent as spent:
                stopped, iterations = str(spent), agent.iteration
                break
            state.seconds += time.perf_counter() - start
            state.failed_rewards += reward_record(agent.dag).failed - failed
            add_info(agent.name, state, info)
            begin()
            if loop.callbacks.iteration(agent, info):
                stopped, iterations = True, agent.iteration
            i, last = agent.iteration, agent.iteration == iterations
            bar.update()
            evaluated = bool(loop.eval_every) and (i % loop.eval_every == 0 or last)
            if i % loop.log_every == 0 or evaluated or last:
                if evaluated:
                    bar.set_description_str("evaluating")
                row = record(evaluated_columns(agent, state, loop.eval_samples, loop.exact_states) if evaluated else {})
                bar.set_description_str("", refresh=False)
                if evaluated:
                    sign = {"warning": "collapsed?"} if "warning" in row and agent.beta == 1 else {}
                bar.set_postfix({k: f"{row[k]:.4g}" for k in POSTFIX if row.get(k) is not None} | sign)
            due, halted = unsaved or i % loop.checkpoint_every == 0 or last, interrupt.requested
            if team is not None:
                halted = team.agree(stop=halted or bool(stopped), save=due)
            if due or halted:
                save()
                unsaved = False
        if agent.iteration < iterations:
            raise KeyboardInterrupt
        # The agent had no iteration left, or an interrupt stopped its last evaluation.
        complete = history and history[-1]["iteration"] == agent.iteration
        if not (complete and ("elbo" in history[-1] or not loop.eval_every)):
            record(evaluated_columns(agent, state, loop.eval_samples, loop.exact_states) if loop.eval_every else {})
            save()
        begin()  # A resumed run without iterations left records its new total, too.
    finally:
        interrupt.restore()
        bar.close()
        log.close()
    final = final_metrics(agent, history, state.begun, state.evaluation_seconds)
    if stopped:
        final["stopped"] = stopped
    if isinstance(stopped, str):
        print(f"training ended at iteration {iterations:,}: {stopped}", file=sys.stderr)
    if loop.progress and "warning" in final:
        print(f"warning: {final['warning']}", file=sys.stderr)
    if directory is not None:
        runs.write_sealed(directory / runs.METRICS, final)
    loop.callbacks.end(agent, final)
    return history


def _origin(agent: Agent, earlier: dict[str, Any], processes: int) -> dict[str, Any]:
    """The part of the config that is known after the first iteration: log rewards of a few objects, provenance.

    Args:
        agent: the agent.
        earlier: config of the run that is resumed. Its probe stays.
        processes: number of processes that share the batches.
    """
    shared = {"processes": processes} if processes > 1 else {}
    return {
        "probe": earlier["probe"] if "probe" in earlier else make_probe(agent),
        "provenance": [*earlier.get("provenance", []), provenance() | shared],
    }


def _interval(name: str, value: int | None, default: int, at_least: int = 1) -> int:
    if value is None:
        return max(1, default)
    return positive_int(name, value, "train", at_least=at_least)
