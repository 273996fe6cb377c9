"""Draw docs/curves/NAME.svg of every agent: exact total variation on the standard grid over transitions.

    python scripts/draw_curves.py              # train what is missing, about 20 minutes, and draw all
    python scripts/draw_curves.py tb db        # train and draw some
    python scripts/draw_curves.py --draw       # draw from the runs that are stored

Every agent has its default settings. Runs are stored in docs/curves/curves.json, one after the other, so an interrupted
program continues. Delete an agent from the file to train it again.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import agents
import gfn_envs
from agents.evaluation.evaluate import learned_distribution, target_for
from agents.plots.style import BLUE, styled
from gfn_envs import exact

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "curves"
RUNS = FOLDER / "curves.json"
#: The standard grid: 64 objects, four modes.
ENVIRONMENT, GRID = "GFN/HyperGrid-v0", {"ndim": 2, "side": 8}
SEEDS = (0, 1, 2)
#: Transitions after which an agent is evaluated.
POINTS = [round(x) for x in np.geomspace(1_000, 100_000, 21)]
#: Agent -> seed -> distances after each of POINTS.
Runs = dict[str, dict[str, list[float]]]
#: Agents that every figure shows in gray.
BESIDE = {"tb": "-", "random": ":"}


def stored() -> Runs:
    """The stored runs."""
    return json.loads(RUNS.read_text("utf-8")) if RUNS.exists() else {}


def distance(agent: agents.Agent) -> float:
    """Exact total variation; of a Markov chain, that of the frequencies of its states."""
    return exact.total_variation(learned_distribution(agent), target_for(agent).probabilities)


def train(name: str, seed: int) -> list[float]:
    """Distances of an agent after each of :data:`POINTS`."""
    agent = agents.make_agent(name, gfn_envs.make_dag(ENVIRONMENT, **GRID), seed=seed)
    transitions, found = 0, []
    for point in POINTS:
        while transitions < point:
            transitions += int(agent.update()["transitions"])
        found.append(float(f"{distance(agent):.4g}"))
    return found


@styled
def draw(name: str, runs: Runs) -> None:
    """Draw the median over seeds of an agent, and the range of its seeds as a band."""
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.subplots()
    for other, style in BESIDE.items():
        if other != name and other in runs:
            axes.plot(POINTS, np.median(list(runs[other].values()), 0), style, color="0.5", linewidth=1.2, label=other)
    values = np.array(list(runs[name].values()))
    axes.plot(POINTS, np.median(values, 0), color=BLUE, linewidth=2, label=name)
    axes.fill_between(POINTS, values.min(0), values.max(0), color=BLUE, alpha=0.2, linewidth=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="transitions",
        ylabel="exact total variation",
        ylim=(min(1e-4, values.min() / 2), 1.2),
    )
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})


def main() -> None:
    """Train and draw the named agents, or all."""
    chosen = [name for name in sys.argv[1:] if name != "--draw"] or list(agents.AGENTS)
    FOLDER.mkdir(exist_ok=True)
    runs = stored()
    todo = [(seed, name) for seed in SEEDS for name in chosen if str(seed) not in runs.get(name, {})]
    for seed, name in (bar := tqdm([] if "--draw" in sys.argv else todo)):
        bar.set_description(f"{name} {seed}")
        runs.setdefault(name, {})[str(seed)] = train(name, seed)
        part = RUNS.with_suffix(".part")
        part.write_text(json.dumps(dict(sorted(runs.items()))) + "\n", "utf-8")
        os.replace(part, RUNS)
    for name in chosen:
        if name in runs:
            draw(name, runs)


if __name__ == "__main__":
    main()
