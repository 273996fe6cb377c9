"""Figures of small state graphs, drawn by levels, with exact and learned flows."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agents.agent import Agent
from agents.plots.figures import new_figure, save
from agents.plots.style import styled
from gfn_envs import enumeration, exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.networkx_export import to_networkx

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width in points of an edge that carries all flow.
WIDEST = 16.0
#: States are labeled in graphs of at most this many states.
LABELED = 60
#: Longest label, in characters.
LONGEST = 30


@styled
def state_graph(agent: Agent, path: str | os.PathLike[str] | None = None, max_states: int = 500) -> Figure:
    """The state graph with exact flows next to the state graph with learned flows.

    The width of an edge is proportional to its share of the total flow. Objects with more reward are darker. The exact
    flows are those of the agent's own P_B, so both panels agree if the agent samples exactly in proportion to reward.
    Edges with more learned than exact flow are red. Edges with less are blue.

    Args:
        agent: a trained agent.
        path: file for the figure. Its suffix sets the format.
        max_states: largest number of states to draw.

    Raises:
        EnumerationError: the environment has more than ``max_states`` states.
        ValueError: the agent samples without a policy, as a Markov chain does.
    """
    if not agent.samples_by_policy:
        raise ValueError(f"agent {agent.name!r} samples without a policy, so there are no flows to draw")
    networkx_graph = to_networkx(agent.dag, max_states)
    graph = enumeration.state_graph(agent.dag)
    expected, learned = edge_flows(agent)
    level = np.array([networkx_graph.nodes[i]["level"] for i in range(len(graph.states))])
    places = layered(level, graph.source, graph.target)
    width = float(np.clip(1.5 * graph.num_levels, 5.0, 14.0))
    height = float(np.clip(0.3 * np.bincount(level).max(), 3.2, 14.0))
    # Wide panels are stacked.
    stacked = width > 1.7 * height
    figure = new_figure(width, 2 * height) if stacked else new_figure(2 * width, height)
    reward = np.zeros(len(graph.states))
    reward[graph.terminal] = np.exp(exact.log_rewards(agent.dag) - exact.log_rewards(agent.dag).max())
    distance = total_variation_of_objects(agent.dag, expected, learned)
    labels = [networkx_graph.nodes[i]["label"] for i in range(len(graph.states))]
    # Learned minus exact flow of each edge, as a share of the largest absolute difference.
    excess = (learned - expected) / max(np.abs(learned - expected).max(), 1e-12)
    axes = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
    for panel, flow, colors, title in (
        (axes[0], expected, np.zeros_like(excess), "exact flows of this backward policy"),
        (axes[1], learned, excess, "learned flows (red: more than exact, blue: less)"),
    ):
        _draw_edges(panel, places[graph.source], places[graph.target], flow, colors)
        _draw_nodes(panel, places, graph.terminal, reward, labels)
        panel.set_title(title, fontsize=10)
    figure.suptitle(f"{agent.name} on {agent.dag!r}\nexact total variation {distance:.4f}", fontsize=11)
    return save(figure, path)


def edge_flows(agent: Agent) -> tuple[FloatArray, FloatArray]:
    """Exact and learned flow of every edge of ``enumeration.state_graph(agent.dag)``, as shares of the total flow.

    Returns:
        Exact flows F(s') P_B(s|s') / Z with the agent's P_B, and learned flows u(s) P_F(s'|s), with u(s) the
        probability that a trajectory of the agent passes through s; float64 (e,) each.
    """
    dag, graph = agent.dag, enumeration.state_graph(agent.dag)
    log_pb = edge_log_pb(agent)
    log_flow = exact.log_flows(dag, log_pb)
    probability = exact.edge_probabilities(dag, agent.probabilities)
    reach = exact.state_probabilities(dag, probability)
    return np.exp(log_flow[graph.target] + log_pb - log_flow[0]), reach[graph.source] * probability


def edge_log_pb(agent: Agent) -> FloatArray:
    """log P_B of every edge under the agent's backward policy, float64 (e,)."""
    dag, graph, logits_of = agent.dag, enumeration.state_graph(agent.dag), agent.backward_logits()
    if logits_of is None:
        return exact.uniform_log_pb(dag)
    with torch.inference_mode():
        logits = np.asarray(logits_of(graph.states), dtype=np.float64)
    logits = np.where(dag.backward_mask(graph.states), logits, -np.inf)[1:]
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    backward = dag.backward_action(graph.states[graph.source], graph.action)
    return logits[graph.target - 1, backward]


def total_variation_of_objects(dag: Dag, expected: FloatArray, learned: FloatArray) -> float:
    """Total variation between two edge flows (e,) summed per object."""
    graph = enumeration.state_graph(dag)
    arriving = [np.bincount(graph.target, weights=flow, minlength=len(graph.states)) for flow in (expected, learned)]
    return exact.total_variation(*(flow[graph.terminal] for flow in arriving))


def layered(level: IntArray, source: IntArray, target: IntArray, sweeps: int = 8) -> FloatArray:
    """Positions of the states, float64 (s, 2): the level, and a height in [-1, 1] chosen so that few edges cross.

    The states of each level are sorted by the mean height of their neighbors, in alternating sweeps over the levels
    (Sugiyama et al. 1981).
    """
    size, counts = len(level), np.bincount(level)
    height = np.zeros(size)
    ends, others = np.concatenate([source, target]), np.concatenate([target, source])
    degree = np.maximum(np.bincount(ends, minlength=size), 1)
    for sweep in range(sweeps):
        levels = range(len(counts))
        for t in levels if sweep % 2 == 0 else reversed(levels):
            mean = np.bincount(ends, weights=height[others], minlength=size) / degree
            states = np.flatnonzero(level == t)
            order = states[np.argsort(-mean[states], kind="stable")]
            height[order] = (len(order) - 1) / 2 - np.arange(len(order))
    # Levels with few states span less height than levels with many.
    reach = np.sqrt((counts - 1) / max(counts.max() - 1, 1))
    return np.stack([level.astype(float), height * (2 * reach / np.maximum(counts - 1, 1))[level]], axis=1)


def _draw_edges(axes: Axes, starts: FloatArray, ends: FloatArray, flow: FloatArray, excess: FloatArray) -> None:
    """Edges as smooth lines, the widest first. ``excess`` in [-1, 1] colors them from blue to red."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    t = np.linspace(0, 1, 24)
    rise = t * t * (3 - 2 * t)
    order = np.argsort(-flow, kind="stable")
    starts, ends, flow, excess = starts[order], ends[order], flow[order], excess[order]
    x = starts[:, :1] + (ends - starts)[:, :1] * t
    y = starts[:, 1:] + (ends - starts)[:, 1:] * rise
    lines = list(np.stack([x, y], axis=2))
    gray, map_ = np.array([0.55, 0.6, 0.66, 1.0]), colormaps["coolwarm"]
    strength = np.abs(excess)[:, None]
    colors = (1 - strength) * gray + strength * map_((excess + 1) / 2)
    axes.add_collection(LineCollection(lines, linewidths=0.3, colors="0.85", zorder=1))
    axes.add_collection(LineCollection(lines, linewidths=WIDEST * flow, colors=colors, alpha=0.85, zorder=2))


def _draw_nodes(axes: Axes, places: FloatArray, terminal: IntArray, reward: FloatArray, labels: list[Any]) -> None:
    """Objects as squares and other states as dots, with labels if there are few."""
    from matplotlib import colormaps, patheffects, ticker

    inner = np.setdiff1d(np.arange(len(places)), terminal)
    axes.scatter(places[inner, 0], places[inner, 1], s=14, c="white", edgecolors="black", linewidths=0.8, zorder=3)
    shade = colormaps["Greys"](0.13 + 0.87 * reward[terminal])
    axes.scatter(
        places[terminal, 0],
        places[terminal, 1],
        s=34,
        c=shade,
        marker="s",
        edgecolors="black",
        linewidths=0.8,
        zorder=3,
    )
    if len(places) <= LABELED:
        for i, (place, label) in enumerate(zip(places, labels, strict=True)):
            is_object = i in terminal
            text = axes.annotate(
                textwrap.shorten(label, LONGEST, placeholder=" ...") if " " in label else label[:LONGEST],
                place,
                (6, 0) if is_object else (0, 5),
                textcoords="offset points",
                ha="left" if is_object else "center",
                va="center" if is_object else "bottom",
                fontsize=6,
                zorder=4,
            )
            text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])
    axes.set_ylim(-1.15, 1.15)
    axes.set_xlim(-0.4, places[:, 0].max() + 0.9)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.set_xlabel("level: length of the longest path from $s_0$")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
