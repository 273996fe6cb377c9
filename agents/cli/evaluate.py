"""gfn evaluate: metrics of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from agents.cli.errors import UsageError
from agents.cli.parsing import check_seed, parse, read_rows
from agents.cli.printing import print_json, print_metrics
from agents.evaluation.full import full_evaluation
from agents.runs import directory as runs


@dataclass
class EvaluateOptions:
    """Metrics of a run. Example: gfn evaluate runs/demo --num-samples 10000"""

    run: tyro.conf.Positional[Path]
    """Run directory."""
    trust: bool = False
    """Import the modules that the run names, such as that of a reward function. This runs their code."""
    json: bool = False
    """Print JSON instead of a table."""
    num_samples: int = 2000
    """Number of trajectories for the sampled metrics."""
    seed: int = 0
    """Seed of those trajectories."""
    test_objects: Path | None = None
    """.npy file of objects, one state row each, for the correlation of log R(x) with log p(x). Default: all objects if
    the environment can be enumerated."""
    reference: Path | None = None
    """.npy file of known objects, one state row each. Novelty is the distance to the nearest of them."""


def evaluate(arguments: list[str]) -> int:
    """gfn evaluate DIR"""
    options = parse(EvaluateOptions, arguments, "gfn evaluate")
    check_seed(options.seed)
    if options.num_samples < 2:
        raise UsageError(f"--num-samples must be at least 2, got {options.num_samples}")
    agent = runs.load_agent(options.run, trust=options.trust)
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
