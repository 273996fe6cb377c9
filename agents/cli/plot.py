"""gfn plot: the figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.cli.conditions import at_condition
from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, parse
from agents.evaluation.evaluate import may_evaluate_rewards, rewards_reason
from agents.evaluation.graph_posterior import graph_posterior, known_graph
from agents.plots import figures
from agents.plots.graph_posterior import graph_posterior_figure
from agents.plots.molecules import molecule_grid
from agents.plots.pareto import pareto_figure
from agents.plots.state_graph import state_graph
from agents.runs import directory as runs
from gfn_envs.enumeration import EnumerationError


@dataclass
class PlotOptions:
    """Figures of a run: learned against target distribution, learning curves, the best molecules if there are any, and
    probabilities of edges if objects are Bayesian networks.
    Example: gfn plot runs/demo --state-graph"""

    run: tyro.conf.Positional[Path]
    """Run directory. Figures are saved in its figures folder."""
    trust: bool = False
    """Import the modules that the run names, such as that of a reward function. This runs their code."""
    state_graph: bool = False
    """Also draw the state graph of a small environment, with exact and learned flows."""
    condition: str | None = None
    """The condition of the figures of objects, for a run with conditions: beta=8, or qed=0.5,sa=0.5. Default: the
    middle of the ranges."""
    max_states: int = 500
    """Largest number of states to draw."""
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all that the figures need, none, or auto (none if they are expensive, else all)."""
    exact_states: int | None = None
    """Distributions are exact if the environment has at most this many states. Default: 2,000,000."""


def plot(arguments: list[str]) -> int:
    """gfn plot DIR"""
    options = parse(PlotOptions, arguments, "gfn plot")
    check_at_least(1, options, "max_states", "exact_states")
    agent = at_condition(runs.load_agent(options.run, trust=options.trust), options.condition)
    paths = [draw_state_graph(agent, options)] if options.state_graph else []
    history = runs.read_history(options.run)
    for path in [*draw(agent, history, options.run, options.rewards, options.exact_states), *paths]:
        print(f"saved {path}")
    return 0


def draw(
    agent: Any,
    history: list[dict[str, Any]],
    out: Path,
    rewards: str = "auto",
    exact_states: int | None = None,
) -> list[Path]:
    """Save the figures of every run and those of its environment. Returns their paths.

    If no reward may be evaluated, figures that need rewards are left out, and a line says so.
    """
    folder = out / "figures"
    paths = [folder / "training.png"]
    figures.training_curves(history, paths[0])
    if agent.dag.conditions is not None:
        if hasattr(agent.dag.conditions, "scorer") and may_evaluate_rewards(agent.dag, rewards):
            pareto_figure(agent, folder / "pareto_front.png")
            paths.append(folder / "pareto_front.png")
        agent = agent.at(agent.dag.conditions.default)
        print(f"figures of objects are at one condition: {agent.dag.arguments['condition']}")
    if not may_evaluate_rewards(agent.dag, rewards):
        print(f"without the figures of objects: {rewards_reason(rewards)} (gfn plot {out} --rewards all)")
        return paths
    paths.insert(0, folder / "learned_against_target.png")
    figures.learned_against_target(agent, paths[0], exact_states)
    if agent.dag.has("molecules"):
        paths.append(folder / "molecules.png")
        molecule_grid(agent, paths[-1])
    if agent.dag.has("marginals"):
        paths.append(folder / "posterior.png")
        found = graph_posterior(agent, rewards=rewards, exact_states=exact_states)
        graph_posterior_figure(found, known_graph(agent.dag), paths[-1])
    return paths


def draw_state_graph(agent: Any, options: PlotOptions) -> Path:
    """Save the state graph of a run. Returns its path."""
    path = options.run / "figures" / "state_graph.png"
    if agent.dag.conditions is not None:
        agent = agent.at(agent.dag.conditions.default)
    if not may_evaluate_rewards(agent.dag, options.rewards):
        raise UsageError(f"--state-graph needs the reward of every object, and {rewards_reason(options.rewards)}")
    try:
        state_graph(agent, path, options.max_states)
    except EnumerationError as error:
        raise UsageError(f"--state-graph: {error} (--max-states)") from None
    except (ValueError, ImportError) as error:
        raise UsageError(f"--state-graph: {error}") from None
    return path
