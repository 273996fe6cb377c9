"""gfn train: train an agent on an environment and save the run."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.cli.errors import UsageError
from agents.cli.naming import default_directory
from agents.cli.parsing import check_seed, environment_arguments, parse
from agents.cli.plot import draw
from agents.cli.printing import print_metrics
from agents.registry import AGENTS, agent_class, make_agent
from agents.runs import directory as runs
from gfn_envs.registration import make_dag, registered_ids


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
    resume: bool = False
    """Continue the run in --out. The result equals that of an uninterrupted run."""
    log_every: int | None = None
    """Iterations between rows of metrics.jsonl. Default: a hundredth of --iterations."""
    eval_every: int | None = None
    """Iterations between evaluations. Default: a tenth of --iterations."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints. Default: --eval-every."""
    tensorboard: bool = False
    """Also write TensorBoard events."""
    threads: int | None = None
    """Threads for matrix products. Default: 1 for batches of up to 256 trajectories (faster), else all."""
    progress: bool = True
    """Show a progress bar."""
    figures: bool = True
    """Save figures at the end."""


def train(arguments: list[str]) -> int:
    """gfn train AGENT ENV ..."""
    named = [word for word in arguments[:2] if not word.startswith("-")]
    if len(named) < 2:
        if "-h" not in arguments and "--help" not in arguments:
            raise UsageError("gfn train needs an agent and an environment, such as: gfn train tb GFN/HyperGrid-v0")
        arguments = [*named, "--help"]
    prog = " ".join(["gfn train", *named, *("AGENT", "ENV")[len(named) :]])
    options = parse(options_class(*named), engine_for_compiled(arguments[len(named) :]), prog)
    check_seed(options.seed)
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"--threads must be at least 1, got {options.threads}")
    name, id = named
    try:
        agent = make_agent(name, make_dag(id, **_values(options.env)), seed=options.seed, **_values(options.agent))
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(str(error).split("\n")[0]) from None
    out = options.out or default_directory(agent, id, _values(options.env))
    return _train(agent, out, options)


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


def options_class(name: str | None = None, id: str | None = None) -> type[Any]:
    """A dataclass of all settings of a training, with their help.

    Args:
        name: name of the agent. None leaves its settings out.
        id: id of the environment. None leaves its arguments out.

    Raises:
        UsageError: the agent or the environment is unknown.
    """
    groups: list[Any] = []
    lists = ""
    if id is not None:
        environment = environment_arguments(id)
        groups.append(("env", environment, dataclasses.field(default_factory=environment)))
    if name is None:
        lists += f"\n\nAgents (details: gfn agents): {', '.join(AGENTS)}"
    else:
        try:
            settings = agent_class(name).config_class
        except ValueError as error:
            raise UsageError(str(error)) from None
        groups.append(("agent", settings, dataclasses.field(default_factory=settings)))
        if "engine" in settings.__dataclass_fields__:
            lists += "\n\nDeprecated: --agent.compiled, which is --agent.engine numba, and --agent.no-compiled (torch)."
    if id is None:
        lists += f"\n\nEnvironments (details: gfn envs): {', '.join(registered_ids())}"
        lists += f"\n\nAll settings: gfn train {name or 'tb'} GFN/HyperGrid-v0 --help"
    made = dataclasses.make_dataclass("Train", groups, bases=(TrainOptions,))
    agent = "an agent" if name is None else f"{name} ({AGENTS[name].paper})"
    example = f"gfn train {name or 'tb'} {id or 'GFN/HyperGrid-v0'} --iterations 5000 --seed 0 --out runs/demo"
    made.__doc__ = f"Train {agent} on {id or 'an environment'}. Example: {example}{lists}"
    return made


def _values(options: Any) -> dict[str, Any]:
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}


def _train(agent: Any, out: Path, options: Any) -> int:
    import torch

    from agents.runs.train import train as run_training

    threads = options.threads or (1 if agent.config.batch_size <= 256 else None)
    if threads:
        torch.set_num_threads(threads)
    try:
        history = run_training(
            agent,
            options.iterations,
            out,
            log_every=options.log_every,
            eval_every=options.eval_every,
            checkpoint_every=options.checkpoint_every,
            progress=options.progress,
            tensorboard=options.tensorboard,
            resume=options.resume,
        )
    except ValueError as error:
        hint = " (--resume, or another --out)" if "already holds" in str(error) else ""
        raise UsageError(f"{error}{hint}") from None
    metrics = runs.read_json(out / runs.METRICS)
    print_metrics(metrics, f"{agent.name} on {agent.dag!r}")
    if options.figures:
        for path in draw(agent, history, out):
            print(f"saved {path}")
    print(f"saved {out / runs.METRICS}")
    return 0
