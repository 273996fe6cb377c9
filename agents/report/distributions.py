"""Charts of the learned distribution and the target."""

from __future__ import annotations

import itertools

import numpy as np

from agents.agent import Agent
from agents.evaluation.estimates import sampled_log_p
from agents.evaluation.evaluate import is_enumerable, learned_distribution, target_for
from agents.export.samples import Samples
from agents.report.charts import Chart, bar_chart, heat_chart, histogram_chart, scatter_chart
from gfn_envs.arrays import FloatArray
from gfn_envs.dag import Dag

#: Up to this many objects are drawn as bars, and more as points.
MAX_BARS = 80
#: Points of a scatter plot, and objects whose log p(x) is estimated.
MAX_POINTS, ESTIMATED = 1500, 200
#: Pairs of dimensions of a grid.
MAX_PAIRS = 2

PROPORTIONAL = "On the dashed line, an object is sampled in proportion to its reward."


def distribution_charts(agent: Agent, samples: Samples, exact_states: int | None = None, seed: int = 0) -> list[Chart]:
    """Charts of the learned distribution and the target.

    Exact if the environment can be enumerated: marginals of grids, bars of few objects, or a point per object. Else
    log p(x) of sampled objects over log R(x), and a histogram of their rewards.

    Args:
        agent: a trained agent whose rewards may be evaluated.
        samples: samples of the agent with their rewards.
        exact_states: see :func:`agents.evaluation.evaluate.is_enumerable`.
        seed: seed of random choices.
    """
    rng = np.random.default_rng(seed)
    if not is_enumerable(agent.dag, exact_states):
        return sampled_charts(agent, samples, seed)
    learned, target = learned_distribution(agent), target_for(agent).probabilities
    shape = agent.dag.grid_shape
    if shape is not None and len(shape) >= 2:
        return [*_marginals(agent.dag, shape, learned, target), _points(agent.dag, learned, target, rng)]
    if len(target) <= MAX_BARS:
        order = np.argsort(-target, kind="stable")
        names = agent.dag.object_names(agent.dag.terminal_states()[order])
        caption = "Exact probability of every object. The points are on the bars of a perfect sampler."
        return [bar_chart("Every object", caption, names, target[order], learned[order])]
    return [_points(agent.dag, learned, target, rng)]


def sampled_charts(agent: Agent, samples: Samples, seed: int = 0) -> list[Chart]:
    """log p(x) over log R(x) of samples whose reward is known, and a histogram of the rewards; [] if none is known."""
    if np.isnan(samples.log_reward).all():
        return []
    return [*_estimated(agent, samples, np.random.default_rng(seed)), _rewards(samples)]


def _marginals(dag: Dag, shape: tuple[int, ...], learned: FloatArray, target: FloatArray) -> list[Chart]:
    """Heat maps of target and learned over the first pairs of dimensions of a grid."""
    cells, charts = dag.grid_cells(dag.terminal_states()), []
    for i, j in itertools.islice(itertools.combinations(range(len(shape)), 2), MAX_PAIRS):
        grids = np.zeros((2, shape[j], shape[i]))
        for grid, distribution in zip(grids, (target, learned), strict=True):
            np.add.at(grid, (cells[:, j], cells[:, i]), distribution)
        what = (
            "Exact probability of each cell" if len(shape) == 2 else "Exact probability, summed over other dimensions"
        )
        for grid, name in zip(grids, ("Target", "Learned"), strict=True):
            charts.append(heat_chart(f"{name}: x{i}, x{j}", f"{what}.", grid, f"x{i}", f"x{j}", grids.max()))
    return charts


def _points(dag: Dag, learned: FloatArray, target: FloatArray, rng: np.random.Generator) -> Chart:
    """log10 of learned over target, of the objects with the most reward and of others drawn at random."""
    chosen = np.arange(len(target))
    if len(target) > MAX_POINTS:
        best = np.argsort(-target, kind="stable")[: MAX_POINTS // 3]
        chosen = np.union1d(best, rng.choice(len(target), MAX_POINTS - len(best), replace=False))
    names = dag.object_names(dag.terminal_states()[chosen])
    smallest = np.finfo(float).tiny
    x, y = (np.log10(np.maximum(values[chosen], smallest)) for values in (target, learned))
    y = np.maximum(y, x.min() - 3)
    shown = "every object" if len(chosen) == len(target) else f"{len(chosen):,} of {len(target):,} objects"
    caption = f"Exact probabilities of {shown}. {PROPORTIONAL}"
    labels = "log10 of target probability", "log10 of learned probability"
    return scatter_chart("Learned over target", caption, names, x, y, *labels)


def _estimated(agent: Agent, samples: Samples, rng: np.random.Generator) -> list[Chart]:
    """log p(x) over log R(x) of sampled objects, if the agent has a policy."""
    known = np.flatnonzero(~np.isnan(samples.log_reward))
    if not agent.samples_by_policy or len(known) < 2:
        return []
    _, first = np.unique(samples.states[known], axis=0, return_index=True)
    rows = known[np.sort(first)][:ESTIMATED]
    log_p, _ = sampled_log_p(agent, samples.states[rows], rng)
    x = samples.log_reward[rows]
    caption = (
        f"{len(rows)} sampled objects of known reward; log p(x) is estimated from 10 backward trajectories each. "
        f"{PROPORTIONAL} Its height is free."
    )
    names = [samples.names[row] for row in rows.tolist()]
    offset = float(np.median(log_p - x))
    return [scatter_chart("Learned over reward", caption, names, x, log_p, "log R(x)", "log p(x), learned", offset)]


def _rewards(samples: Samples) -> Chart:
    """Log rewards of the samples."""
    known = samples.log_reward[~np.isnan(samples.log_reward)]
    caption = f"{len(known):,} samples of known reward."
    return histogram_chart("Rewards of samples", caption, known, "log R(x)", "samples")
