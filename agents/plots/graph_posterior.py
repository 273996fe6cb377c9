"""Posteriors over directed graphs: the graph of probable edges, and probabilities of relations as matrices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.evaluation.graph_posterior import GraphPosterior
from agents.plots.figures import new_figure, save
from agents.plots.style import BLUE, VERMILION, styled
from gfn_envs.arrays import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Edges with a smaller probability are not drawn.
FAINTEST = 0.1
#: Up to this many nodes, matrices have their values written in the cells.
MAX_WRITTEN = 8
#: Width of a matrix in points, about.
MATRIX_POINTS = 160


@styled
def graph_posterior_figure(
    posterior: GraphPosterior, truth: BoolArray | None = None, path: str | os.PathLike[str] | None = None
) -> Figure:
    """One row for the learned posterior, and one for the exact one if it is known.

    Each row has the graph of all edges with a probability of at least 10%, darker for more probable ones, and then one
    matrix of probabilities per relation: rows are i, columns j of i -> j. Red frames mark the
    edges of the known graph.

    Args:
        posterior: :func:`agents.evaluation.graph_posterior.graph_posterior` of an agent.
        truth: adjacency matrix of the known graph, if there is one (nodes, nodes).
        path: file for the figure. Its suffix sets the format.
    """
    rows = {"learned": posterior.learned, **({"exact": posterior.exact} if posterior.exact else {})}
    relations = list(posterior.learned)
    size = min(8.0, max(2.8, 0.32 * len(posterior.names) + 1.0))
    figure = new_figure(size * (1 + len(relations)) + 0.8, size * len(rows))
    panels = figure.subplots(len(rows), 1 + len(relations), squeeze=False)
    for row, (which, found) in zip(panels, rows.items(), strict=True):
        _graph(row[0], found["edge"], posterior.names)
        row[0].set_title(f"{which}: edges", fontsize=10)
        for axes, name in zip(row[1:], relations, strict=True):
            if name not in found:
                axes.axis("off")
                continue
            image = _matrix(axes, found[name], posterior.names)
            axes.set_title(f"{which}: P({_label(name)})", fontsize=10)
            if name == "edge" and truth is not None:
                parent, child = np.nonzero(truth)
                axes.plot(
                    child, parent, "s", color=VERMILION, markersize=0.5 * MATRIX_POINTS / len(truth), fillstyle="none"
                )
    figure.colorbar(image, ax=list(panels[:, -1]), label="probability", shrink=0.7)
    return save(figure, path)


def _matrix(axes: Axes, values: FloatArray, names: Sequence[str]) -> AxesImage:
    shown = np.ma.masked_array(values, mask=np.eye(len(names), dtype=bool))
    image = axes.imshow(shown, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    if len(names) <= MAX_WRITTEN:
        for (i, j), value in np.ndenumerate(values):
            if i != j:
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=_readable(value))
    return image


def _label(relation: str) -> str:
    return {"markov_blanket": "Markov blanket"}.get(relation, relation.replace("_", " "))


def _readable(value: float) -> str:
    return "white" if value > 0.6 else "black"


def _graph(axes: Axes, edge: FloatArray, names: Sequence[str]) -> None:
    """Nodes on a circle, with arrows for edges."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for i, j in np.argwhere(edge >= FAINTEST):
        style: dict[str, Any] = {
            "arrowstyle": "-|>",
            "alpha": float(min(1.0, edge[i, j])),
            "linewidth": 0.5 + 1.5 * edge[i, j],
            "shrinkA": 13,
            "shrinkB": 13,
            # Both directions of an edge are drawn next to each other.
            "connectionstyle": "arc3,rad=0.12",
            "color": BLUE,
        }
        axes.annotate("", xy=places[j], xytext=places[i], arrowprops=style)
    for (x, y), name in zip(places, names, strict=True):
        axes.text(x, y, name, ha="center", va="center", fontsize=8)
    axes.set_xlim(-1.35, 1.35)
    axes.set_ylim(-1.35, 1.35)
    axes.set_aspect("equal")
    axes.axis("off")
