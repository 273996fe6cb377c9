"""gfn plot: the figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from agents.cli.parsing import UsageError, parse
from agents.runs import directory as runs
from gfn_envs.enumeration import EnumerationError


@dataclass
class PlotOptions:
    """Figures of a run."""

    run: tyro.conf.Positional[Path]
    """Run directory; figures go to its figures folder."""
    state_graph: bool = False
    """Draw the state graph too, with learned flows beside exact ones, where the environment is small."""
    max_states: int = 500
    """The most states of a graph to draw."""


def plot(arguments: list[str]) -> int:
    """gfn plot DIR"""
    options = parse(PlotOptions, arguments, "gfn plot")
    agent = runs.load_agent(options.run)
    paths = [draw_state_graph(agent, options)] if options.state_graph else []
    for path in [*draw(agent, runs.read_history(options.run), options.run), *paths]:
        print(f"saved {path}")
    return 0


def draw(agent: Any, history: list[dict[str, Any]], out: Path) -> list[Path]:
    """The figures that every run has, and those of its environment; returns their paths."""
    from agents.plots import figures as plots
    from agents.plots import molecules as molecule_plot

    folder = out / "figures"
    plots.learned_against_target(agent, folder / "learned_against_target.png")
    plots.training_curves(history, folder / "training.png")
    names = ["learned_against_target", "training"]
    if agent.dag.has("molecules"):
        molecule_plot.molecule_grid(agent, folder / "molecules.png")
        names.append("molecules")
    return [folder / f"{name}.png" for name in names]


def draw_state_graph(agent: Any, options: PlotOptions) -> Path:
    """The state graph of a run; returns its path."""
    from agents.plots.state_graph import state_graph

    path = options.run / "figures" / "state_graph.png"
    try:
        state_graph(agent, path, options.max_states)
    except EnumerationError as error:
        raise UsageError(f"--state-graph: {error} (--max-states)") from None
    except (ValueError, ImportError) as error:
        raise UsageError(f"--state-graph: {error}") from None
    return path
