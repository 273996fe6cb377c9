"""Charts as plain data that plotly.js draws: {"data": [...], "layout": {...}}."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.evaluation.metrics import histogram_edges
from gfn_envs.arrays import FloatArray

#: Colors that differ in hue and in lightness.
COLORS = ("#2f6db3", "#d1603d", "#3d8f64", "#8a63b5", "#b58a1f", "#3f9fb3", "#b34f7d", "#5d6673")
TARGET_COLOR, LEARNED_COLOR, LINE_COLOR = "#b9c0c9", "#d1603d", "#5d6673"
#: What plotly.js calls a trace: the points of one curve, with their style.
Trace = dict[str, Any]
#: Maximum number of points per curve.
MAX_POINTS = 400


@dataclass(frozen=True)
class Chart:
    """A chart of a report.

    Attributes:
        title: its heading.
        caption: how to read it.
        spec: data and layout for plotly.js.
        wide: whether it takes the full width of the page.
    """

    title: str
    caption: str
    spec: dict[str, Any]
    wide: bool = False


@dataclass(frozen=True)
class Line:
    """A curve with a band of one standard error on each side: x, y, error (p,)."""

    label: str
    x: FloatArray
    y: FloatArray
    error: FloatArray


def line_chart(title: str, caption: str, lines: Sequence[Line], x: str, y: str, log: bool = False) -> Chart:
    """Curves over a common axis. A logarithmic axis leaves out values that are not positive."""
    traces = []
    for k, line in enumerate(lines):
        color = COLORS[k % len(COLORS)]
        keep = np.unique(np.linspace(0, len(line.x) - 1, min(len(line.x), MAX_POINTS)).astype(int))
        keep = keep[line.y[keep] > 0] if log else keep
        xs, ys, error = line.x[keep], line.y[keep], line.error[keep]
        if (error > 0).any():
            low = np.maximum(ys - error, ys * 0.05) if log else ys - error
            band: Trace = {"x": numbers(np.r_[xs, xs[::-1]]), "y": numbers(np.r_[ys + error, low[::-1]])}
            style: Trace = {
                "fill": "toself",
                "fillcolor": color,
                "opacity": 0.18,
                "line": {"width": 0},
                "mode": "lines",
            }
            traces.append({**band, **style, "hoverinfo": "skip", "showlegend": False})
        mode = "lines+markers" if len(keep) < 30 else "lines"
        curve = {"x": numbers(xs), "y": numbers(ys), "mode": mode, "name": line.label}
        traces.append({**curve, "line": {"color": color, "width": 2}, "marker": {"size": 5, "color": color}})
    shown = layout(x, y, log_y=log)
    shown["showlegend"] = len(lines) > 1
    return Chart(title, caption, {"data": traces, "layout": shown})


def heat_chart(title: str, caption: str, grid: FloatArray, x: str, y: str, top: float) -> Chart:
    """A grid of numbers >= 0 on a color scale that ends at ``top``. The first row is at the bottom."""
    trace: Trace = {"type": "heatmap", "z": [numbers(row) for row in grid], "zmin": 0, "zmax": number(top)}
    trace |= {"colorscale": "Viridis", "colorbar": {"thickness": 10, "outlinewidth": 0, "tickformat": ".2~g"}}
    trace |= {"hovertemplate": f"{x} %{{x}}, {y} %{{y}}: %{{z:.4g}}<extra></extra>"}
    shown = layout(x, y)
    shown["yaxis"] |= {"scaleanchor": "x", "constrain": "domain"}
    shown["xaxis"] |= {"constrain": "domain"}
    return Chart(title, caption, {"data": [trace], "layout": shown})


def bar_chart(
    title: str, caption: str, names: Sequence[str], target: FloatArray, learned: FloatArray, y: str = "probability"
) -> Chart:
    """Target as bars and learned as points, one per object."""
    place, shown = list(range(len(names))), layout("objects, by reward", y)
    bars: Trace = {
        "type": "bar",
        "x": place,
        "y": numbers(target),
        "name": "target",
        "marker": {"color": TARGET_COLOR},
    }
    points: Trace = {"x": place, "y": numbers(learned), "name": "learned", "mode": "markers"}
    points |= {"marker": {"color": LEARNED_COLOR, "size": 6}}
    for trace in (bars, points):
        trace |= {"text": list(names), "textposition": "none", "hovertemplate": "%{text}: %{y:.4g}"}
    points.pop("textposition")
    return Chart(title, caption, {"data": [bars, points], "layout": shown}, wide=True)


def scatter_chart(
    title: str,
    caption: str,
    names: Sequence[str],
    x: FloatArray,
    y: FloatArray,
    x_label: str,
    y_label: str,
    offset: float | None = 0.0,
) -> Chart:
    """One point per object, and the line y = x + ``offset``."""
    points: Trace = {
        "x": numbers(x),
        "y": numbers(y),
        "mode": "markers",
        "text": list(names),
        "name": "objects",
    }
    points |= {"marker": {"color": COLORS[0], "size": 5, "opacity": 0.45}}
    points |= {"hovertemplate": "%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>"}
    traces = [points]
    if offset is not None and len(x):
        ends = np.array([x.min(), x.max()])
        ideal: Trace = {
            "x": numbers(ends),
            "y": numbers(ends + offset),
            "mode": "lines",
            "name": "proportional to reward",
        }
        traces.append({**ideal, "line": {"color": LINE_COLOR, "width": 1.5, "dash": "dash"}, "hoverinfo": "skip"})
    shown = layout(x_label, y_label)
    shown["showlegend"] = False  # The caption says what the line is.
    return Chart(title, caption, {"data": traces, "layout": shown})


def histogram_chart(title: str, caption: str, values: FloatArray, x: str, y: str, bins: int = 40) -> Chart:
    """Counts of values in equal intervals."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins=histogram_edges(values, bins))
    trace: Trace = {
        "type": "bar",
        "x": numbers((edges[1:] + edges[:-1]) / 2),
        "y": counts.tolist(),
        "name": "samples",
    }
    trace |= {"width": numbers(np.diff(edges)), "marker": {"color": COLORS[0]}}
    trace |= {"hovertemplate": "%{x:.4g}: %{y}<extra></extra>"}
    shown = layout(x, y)
    shown["showlegend"], shown["bargap"] = False, 0.02
    return Chart(title, caption, {"data": [trace], "layout": shown})


def layout(x: str, y: str, log_y: bool = False) -> dict[str, Any]:
    """A layout with these axes. The page sets the fonts and the size."""
    axis = {"showline": True, "linecolor": "#9aa3ad", "gridcolor": "#e6e9ed", "zeroline": False, "automargin": True}
    y_axis = {**axis, "title": {"text": y, "standoff": 8}}
    if log_y:
        y_axis |= {"type": "log", "exponentformat": "power"}
    return {
        "xaxis": {**axis, "title": {"text": x, "standoff": 8}},
        "yaxis": y_axis,
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 56, "r": 12, "t": 12, "b": 44},
        "hovermode": "closest",
    }


def numbers(values: FloatArray) -> list[float | None]:
    """Numbers with six digits, which is enough for a picture; None for NaN and infinity, which JSON lacks."""
    return [number(value) for value in np.asarray(values, dtype=np.float64).tolist()]


def number(value: float) -> float | None:
    """One of :func:`numbers`."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
