"""gfn train: train an agent on an environment and save the run."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
import sys
from collections import deque
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.cli import training_config
from agents.cli.errors import UsageError
from agents.cli.naming import check_no_older_run, default_directory
from agents.cli.oracle import attach, place_log
from agents.cli.parsing import check_at_least, check_seed, parse, truth_values
from agents.cli.plot import draw
from agents.cli.printing import print_metrics, print_undefined
from agents.cli.processes import join_others, train_in_processes
from agents.cli.train_flags import (
    TrainOptions,
    conditions_of_environment,
    defaults,
    engine_for_compiled,
    given_arguments,
    options_class,
)
from agents.distributed.group import LostProcessError, leave
from agents.distributed.launch import LOST, started_here
from agents.registry import agent_class, make_agent
from agents.runs import directory as runs
from agents.runs.callbacks import callback_of
from gfn_envs.registration import make_dag


def train(arguments: list[str]) -> int:
    """gfn train AGENT ENV ..."""
    named = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments[:2]))
    config, _ = training_config.split(arguments)
    if named and config is not None:
        raise UsageError(f"--config {config} gives the agent and the environment: leave out {' '.join(named)}")
    if len(named) < 2 and config is None:
        if "-h" not in arguments and "--help" not in arguments:
            raise UsageError("gfn train needs an agent and an environment, such as: gfn train tb GFN/HyperGrid-v0")
        arguments = [*named, "--help"]
    options, agent, out = prepared(named, arguments[len(named) :])
    shared = join_others(agent, options.processes)
    if options.processes > 1 and not shared:
        return train_in_processes(arguments, options.processes, out)
    try:
        if _train(agent, out, options, shared):
            print_next(out, arguments, options.iterations)
    except LostProcessError:
        if started_here():
            # The process that started this one reports the error. An ordinary exit would destroy the connections,
            # which aborts while their threads wait for the lost process.
            sys.stdout.flush()
            os._exit(LOST)
        raise
    return 0


def prepared(named: list[str], flags: list[str]) -> tuple[Any, Agent, Path]:
    """Options, agent and run directory of a training. Writes nothing.

    Args:
        named: name of the agent and id of the environment. Fewer show the help.
        flags: the words after them.

    Raises:
        UsageError: a name, flag or value is wrong, in one line.
    """
    path, flags = training_config.split(flags)
    given = None
    if path is not None:
        names = [field.name for field in dataclasses.fields(TrainOptions) if field.name not in ("config", "trust")]
        given = training_config.read(path, "--trust" in flags, names)
        named = [given.agent, given.env]
    prog = " ".join(["gfn train", *named, *("AGENT", "ENV")[len(named) :]])
    flags = engine_for_compiled(truth_values(conditions_of_environment(flags), named[1] if len(named) > 1 else None))
    known = {} if given is None else given.env_arguments
    conditional = any(flag.split("=")[0] == "--env.conditions" for flag in flags) or bool(known.get("conditions"))
    first, second = [*named, None, None][:2]
    kind = options_class(first, second, conditional)
    options = parse(kind, flags, prog, None if given is None else defaults(kind, given))
    check_seed(options.seed)
    check_at_least(1, options, "threads", "processes", "exact_states")
    check_at_least(2, options, "eval_samples")
    name, id = named
    try:
        dag = make_dag(id, **given_arguments(id, _values(options.env)))
        oracle = attach(dag, options.oracle)
        if options.out is not None:
            place_log(oracle, options.out)
        elif oracle is not None and not agent_class(name).samples_by_policy:
            raise UsageError(f"agent {name!r} calls the reward when it is made: --oracle needs --out")
        agent = make_agent(name, dag, seed=options.seed, **_values(options.agent))
        options.callbacks = [callback_of(each) for each in options.callbacks]
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(str(error).split("\n")[0]) from None
    out = options.out or default_directory(agent, id, _values(options.env))
    place_log(oracle if options.out is None else None, out)
    if options.resume and options.out is None:
        check_no_older_run(agent, id, out)
    return options, agent, out


def print_next(out: Path, arguments: list[str], iterations: int) -> None:
    """Print the commands that evaluate, draw and continue a run."""
    kept, words = [], deque(arguments)
    while words:
        word = words.popleft()
        name, equals, _ = word.partition("=")
        if name in ("--iterations", "--out") and not equals and words:
            words.popleft()
        elif name not in ("--iterations", "--out", "--resume", "--no-resume"):
            kept.append(word)
    print("next:")
    print(f"  {shlex.join(['gfn', 'evaluate', str(out)])}")
    print(f"  {shlex.join(['gfn', 'plot', str(out)])}")
    print(f"  {shlex.join(['gfn', 'report', str(out)])}")
    again = ["gfn", "train", *kept, "--iterations", str(2 * iterations), "--out", str(out), "--resume"]
    print(f"  {shlex.join(again)}")


def _values(options: Any) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def _train(agent: Any, out: Path, options: Any, shared: bool = False) -> bool:
    """Train, and print the results. Returns False if another process of the group prints them."""
    from agents.runs.train import train as run_training

    try:
        history = run_training(
            agent,
            options.iterations,
            out,
            log_every=options.log_every,
            eval_every=options.eval_every,
            eval_samples=options.eval_samples,
            exact_states=options.exact_states,
            threads=options.threads,
            distributed=shared,
            checkpoint_every=options.checkpoint_every,
            progress=options.progress,
            tensorboard=options.tensorboard,
            logger=options.logger,
            callbacks=options.callbacks,
            resume=options.resume,
        )
    except ValueError as error:
        hint = " (--resume, or another --out)" if "already holds" in str(error) else ""
        raise UsageError(f"{error}{hint}") from None
    if shared and not leave():
        return False
    metrics = runs.read_json(out / runs.METRICS)
    print_metrics(metrics, f"{agent.name} on {agent.dag!r}, iteration {agent.iteration:,}")
    print_undefined(metrics.get("undefined", {}))
    if options.figures:
        rewards = "auto" if options.eval_every != 0 else "none"
        for path in draw(agent, history, out, rewards, options.exact_states):
            print(f"saved {path}")
    print(f"saved {out / runs.METRICS}")
    return True
