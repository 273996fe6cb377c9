"""gfn plot: the figures of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from agents.cli.errors import UsageError
from agents.cli.parsing import parse
from agents.plots import figures
from agents.plots.molecules import molecule_grid
from agents.plots.state_graph import state_graph
from agents.runs import directory as runs
from gfn_envs.enumeration import EnumerationError


@dataclass
class PlotOptions:
    """Figures of a run: learned against target distribution, learning curves, and the best molecules if there are any.
    Example: gfn plot runs/demo --state-graph"""

    run: tyro.conf.Positional[Path]
    """Run directory. Figures are saved in its figures folder."""
    trust: bool = False
    """Import the modules that the run names, such as that of a reward function. This runs their code."""
    state_graph: bool = False
    """Also draw the state graph of a small environment, with exact and learned flows."""
    max_states: int = 500
    """Largest number of states to draw."""


def plot(arguments: list[str]) -> int:
    """gfn plot DIR"""
    options = parse(PlotOptions, arguments, "gfn plot")
    agent = runs.load_agent(options.run, trust=options.trust)
    paths = [draw_state_graph(agent, options)] if options.state_graph else []
    for path in [*draw(agent, runs.read_history(options.run), options.run), *paths]:
        print(f"saved {path}")
    return 0


def draw(agent: Any, history: list[dict[str, Any]], out: Path) -> list[Path]:
    """Save the figures of every run and those of its environment. Returns their paths."""
    folder = out / "figures"
    figures.learned_against_target(agent, folder / "learned_against_target.png")
    figures.training_curves(history, folder / "training.png")
    names = ["learned_against_target", "training"]
    if agent.dag.has("molecules"):
        molecule_grid(agent, folder / "molecules.png")
        names.append("molecules")
    return [folder / f"{name}.png" for name in names]


def draw_state_graph(agent: Any, options: PlotOptions) -> Path:
    """Save the state graph of a run. Returns its path."""
    path = options.run / "figures" / "state_graph.png"
    try:
        state_graph(agent, path, options.max_states)
    except EnumerationError as error:
        raise UsageError(f"--state-graph: {error} (--max-states)") from None
    except (ValueError, ImportError) as error:
        raise UsageError(f"--state-graph: {error}") from None
    return path
