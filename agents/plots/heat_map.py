"""Heat maps of a metric over two settings."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agents.plots.figures import LOGARITHMIC, new_figure, save
from agents.plots.style import styled
from agents.runs.ranking import SettingGrid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@styled
def heat_map(
    grids: Sequence[SettingGrid], x: str, y: str, metric: str, path: str | os.PathLike[str] | None = None
) -> Figure:
    """One panel per grid (:func:`agents.runs.ranking.setting_grids`), with mean and standard error in each cell.

    All panels have one color scale, logarithmic for metrics that fall by orders of magnitude. Cells without runs are
    white.

    Args:
        grids: at least one.
        x, y: names of the settings.
        metric: name of the metric.
        path: file for the figure.
    """
    known = np.concatenate([grid.mean[~np.isnan(grid.mean)] for grid in grids])
    is_log = metric in LOGARITHMIC and known.min() > 0 and known.max() > known.min()
    width = sum(max(2.6, 0.85 * len(grid.x) + 1.4) for grid in grids) + 1.0
    figure = new_figure(width, max(2.6, 0.6 * max(len(grid.y) for grid in grids) + 1.6))  # It names the extra.
    from matplotlib.colors import LogNorm, Normalize

    norm = (LogNorm if is_log else Normalize)(known.min(), known.max())
    panels = figure.subplots(1, len(grids), squeeze=False)[0]
    for axes, grid in zip(panels, grids, strict=True):
        image = axes.imshow(grid.mean, norm=norm, cmap="viridis", aspect="auto")
        axes.set_xticks(range(len(grid.x)), grid.x)
        axes.set_yticks(range(len(grid.y)), grid.y)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(textwrap.fill(grid.title, 44), fontsize=8)
        _write_values(axes, grid, norm)
    figure.colorbar(image, ax=list(panels), label=metric)
    return save(figure, path)


def _write_values(axes: Axes, grid: SettingGrid, norm: object) -> None:
    """Mean and standard error of each cell, in a color that is readable on it."""
    for (row, column), value in np.ndenumerate(grid.mean):
        if not np.isnan(value):
            error = grid.se[row, column]
            text = f"{value:.3g}" if np.isnan(error) else f"{value:.3g}\n± {error:.2g}"
            color = "white" if norm(value) < 0.6 else "black"  # type: ignore[operator]
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
