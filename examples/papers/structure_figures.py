"""Metrics and figures that several scripts share: molecules, Bayesian networks, trees and spins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import agents
from agents.evaluation.evaluate import is_enumerable, learned_distribution
from agents.plots.figures import learned_against_target
from agents.plots.style import styled
from gfn_envs import BayesNet, FragmentMolecule, Ising, PhyloTree
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag

#: Number of objects sampled for metrics, and of test objects on which log R and log p are correlated.
SAMPLES, TEST_OBJECTS = 1000, 100


def samples(agent: agents.Agent) -> tuple[IntArray, FloatArray]:
    """SAMPLES objects of the agent, (n, state_width), and their log R, (n,).

    They are the objects that ``full_evaluation`` samples, so their rewards are already cached.
    """
    found = agent.sample_trajectories(SAMPLES, rng=np.random.default_rng(0))
    return found.terminal_states, found.log_reward


def random_objects(dag: Dag) -> IntArray:
    """At most TEST_OBJECTS distinct objects, built by random actions, (m, state_width)."""
    return np.unique(agents.make_agent("random", dag, seed=1).sample(TEST_OBJECTS), axis=0)


def learned(agent: agents.Agent, folder: Path) -> str:
    """Save a plot of the learned distribution and the target, as ``gfn plot`` draws it."""
    learned_against_target(agent, folder / "learned.png")
    return f"learned and target: {folder / 'learned.png'}"


# ---------------------------------------------------------------------- molecules


def molecule_scores(agent: agents.Agent) -> dict[str, Any]:
    """``mean_score`` of the samples, and ``top_10_score`` and ``top_100_score`` of the distinct ones.

    Scores of the reward "seh" are multiplied by 8, as in the papers.
    """
    dag = agent.dag
    assert isinstance(dag, FragmentMolecule)
    objects = samples(agent)[0]
    scale = 8.0 if dag.arguments["reward"] == "seh" else 1.0
    score = scale * np.exp(dag.log_score(objects))
    best = np.sort(scale * np.exp(dag.log_score(np.unique(objects, axis=0))))[::-1]
    return {"mean_score": score.mean(), "top_10_score": best[:10].mean(), "top_100_score": best[:100].mean()}


def draw_molecules(agent: agents.Agent, folder: Path) -> str:
    """Save a figure of the ten best and of ten random samples, and the SMILES of all distinct samples, best first."""
    dag = agent.dag
    assert isinstance(dag, FragmentMolecule)
    objects = samples(agent)[0]
    distinct = np.unique(objects, axis=0)
    ranked = distinct[np.argsort(-dag.log_score(distinct), kind="stable")]
    scores = np.exp(dag.log_score(ranked))
    lines = [f"{score:.4f} {smiles}" for score, smiles in zip(scores, dag.to_smiles(ranked), strict=True)]
    (folder / "molecules.smi").write_text("\n".join(lines) + "\n", "utf-8")
    figure = Figure(figsize=(10, 9), layout="constrained")
    panels = figure.subplots(4, 5)
    for axes, state in zip(panels.flat, [*ranked[:10], *objects[:10]], strict=False):
        axes.imshow(dag.render_image(state))
        axes.set_title(f"{np.exp(dag.log_score(state[None])[0]):.3f}", fontsize=9)
    for axes in panels.flat:
        axes.axis("off")
    figure.suptitle(f"{agent.name}: the best of {len(objects):,} samples (two rows), and the first ten (two rows)")
    figure.savefig(folder / "molecules.png", dpi=80)
    return f"molecules: {folder / 'molecules.png'}, SMILES in molecules.smi"


# ---------------------------------------------------------------------- Bayesian networks


def marginals(agent: agents.Agent) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Learned and exact marginals of edges, paths and Markov blankets, without the diagonal, each (d (d - 1),)."""
    dag = agent.dag
    assert isinstance(dag, BayesNet)
    off = ~np.eye(dag.num_nodes, dtype=bool)
    found = dag.marginals(dag.terminal_states(), learned_distribution(agent))
    truth = dag.exact_marginals()
    return {k: v[off] for k, v in found.items()}, {k: v[off] for k, v in truth.items()}


def marginal_errors(agent: agents.Agent) -> dict[str, Any]:
    """Largest error and correlation of each kind of marginal, such as ``edge_error`` and ``edge_pearson``."""
    if not is_enumerable(agent.dag):
        return {}
    found, truth = marginals(agent)
    errors = {f"{name}_error": float(np.abs(found[name] - truth[name]).max()) for name in truth}
    return errors | {f"{name}_pearson": float(np.corrcoef(found[name], truth[name])[0, 1]) for name in truth}


@styled
def draw_marginals(agent: agents.Agent, folder: Path) -> str:
    """Save a plot of learned over exact marginals, one panel per kind."""
    if not is_enumerable(agent.dag):
        return "too many graphs for exact marginals"
    found, truth = marginals(agent)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), truth, strict=True):
        axes.plot([0, 1], [0, 1], color="gray", linewidth=0.8)
        axes.plot(truth[name], found[name], ".")
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("exact posterior")
        axes.set_ylabel(agent.name)
    figure.savefig(folder / "marginals.png", dpi=90)
    return f"marginals: {folder / 'marginals.png'}"


# ---------------------------------------------------------------------- phylogenetic trees


def tree_figures(agent: agents.Agent) -> dict[str, Any]:
    """``mean_mutations`` and ``fewest_mutations`` of the sampled trees."""
    dag = agent.dag
    assert isinstance(dag, PhyloTree)
    mutations = dag.mutations(samples(agent)[0])
    return {"mean_mutations": mutations.mean(), "fewest_mutations": mutations.min()}


@styled
def draw_tree(agent: agents.Agent, folder: Path) -> str:
    """Save the sampled tree with the fewest mutations as a cladogram and in Newick format."""
    dag = agent.dag
    assert isinstance(dag, PhyloTree)
    objects = samples(agent)[0]
    mutations = dag.mutations(objects)
    best = objects[[int(mutations.argmin())]]
    (folder / "best.nwk").write_text(dag.to_newick(best[0]) + "\n", "utf-8")
    into, merged = (side[0] for side in dag.merges(best))
    members = {i: [i] for i in range(dag.num_taxa)}
    for i, j in zip(into, merged, strict=True):
        members[i] = members[i] + members.pop(j)
    leaves = next(iter(members.values()))
    figure = Figure(figsize=(7, 1 + 0.25 * dag.num_taxa), layout="constrained")
    axes = figure.subplots()
    place = {leaf: (0, y) for y, leaf in enumerate(leaves)}
    for i, j in zip(into, merged, strict=True):
        (a, y), (b, z) = place[i], place[j]
        x = max(a, b) + 1
        axes.plot([-a, -x, -x, -b], [y, y, z, z], color="C0")
        place[i] = (x, (y + z) / 2)
    axes.set_yticks(range(dag.num_taxa), [dag.taxa[leaf] for leaf in leaves])
    axes.yaxis.tick_right()
    axes.set_xticks([])
    axes.set_title(f"{agent.name}: {mutations.min():.0f} mutations, the fewest of {len(objects):,} samples")
    figure.savefig(folder / "tree.png", dpi=80)
    return f"best tree: {folder / 'tree.png'} and best.nwk"


# ---------------------------------------------------------------------- spins


def spin_figures(agent: agents.Agent) -> dict[str, Any]:
    """Exact and sampled observables.

    ``exact_log_z``; ``log_z_gap`` = log Z - ELBO; ``magnetization``, the mean absolute magnetization per spin;
    ``bond``, the mean product of neighboring spins; and ``exact_bond``, its exact value.
    """
    dag = agent.dag
    assert isinstance(dag, Ising)
    log_z, step = dag.log_partition(), 1e-4
    spins = dag.spins(samples(agent)[0])
    bonds = (spins * (np.roll(spins, 1, axis=1) + np.roll(spins, 1, axis=2))).mean() / 2
    # d log Z / d sigma = 2 E[sum of bonds], and there are 2 D bonds.
    above, below = (Ising(dag.side, dag.sigma + s).log_partition() for s in (step, -step))
    elbo = agents.evaluate(agent, SAMPLES)["elbo"]
    return {
        "exact_log_z": log_z,
        "log_z_gap": None if elbo is None else log_z - elbo,
        "magnetization": np.abs(spins.mean((1, 2))).mean(),
        "bond": bonds,
        "exact_bond": (above - below) / (2 * step) / (4 * dag.side**2),
    }


@styled
def draw_spins(agent: agents.Agent, folder: Path) -> str:
    """Save ten sampled grids and a histogram of the magnetization."""
    dag = agent.dag
    assert isinstance(dag, Ising)
    objects = samples(agent)[0]
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    for axes, state in zip(top.subplots(1, 10), objects, strict=False):
        axes.imshow(dag.spins(state[None])[0], vmin=-1, vmax=1)
        axes.axis("off")
    axes = bottom.subplots()
    axes.hist(dag.spins(objects).mean((1, 2)), bins=min(41, dag.num_variables + 1), range=(-1.02, 1.02))
    axes.set_xlabel(f"magnetization per spin, {len(objects):,} samples of {agent.name}")
    figure.savefig(folder / "spins.png", dpi=80)
    return f"spins: {folder / 'spins.png'}"
