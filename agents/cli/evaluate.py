"""gfn evaluate: metrics of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from agents.agent import Agent
from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, check_seed, parse, read_known, read_rows
from agents.cli.printing import print_json, print_metrics, print_objects, print_undefined
from agents.evaluation.diagnostics import policy_warning
from agents.evaluation.evaluate import may_evaluate_rewards
from agents.evaluation.full import full_evaluation
from agents.evaluation.objects import named_objects, write_objects
from agents.runs import directory as runs
from agents.runs.rows import undefined


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
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all that the metrics need, none, or auto: none if they are expensive, else all."""
    exact_states: int | None = None
    """Metrics are exact if the environment has at most this many states. Default: 2,000,000."""
    num_backward: int = 10
    """Number of backward trajectories per estimate of log p(x), at least 2."""
    best: int = 5
    """Number of best objects among the samples to list."""
    objects: Path | None = None
    """CSV file for all distinct objects among the samples, with their names, rewards and frequencies."""
    test_objects: Path | None = None
    """.npy file of objects, one state row each, for the correlation of log R(x) with log p(x). Default: all objects if
    the environment can be enumerated."""
    reference: Path | None = None
    """.npy file of known objects, one state row each. Novelty is the distance to the nearest of them."""


def evaluate(arguments: list[str]) -> int:
    """gfn evaluate DIR"""
    options = parse(EvaluateOptions, arguments, "gfn evaluate")
    check_seed(options.seed)
    check_at_least(2, options, "num_samples", "num_backward")
    known: Path | None = None
    """SMILES file (.smi, .csv) of known molecules, such as a training set, for the novelty of molecules."""
    check_at_least(1, options, "exact_states")
    check_at_least(0, options, "best")
    agent = runs.load_agent(options.run, trust=options.trust)
    total = runs.read_config(options.run).get("iterations", agent.iteration)
    metrics, objects = evaluated(agent, options)
    if options.objects is not None:
        write_objects(options.objects, objects)
    reasons = undefined(agent, metrics, options.rewards, options.exact_states)
    if options.json:
        listed = {"undefined": reasons, "best_objects": objects[: options.best]}
        print_json({"iteration": agent.iteration, "iterations": total, **metrics, **listed})
        return 0
    unfinished = f" of {total:,}: unfinished" if agent.iteration < total else ""
    print_metrics(metrics, f"{agent.name} on {agent.dag!r}, iteration {agent.iteration:,}{unfinished}")
    print_undefined(reasons)
    print_objects(objects[: options.best], f"best of {len(objects):,} distinct objects")
    if options.objects is not None:
        print(f"saved {options.objects}")
    return 0


def evaluated(agent: Agent, options: EvaluateOptions) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The metrics of an agent, and the distinct objects among its samples, best first.

    Raises:
        UsageError: a flag has a wrong value, or needs rewards that are not to be evaluated.
    """
    given = {name: read_rows(getattr(options, name)) for name in ("test_objects", "reference")}
    allowed, trajectories = may_evaluate_rewards(agent.dag, options.rewards), None
    if options.objects is not None and not allowed:
        raise UsageError("--objects needs the rewards of the samples, which are not evaluated: add --rewards all")
    try:
        if allowed:
            trajectories = agent.sample_trajectories(options.num_samples, rng=np.random.default_rng(options.seed))
        metrics = full_evaluation(
            agent,
            options.num_samples,
            options.seed,
            num_backward=options.num_backward,
            rewards=options.rewards,
            exact_states=options.exact_states,
            trajectories=trajectories,
            **given,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if warning := policy_warning(agent, metrics):
        metrics["warning"] = warning
    return metrics, [] if trajectories is None else named_objects(agent.dag, trajectories)
            known=read_known(options.known),
