"""Figure of the objectives of samples, with the Pareto front and the condition as color."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluation.pareto import pareto_front
from agents.plots.figures import new_figure, save
from agents.plots.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def pareto_figure(
    agent: Any, path: str | os.PathLike[str] | None = None, num_samples: int = 1000, seed: int = 0
) -> Figure:
    """The first two objectives of samples at random conditions; the color is the first number of the condition.

    Circles are samples that no other dominates, in all objectives. The agent's random stream stays unchanged.

    Args:
        agent: an agent whose conditions have objectives (Preferences, Focus).
        path: file for the figure. Its suffix sets the format.
        num_samples: number of samples.
        seed: seed of the samples.

    Raises:
        ValueError: the conditions have no objectives.
        ImportError: pymoo is not installed. The message names the extra.
    """
    scorer = getattr(agent.dag.conditions, "scorer", None)
    if scorer is None:
        raise ValueError(f"{agent.dag!r} has no conditions on objectives (preferences, focus), so no front to draw")
    objects = agent.sample(num_samples, rng=np.random.default_rng(seed))
    scores, conditions = scorer(agent.dag.states_of(objects)), agent.dag.conditions_of(objects)
    front = pareto_front(scores)
    figure = new_figure(5.5, 4.2)
    axes = figure.subplots()
    points = axes.scatter(scores[:, 0], scores[:, 1], c=conditions[:, 0], s=12, cmap="viridis")
    axes.scatter(scores[front, 0], scores[front, 1], s=48, facecolors="none", edgecolors="black", linewidths=0.8)
    axes.set(xlabel=scorer.names[0], ylabel=scorer.names[1], title=f"{num_samples:,} samples; circles: Pareto front")
    figure.colorbar(points, label=f"condition: {agent.dag.conditions.names[0]}")
    return save(figure, path)
