"""Pictures of the molecules that an agent finds: the best of many samples, and a few as they come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.agent import Agent
from agents.plots.figures import new_figure, save
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.molecules.fragment_molecule import FragmentMolecule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Molecules in a row of the grid, and the size of each in pixels.
PER_ROW, CELL = 6, (300, 230)


def molecule_grid(
    agent: Agent,
    path: str | os.PathLike[str] | None = None,
    num_samples: int = 1000,
    num_shown: int = 12,
    seed: int = 0,
) -> Figure:
    """The best distinct molecules among samples of the agent, and below them the first samples, with their rewards.

    Titles give the mean Tanimoto distance of what is shown.

    Args:
        agent: a trained agent on FragmentMolecule.
        path: where to save the figure; its ending chooses the format.
        num_samples: samples to choose the best from.
        num_shown: molecules of either kind.
        seed: of the samples; the agent's own random stream is left as it was.

    Raises:
        ValueError: an agent on another environment.
    """
    dag = agent.dag
    if not isinstance(dag, FragmentMolecule):
        raise ValueError(f"molecules are drawn for FragmentMolecule alone, and the agent is on {dag!r}")
    samples = agent.sample(num_samples, rng=np.random.default_rng(seed))
    log_reward = dag.log_reward(samples)
    best = best_molecules(dag, samples, log_reward, num_shown)
    groups = [
        (f"best distinct molecules of {num_samples:,} samples", best),
        (f"samples; mean reward of all {np.exp(log_reward).mean():.3g}", np.arange(min(num_shown, num_samples))),
    ]
    pictures = [grid_image(dag, samples[rows]) for _, rows in groups]
    width, heights = PER_ROW * CELL[0] / 120, [picture.shape[0] / 120 for picture in pictures]
    figure = new_figure(width, sum(heights) + 0.9)
    for axes, picture, (title, rows) in zip(
        figure.subplots(len(groups), 1, height_ratios=heights), pictures, groups, strict=True
    ):
        axes.imshow(picture, interpolation="antialiased")
        axes.set_title(f"{title}; mean Tanimoto distance {mean_distance(dag, samples[rows]):.2f}", fontsize=12)
        axes.axis("off")
    return save(figure, path)


def best_molecules(dag: FragmentMolecule, states: IntArray, log_reward: FloatArray, count: int) -> IntArray:
    """Which of ``states`` have the most reward, best first, of each molecule one; at most ``count``.

    Different states are one molecule where it is cut into blocks in several ways.
    """
    chosen: dict[str, int] = {}
    _, first = np.unique(states, axis=0, return_index=True)
    for row in first[np.argsort(-log_reward[first], kind="stable")].tolist():
        chosen.setdefault(dag.to_smiles(states[row : row + 1])[0], row)
        if len(chosen) == count:
            break
    return np.array(list(chosen.values()))


def mean_distance(dag: FragmentMolecule, states: IntArray) -> float:
    """Mean Tanimoto distance over all pairs of two, 0 for fewer than two."""
    n = len(states)
    return float(dag.distance(states, states).sum() / (n * (n - 1))) if n > 1 else 0.0


def grid_image(dag: FragmentMolecule, states: IntArray) -> Any:
    """Structural formulas with rewards below them, uint8 (H, W, 3), ``PER_ROW`` in a row."""
    from rdkit.Chem import Draw

    image = Draw.MolsToGridImage(
        [dag.to_mol(state) for state in states],
        molsPerRow=PER_ROW,
        subImgSize=CELL,
        legends=legends(dag, states),
        returnPNG=False,
    )
    return np.asarray(image.convert("RGB"))


def legends(dag: FragmentMolecule, states: IntArray) -> list[str]:
    """The score by its name, and the reward where it is another number."""
    reward = dag.arguments["reward"]
    name = reward if isinstance(reward, str) else "score"
    scores, rewards = np.exp(dag.log_score(states)), np.exp(dag.log_reward(states))
    both = dag.score.exponent != 1
    return [f"{name} {s:.3f}" + f",  R {r:.3g}" * both for s, r in zip(scores, rewards, strict=True)]
