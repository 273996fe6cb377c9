"""The two figures of docs/ranking.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from agents.plots.style import styled
from benchmarks import ranking_page
from benchmarks.ranking_methods import TASKS

#: Curves per panel: the best at the end of the seconds, with ``tb``.
BEST = 5


@styled
def draw_ranks(rows: list[dict[str, Any]], path: Path) -> None:
    """Interquartile means with their intervals at both budgets, in the order of equal seconds."""
    plt = _pyplot()
    found = {b: ranking_page.interquartile_means(ranking_page.normalized(rows, b)) for b in ranking_page.BUDGETS}
    order = sorted(found["seconds"], key=lambda m: found["seconds"][m][0])
    figure, axes = plt.subplots(figsize=(8, 2 + 0.2 * len(order)), layout="constrained")
    for shift, (budget, label) in zip((0.15, -0.15), ranking_page.BUDGETS.items(), strict=True):
        known = [m for m in order if m in found[budget]]
        means, low, high = np.array([found[budget][m] for m in known]).reshape(-1, 3).T
        places = [order.index(m) + shift for m in known]
        axes.errorbar(means, places, xerr=(means - low, high - means), fmt="o", markersize=3, label=label)
    axes.set_yticks(range(len(order)), order)
    axes.set(xlabel="interquartile mean of the scores (1 is exact), 95% interval", ylim=(-1, len(order)))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


@styled
def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Means over seeds over CPU seconds, a panel per task; the shade is one standard error."""
    plt = _pyplot()
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    tasks, runs = ranking_page.shown(rows), ranking_page.chosen(rows)
    figure, grid = plt.subplots(-(-len(tasks) // 3) or 1, 3, figsize=(11, 1 + 2.8 * (-(-len(tasks) // 3) or 1)))
    for axes in grid.flat[len(tasks) :]:
        axes.axis("off")
    for task, axes in zip(tasks, grid.flat, strict=False):
        means = ranking_page.means(rows, "seconds")[task]
        best = sorted(means, key=lambda m: -means[m])[:BEST]
        for method in dict.fromkeys([*best, "tb"]):
            points = ranking_page.curve(runs.get((task, method), []), "seconds")
            seconds = [share * TASKS[task].seconds for share in points]
            middle = np.array([np.mean(v) for v in points.values()])
            error = np.array([np.std(v) / max(1, len(v) - 1) ** 0.5 for v in points.values()])
            style = ".--" if method == "tb" else ".-"
            (line,) = axes.plot(seconds, middle, style, label=method)
            axes.fill_between(seconds, middle - error, middle + error, color=line.get_color(), alpha=0.15, linewidth=0)
        axes.set(title=task, xscale="log", xlabel="CPU seconds", ylabel="exact TV" if TASKS[task].exact else "ELBO")
        axes.set_xticks(seconds, [f"{second:g}" for second in seconds])
        axes.xaxis.set_minor_locator(NullLocator())
        if TASKS[task].exact:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
