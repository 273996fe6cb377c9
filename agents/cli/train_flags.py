"""The flags of gfn train, with their help."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.cli.errors import UsageError, nearest
from agents.cli.oracle import OracleOptions
from agents.cli.parsing import environment_arguments
from agents.cli.training_config import TrainingConfig
from agents.conditional import conditional as conditional_class
from agents.registry import agent_class, known_agents
from gfn_envs.registration import SHARED, environment_parameters, known_ids


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
    threads: int | None = None
    """Threads for matrix products, and most threads for the parts of a batch. Default: 1 for matrix products; the
    compiled engine shares batches of 128 or more among the cores. More than 1 helps large networks on an idle machine;
    next to another busy process it can be many times slower."""
    processes: int = 1
    """Processes that share every batch, one per core. The result is that of one process up to rounding. Communication
    takes about a millisecond per iteration, so processes help with batches of about 128 trajectories or more, and never
    with 16. On one machine, the compiled engine's threads do the same without messages."""
    progress: bool = True
    """Show a progress bar."""
    figures: bool = True
    """Save figures at the end."""


def defaults(kind: type[Any], given: TrainingConfig) -> Any:
    """Options with the values of a file, an instance of ``kind``, for flags to change.

    Raises:
        UsageError: the file has a setting or an argument that does not exist, or a setting with a wrong value.
    """
    groups: dict[str, Any] = {field.name: field.default_factory for field in dataclasses.fields(kind)}
    parts = {}
    for part, values in (("agent", given.settings), ("env", given.env_arguments), ("oracle", given.oracle)):
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
