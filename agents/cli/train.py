"""gfn train: train an agent on an environment and save the run."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.agent import Agent
from agents.cli import training_config
from agents.cli.errors import UsageError, nearest
from agents.cli.naming import check_no_older_run, default_directory
from agents.cli.oracle import OracleOptions, attach, place_log
from agents.cli.parsing import check_at_least, check_seed, environment_arguments, parse, truth_values
from agents.cli.plot import draw
from agents.cli.printing import print_metrics, print_undefined
from agents.cli.processes import join_others, train_in_processes
from agents.conditional import conditional as conditional_class
from agents.distributed.group import LostProcessError, leave
from agents.distributed.launch import LOST, started_here
from agents.registry import agent_class, known_agents, make_agent
from agents.runs import directory as runs
from agents.runs.callbacks import callback_of
from gfn_envs.registration import SHARED, environment_parameters, known_ids, make_dag


@dataclass
class TrainOptions:
    """Settings of the training loop."""

    iterations: int = 2000
    """Total number of iterations."""
    seed: int = 0
    """Seed of initial weights and sampling. The same seed gives the same result."""
    out: Path | None = None
    """Run directory for config, metrics, checkpoints and figures. Default: runs/AGENT-ENV-sSEED, or
    runs/AGENT-ENV-HASH-sSEED if --agent.* or --env.* differ from their defaults; HASH stands for these settings."""
    config: Path | None = None
    """JSON file with agent, env, env_arguments, settings and options, such as the config.json of a run, in place of
    AGENT and ENV. Other flags override it."""
    trust: bool = False
    """Import the modules that the file of --config names. This runs their code."""
    resume: bool = False
    """Continue the run in --out if it has a checkpoint. The result equals that of an uninterrupted run."""
    log_every: int | None = None
    """Iterations between rows of metrics.jsonl. Default: a hundredth of --iterations."""
    eval_every: int | None = None
    """Iterations between evaluations, 0 for none. Default: a tenth of --iterations."""
    eval_samples: int = 2000
    """Number of trajectories of an evaluation."""
    exact_states: int | None = None
    """Evaluations are exact if the environment has at most this many states. Default: 2,000,000."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints. Default: --eval-every, or a tenth of --iterations if it is 0."""
    tensorboard: bool = False
    """As --logger tensorboard."""
    logger: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Also log all metrics there. wandb logs offline with WANDB_MODE=offline; mlflow logs to a file in the run
    directory, or to MLFLOW_TRACKING_URI."""
    callbacks: tuple[str, ...] = ()
    """Your own callbacks (agents.Callback, or functions of a row of metrics.jsonl), each as module:name."""
    threads: int = 1
    """Threads for matrix products. More than 1 helps large networks on an idle machine; next to another busy process it
    can be many times slower. --processes uses more cores without this risk."""
    processes: int = 1
    """Processes that share every batch, one per core. The result is that of one process up to rounding. Communication
    takes about a millisecond per iteration, so processes help with batches of about 128 trajectories or more, and never
    with 16."""
    progress: bool = True
    """Show a progress bar."""
    figures: bool = True
    """Save figures at the end."""


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


def defaults(kind: type[Any], given: training_config.TrainingConfig) -> Any:
    """Options with the values of a file, an instance of ``kind``, for flags to change.

    Raises:
        UsageError: the file has a setting or an argument that does not exist, or a setting with a wrong value.
    """
    groups: dict[str, Any] = {field.name: field.default_factory for field in dataclasses.fields(kind)}
    parts = {}
    for part, values in (("agent", given.settings), ("env", given.env_arguments)):
        allowed = [field.name for field in dataclasses.fields(groups[part])]
        if unknown := [name for name in values if name not in allowed]:
            raise UsageError(f"--config: {part} has no {unknown[0]!r}{nearest(unknown[0], allowed)}")
        try:
            parts[part] = groups[part](**values)
        except (ValueError, TypeError) as error:
            raise UsageError(f"--config: {error}") from None
    return kind(**given.options, **parts)


def given_arguments(id: str, values: dict[str, Any]) -> dict[str, Any]:
    """Arguments of environment ``id``, without those of every environment that have their default.

    An instance may have another value, which a default must not replace.
    """
    parameters = environment_parameters(id)
    return {k: value for k, value in values.items() if k not in SHARED or value != parameters[k].default}


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


def conditions_of_environment(flags: list[str]) -> list[str]:
    """``flags`` with --env.conditions for --conditions."""
    return [f"--env.{flag[2:]}" if flag.split("=")[0] == "--conditions" else flag for flag in flags]


def engine_for_compiled(flags: list[str]) -> list[str]:
    """``flags`` with --agent.engine for its deprecated alias --agent.compiled.

    Raises:
        UsageError: both are given.
    """
    alias = {"--agent.compiled": "numba", "--agent.no-compiled": "torch"}
    given = [flag for flag in flags if flag in alias]
    if not given:
        return flags
    engine = f"--agent.engine {alias[given[-1]]}"
    if len(set(given)) > 1 or any(flag.split("=")[0] == "--agent.engine" for flag in flags):
        raise UsageError(f"{given[0]} is a deprecated alias of --agent.engine: give --agent.engine alone, once")
    print(f"DeprecationWarning: {given[0]} is deprecated, use {engine}", file=sys.stderr)
    return [flag for flag in flags if flag not in alias] + engine.split()


def options_class(name: str | None = None, id: str | None = None, conditional: bool = False) -> type[Any]:
    """A dataclass of all settings of a training, with their help.

    Args:
        name: name of the agent. None leaves its settings out.
        id: id of the environment. None leaves its arguments out.
        conditional: with the settings of agents that learn with conditions.

    Raises:
        UsageError: the agent or the environment is unknown.
    """
    groups: list[Any] = []
    lists = paper = ""
    if id is not None:
        environment = environment_arguments(id)
        groups.append(("env", environment, dataclasses.field(default_factory=environment)))
        groups.append(("oracle", OracleOptions, dataclasses.field(default_factory=OracleOptions)))
    if name is None:
        lists += f"\n\nAgents (details: gfn agents): {', '.join(known_agents())}"
    else:
        try:
            chosen = conditional_class(agent_class(name)) if conditional else agent_class(name)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
        settings = with_policy(chosen.config_class) if chosen.takes_policy else chosen.config_class
        paper = chosen.paper
        groups.append(("agent", settings, dataclasses.field(default_factory=settings)))
        if "engine" in settings.__dataclass_fields__:
            lists += "\n\nDeprecated: --agent.compiled, which is --agent.engine numba, and --agent.no-compiled (torch)."
    if id is None:
        lists += f"\n\nEnvironments (details: gfn envs): {', '.join(known_ids())}"
        lists += f"\n\nAll settings: gfn train {name or 'tb'} GFN/HyperGrid-v0 --help"
    made = dataclasses.make_dataclass("Train", groups, bases=(TrainOptions,))
    agent = "an agent" if name is None else f"{name} ({paper})"
    example = f"gfn train {name or 'tb'} {id or 'GFN/HyperGrid-v0'} --iterations 5000 --seed 0 --out runs/demo"
    made.__doc__ = f"Train {agent} on {id or 'an environment'}. Example: {example}{lists}"
    return made


def with_policy(settings: type[Any]) -> type[Any]:
    """A config class with one more setting: the custom policy, a separate argument of :func:`make_agent`."""
    explain = tyro.conf.arg(help="Your own network as module:name: a class or function that makes an agents.Policy.")
    kind = Annotated[str | None, explain]
    return dataclasses.make_dataclass(
        settings.__name__, [("policy", kind, dataclasses.field(default=None))], bases=(settings,), frozen=True
    )


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
