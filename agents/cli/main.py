"""The command line: gfn train | evaluate | compare | plot | envs | agents | check (also ``python -m agents``)."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import tyro

from agents.cli.parsing import UsageError, check_seed, nearest, parse, read_rows
from agents.cli.plot import plot
from agents.cli.printing import (
    comparison_json,
    print_agents,
    print_comparison,
    print_environments,
    print_json,
    print_metrics,
)
from agents.cli.train import train
from agents.errors import NoLegalActionError
from agents.runs import directory as runs
from gfn_envs.data import registry as datasets

USAGE = """usage: gfn COMMAND ...

  gfn train AGENT ENV [--env.ARG VALUE ...] [--agent.ARG VALUE ...] [--iterations N] [--seed S] [--out DIR] [--resume]
  gfn evaluate DIR      metrics of a run, as a table (--json: as JSON)
  gfn compare DIR ...   several runs, seeds aggregated: a table, and learning curves in comparison.png
  gfn plot DIR          figures of a run (--state-graph: its states and flows, where they are few)
  gfn envs              the environments
  gfn agents            the agents, with their papers
  gfn check ENV         prove that an environment is a well-formed DAG: gfn check GFN/HyperGrid-v0 ndim=2 side=4
  gfn data list         data sets from outside; gfn data fetch NAME, gfn data path

example: gfn train tb GFN/HyperGrid-v0 --env.ndim 4 --env.side 8 --iterations 2000 --seed 0 --out runs/demo
`gfn COMMAND --help` explains a command; `gfn train tb GFN/HyperGrid-v0 --help` every setting of training."""


#: What can go wrong without a bug, and is said in one line: beside bad words and runs, a file or data that are missing,
#: an extra that is not installed, a network that gives NaN, an environment that offers no legal action.
FAILURES = (UsageError, runs.RunError, OSError, ImportError, FloatingPointError, NoLegalActionError)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of ``gfn``. Exit code 0: done; 1: a broken DAG; 2: a bad flag, id or value; 130: interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        # NaN and infinity, where they matter, raise FloatingPointError: NumPy's warnings would come before that line.
        with np.errstate(over="ignore", invalid="ignore"):
            code = run(arguments)
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:  # who reads what is printed, such as head, has left; at exit Python would flush it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except FAILURES as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        hint = "; continue with --resume" if arguments[:1] == ["train"] else ""
        print(f"interrupted{hint}", file=sys.stderr)
        sys.exit(130)


def run(arguments: list[str]) -> int:
    """Dispatch one command line; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        raise UsageError(f"unknown command {command!r}{nearest(command, COMMANDS)}")
    return COMMANDS[command](rest)


@dataclass
class EvaluateOptions:
    """Metrics of a run."""

    run: tyro.conf.Positional[Path]
    """Run directory."""
    json: bool = False
    """Print JSON instead of a table."""
    num_samples: int = 2000
    """Trajectories behind the sampled metrics."""
    seed: int = 0
    """Seed of those samples."""
    test_objects: Path | None = None
    """.npy file of objects, a state row each, on which log R(x) and log p(x) are correlated. Default: all objects
    where the environment can be enumerated."""
    reference: Path | None = None
    """.npy file of known objects: novelty is the distance to the nearest of them."""


def evaluate(arguments: list[str]) -> int:
    """gfn evaluate DIR"""
    from agents.evaluation.full import full_evaluation

    options = parse(EvaluateOptions, arguments, "gfn evaluate")
    check_seed(options.seed)
    if options.num_samples < 2:
        raise UsageError(f"--num-samples must be at least 2, got {options.num_samples}")
    agent = runs.load_agent(options.run)
    given = {name: read_rows(getattr(options, name)) for name in ("test_objects", "reference")}
    try:
        metrics = full_evaluation(agent, options.num_samples, options.seed, **given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if options.json:
        print_json({"iteration": agent.iteration, **metrics})
    else:
        print_metrics(metrics, f"{agent.name} on {agent.dag!r}, iteration {agent.iteration}")
    return 0


@dataclass
class CompareOptions:
    """Several runs beside each other; those that differ only in their seed are aggregated."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    metric: str | None = None
    """What the learning curves show: a column of metrics.jsonl. Default: tv where some run has it, else elbo."""
    x: Literal["iterations", "transitions", "seconds"] = "iterations"
    """Over what the learning curves go."""
    out: Path = Path("comparison.png")
    """The figure of learning curves: means over seeds, with a band of one standard error to each side."""
    bootstrap: bool = False
    """Show 95% bootstrap intervals instead of standard errors."""
    json: bool = False
    """Print JSON instead of a table."""


def compare(arguments: list[str]) -> int:
    """gfn compare DIR ..."""
    from agents.plots import figures as plots
    from agents.runs.compare import group_runs, learning_curves, logged_metrics, read_runs

    options = parse(CompareOptions, arguments, "gfn compare")
    if not options.runs:
        raise UsageError("gfn compare needs run directories, such as: gfn compare runs/*")
    found, reasons = read_runs(options.runs)
    if not found:
        raise UsageError("; ".join(reasons))
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    groups = group_runs(found)
    metric = options.metric or ("tv" if "tv" in logged_metrics(groups) else "elbo")
    panels = learning_curves(groups, metric, options.x)
    try:
        plots.comparison(panels, metric, options.x, options.out)
    except (ValueError, OSError) as error:
        raise UsageError(f"--out {options.out}: {error}") from None
    if options.json:
        print_json(
            {"groups": [comparison_json(group, options.bootstrap) for group in groups], "figure": str(options.out)}
        )
        return 0
    print_comparison(groups, metric, options.bootstrap)
    print(f"saved {options.out}")
    return 0


def envs(arguments: list[str]) -> int:
    """gfn envs"""
    parse(dataclasses.make_dataclass("Envs", []), arguments, "gfn envs")
    print_environments()
    return 0


def agents(arguments: list[str]) -> int:
    """gfn agents"""
    parse(dataclasses.make_dataclass("Agents", []), arguments, "gfn agents")
    print_agents()
    return 0


def check(arguments: list[str]) -> int:
    """gfn check ENV [name=value ...]"""
    from gfn_envs.checker import main as check_main

    return check_main(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "evaluate": evaluate,
    "compare": compare,
    "plot": plot,
    "envs": envs,
    "agents": agents,
    "check": check,
    "data": datasets.main,
}
