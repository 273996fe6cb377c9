"""Figures of the learned distribution against the target, of training, and of several runs."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.agent import Agent
from agents.evaluation.evaluate import is_enumerable, learned_distribution, target_for
from agents.evaluation.metrics import histogram_edges
from agents.plots.style import BLUE, LINES, PALETTE, VERMILION, styled
from agents.runs.files import write_atomically
from gfn_envs import exact
from gfn_envs.arrays import FloatArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agents.runs.compare import Curve

#: Up to this many objects are drawn as bars, and more as a scatter plot.
MAX_BARS = 100
#: Up to this many pairs of dimensions of a grid are drawn.
MAX_PAIRS = 3


@styled
def learned_against_target(
    agent: Agent, path: str | os.PathLike[str] | None = None, exact_states: int | None = None
) -> Figure:
    """The learned distribution against the target.

    Objects that are cells of a grid of two or more dimensions: 2-D marginals. Other DAGs that can be enumerated: sorted
    bars, or a scatter plot of probabilities if there are many objects. All other DAGs: log-rewards of sampled objects.

    Args:
        agent: a trained agent.
        path: file for the figure. Its suffix sets the format.
        exact_states: distributions are exact on DAGs of at most this many states
            (:func:`agents.evaluation.evaluate.is_enumerable`).
    """
    if not is_enumerable(agent.dag, exact_states):
        figure = _sampled_rewards(agent)
    else:
        learned, target = learned_distribution(agent), target_for(agent).probabilities
        shape = agent.dag.grid_shape
        if shape is not None and len(shape) >= 2:
            figure = _marginals(agent.dag, shape, learned, target)
        else:
            figure = _bars(learned, target) if len(target) <= MAX_BARS else _scatter(learned, target)
    return save(figure, path)


@styled
def training_curves(history: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None) -> Figure:
    """Loss, log Z and exact TV over iterations.

    Args:
        history: rows of ``metrics.jsonl``, as :func:`agents.runs.train.train` returns them.
        path: file for the figure.
    """
    panels = [("loss", "loss", True), ("log_z", "log Z", False), ("tv", "exact total variation", True)]
    panels = [panel for panel in panels if any(row.get(panel[0]) is not None for row in history)]
    figure = new_figure(4.2 * max(len(panels), 1), 3.2)
    for k, (key, label, log) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), k + 1)
        rows = [row for row in history if row.get(key) is not None]
        axes.plot([row["iteration"] for row in rows], [row[key] for row in rows], marker="." if len(rows) < 30 else "")
        axes.set_xlabel("iteration")
        axes.set_ylabel(label)
        if log and all(row[key] > 0 for row in rows):
            axes.set_yscale("log")
    return save(figure, path)


#: Metrics that fall by orders of magnitude.
LOGARITHMIC = {"tv", "jsd", "kl", "l1_mean", "loss", "log_z_error", "mean_reward_error"}


@styled
def comparison(
    panels: Mapping[str, Sequence[Curve]], metric: str, axis: str, path: str | os.PathLike[str] | None = None
) -> Figure:
    """Learning curves of several groups of runs: means over seeds with a band of one standard error on each side.

    Args:
        panels: environment -> curves (:func:`agents.runs.compare.learning_curves`). Each environment has its own panel.
        metric: name of the metric.
        axis: name of the x axis.
        path: file for the figure.
    """
    figure = new_figure(5.2 * len(panels), 3.8)
    for axes, (environment, curves) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for number, curve in enumerate(curves):
            seeds = f"{curve.count.max()} seed{'s' if curve.count.max() > 1 else ''}"
            marker = "." if len(curve.x) < 30 else ""
            style = LINES[min(number // len(PALETTE), len(LINES) - 1)]
            (line,) = axes.plot(curve.x, curve.mean, linestyle=style, marker=marker, label=f"{curve.label}, {seeds}")
            axes.fill_between(
                curve.x, curve.mean - curve.se, curve.mean + curve.se, color=line.get_color(), alpha=0.2, linewidth=0
            )
        # A logarithmic axis cannot show a band that reaches zero.
        if metric in LOGARITHMIC and all((curve.mean > curve.se).all() for curve in curves):
            axes.set_yscale("log")
        axes.set_xlabel(axis)
        axes.set_ylabel(metric)
        axes.set_title(textwrap.fill(environment, 60), fontsize=8)
        axes.legend(fontsize=8)
    return save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches. Raises ImportError, with the extra to install, without Matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('figures need Matplotlib: pip install "gfn-envs[plot]"') from None

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: str | os.PathLike[str] | None) -> Figure:
    """Save ``figure`` if a path is given, and return it."""
    if path is not None:
        # The format as savefig finds it.
        suffix = Path(path).suffix[1:] or "png"
        path = Path(path) if Path(path).suffix else Path(f"{path}.png")
        write_atomically(path, lambda file: figure.savefig(file, dpi=120, format=suffix))
    return figure


def _marginals(dag: Dag, shape: tuple[int, ...], learned: FloatArray, target: FloatArray) -> Figure:
    """2-D marginals of both distributions over a grid of ``shape``, for the first pairs of dimensions."""
    cells = dag.grid_cells(dag.terminal_states())
    pairs = list(itertools.islice(itertools.combinations(range(len(shape)), 2), MAX_PAIRS))
    figure = new_figure(3.0 * len(pairs) + 1.0, 6.2)
    axes = figure.subplots(2, len(pairs), squeeze=False)
    for column, (i, j) in enumerate(pairs):
        grids = []
        for distribution in (target, learned):
            grid = np.zeros((shape[j], shape[i]))
            np.add.at(grid, (cells[:, j], cells[:, i]), distribution)
            grids.append(grid)
        top = max(grid.max() for grid in grids)
        for row, (grid, name) in enumerate(zip(grids, ("target R/Z", "learned"), strict=True)):
            image = axes[row, column].imshow(grid, origin="lower", vmin=0, vmax=top)
            axes[row, column].set_title(name if len(shape) == 2 else f"{name}, marginal of $x_{i}, x_{j}$", fontsize=10)
            axes[row, column].set_xlabel(f"$x_{i}$")
            axes[row, column].set_ylabel(f"$x_{j}$")
        figure.colorbar(image, ax=list(axes[:, column]), shrink=0.6, label="probability")
    figure.suptitle(f"exact total variation {exact.total_variation(learned, target):.4f}")
    return figure


def _bars(learned: FloatArray, target: FloatArray) -> Figure:
    figure = new_figure(7, 3.4)
    axes = figure.add_subplot()
    order = np.argsort(-target, kind="stable")
    axes.bar(np.arange(len(order)), target[order], color="lightgrey", label="target R/Z")
    axes.plot(np.arange(len(order)), learned[order], ".", color=VERMILION, label="learned")
    axes.set_xlabel("objects, by reward")
    axes.set_ylabel("probability")
    axes.legend()
    axes.set_title(f"exact total variation {exact.total_variation(learned, target):.4f}", fontsize=10)
    return figure


def _scatter(learned: FloatArray, target: FloatArray) -> Figure:
    figure = new_figure(4.6, 4.2)
    axes = figure.add_subplot()
    axes.loglog(target, np.maximum(learned, 1e-300), ".", markersize=3, alpha=0.4)
    ends = [target.min(), target.max()]
    axes.plot(ends, ends, color="black", linewidth=1)
    axes.set_ylim(min(ends[0], np.quantile(learned, 0.001) + 1e-300) / 3, max(ends[1], learned.max()) * 3)
    axes.set_xlabel("target R/Z")
    axes.set_ylabel("learned probability")
    axes.set_title(f"exact total variation {exact.total_variation(learned, target):.4f}", fontsize=10)
    return figure


def _sampled_rewards(agent: Agent, num_samples: int = 2000) -> Figure:
    objects = agent.sample(num_samples, rng=np.random.default_rng(0))
    figure = new_figure(5, 3.4)
    axes = figure.add_subplot()
    log_reward = log_rewards(agent.dag, objects)
    axes.hist(log_reward[np.isfinite(log_reward)], bins=histogram_edges(log_reward, 40).tolist(), color=BLUE)
    axes.set_xlabel("log R of sampled objects")
    axes.set_ylabel(f"count of {num_samples}")
    return figure
