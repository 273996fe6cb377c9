"""Figures of sampled molecules: the best of many samples, and the first few samples."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from agents.agent import Agent
from agents.plots.figures import new_figure, save
from agents.plots.style import styled
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Molecules per row of the grid.
PER_ROW = 6
#: Width and height of each molecule in pixels.
CELL = (300, 230)


@styled
def molecule_grid(
    agent: Agent,
    path: str | os.PathLike[str] | None = None,
    num_samples: int = 1000,
    num_shown: int = 12,
    seed: int = 0,
) -> Figure:
    """The best distinct molecules among samples of the agent, and below them its first samples, with their rewards.

    Titles give the mean Tanimoto distance between the molecules shown. The agent's random stream stays unchanged.

    Args:
        agent: a trained agent on an environment with molecules.
        path: file for the figure. Its suffix sets the format.
        num_samples: number of samples from which the best are chosen.
        num_shown: number of molecules in each of the two groups.
        seed: seed of the samples.

    Raises:
        ValueError: the environment does not define molecules.
    """
    dag = agent.dag
    if not dag.has("molecules"):
        raise ValueError(f"{dag!r} does not define objects as molecules, so there are none to draw")
    samples = agent.sample(num_samples, rng=np.random.default_rng(seed))
    log_reward = log_rewards(dag, samples)
    best = best_molecules(dag, samples, log_reward, num_shown)
    groups = [
        (f"best distinct molecules of {num_samples:,} samples", best),
        (
            f"samples; mean reward of all {np.nan_to_num(np.exp(log_reward)).mean():.3g}",
            np.arange(min(num_shown, num_samples)),
        ),
    ]
    pictures = [dag.draw_molecules(samples[rows], PER_ROW, CELL) for _, rows in groups]
    width, heights = PER_ROW * CELL[0] / 120, [picture.shape[0] / 120 for picture in pictures]
    figure = new_figure(width, sum(heights) + 0.9)
    for axes, picture, (title, rows) in zip(
        figure.subplots(len(groups), 1, height_ratios=heights), pictures, groups, strict=True
    ):
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(f"{title}; mean Tanimoto distance {mean_distance(dag, samples[rows]):.2f}", fontsize=12)
        axes.axis("off")
    return save(figure, path)


def best_molecules(dag: Dag, states: IntArray, log_reward: FloatArray, count: int) -> IntArray:
    """Rows of at most ``count`` of ``states`` (n, state_width) with the most reward, best first, one per molecule.

    Several states can be the same molecule, cut into blocks in different ways.
    """
    chosen: dict[str, int] = {}
    _, first = np.unique(states, axis=0, return_index=True)
    for row in first[np.argsort(-log_reward[first], kind="stable")].tolist():
        chosen.setdefault(dag.to_smiles(states[row : row + 1])[0], row)
        if len(chosen) == count:
            break
    return np.array(list(chosen.values()))


def mean_distance(dag: Dag, states: IntArray) -> float:
    """Mean Tanimoto distance over all pairs of ``states`` (n, state_width), 0 for fewer than two."""
    n = len(states)
    return float(dag.distance(states, states).sum() / (n * (n - 1))) if n > 1 else 0.0
