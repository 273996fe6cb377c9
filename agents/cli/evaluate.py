"""gfn evaluate: metrics of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from agents.agent import Agent
from agents.cli.conditions import asked_conditions, at_condition, print_table
from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, check_seed, parse, read_known, read_rows
from agents.cli.printing import print_json, print_metrics, print_objects, print_undefined
from agents.conditional import conditional_metrics
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
    condition: str | None = None
    """Condition at which to evaluate a run with conditions, such as beta=8 or qed=0.5,sa=0.5."""
    conditions: str = "grid"
    """Without --condition, evaluate a run with conditions at those of a grid, or at this number of random ones."""
    num_samples: int = 2000
    """Number of trajectories for the sampled metrics."""
    seed: int = 0
    """Seed of those trajectories."""
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all that the metrics need, none, or auto (none if they are expensive, else all)."""
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
    known: Path | None = None
    """SMILES file (.smi, .csv) of known molecules, such as a training set, for the novelty of molecules."""


def evaluate(arguments: list[str]) -> int:
    """gfn evaluate DIR"""
    options = parse(EvaluateOptions, arguments, "gfn evaluate")
    check_seed(options.seed)
    check_at_least(2, options, "num_samples", "num_backward")
    check_at_least(1, options, "exact_states")
    check_at_least(0, options, "best")
    agent = runs.load_agent(options.run, trust=options.trust)
    total = runs.read_config(options.run).get("iterations", agent.iteration)
    if agent.dag.conditions is not None and options.condition is None:
        return evaluate_conditions(agent, options)
    agent = at_condition(agent, options.condition)
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


def evaluate_conditions(agent: Agent, options: EvaluateOptions) -> int:
    """Print the metrics of a run at several conditions."""
    for flag in ("objects", "test_objects", "reference", "known"):
        if getattr(options, flag) is not None:
            raise UsageError(f"--{flag.replace('_', '-')} needs one condition: add --condition")
    if not may_evaluate_rewards(agent.dag, options.rewards):
        raise UsageError("metrics of conditions need rewards: add --rewards all")
    found = conditional_metrics(
        agent, asked_conditions(options.conditions), options.num_samples, options.seed, options.exact_states
    )
    if options.json:
        print_json({"iteration": agent.iteration, "names": list(agent.dag.conditions.names), **found})
        return 0
    single = {name: value for name, value in found.items() if not isinstance(value, list)}
    print_metrics(single, f"{agent.name} on {agent.dag!r}, iteration {agent.iteration:,}")
    columns = {name: values for name, values in found.items() if isinstance(values, list) and name != "conditions"}
    rows = [
        agent.dag.conditions.describe(np.array(condition)) | {name: columns[name][i] for name in columns}
        for i, condition in enumerate(found["conditions"])
    ]
    print_table(rows, f"{len(rows)} conditions")
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
            known=read_known(options.known),
            **given,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if warning := policy_warning(agent, metrics):
        metrics["warning"] = warning
    return metrics, [] if trajectories is None else named_objects(agent.dag, trajectories)
