"""The state graph of a small environment, drawn by levels, with the flows an agent has learned beside exact ones."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from agents.agent import Agent
from agents.plots.figures import new_figure, save
from gfn_envs import enumeration, exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.networkx_export import to_networkx

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width, in points, of an edge through which everything flows.
WIDEST = 16.0
#: States of at most so many are labelled.
LABELLED = 60
#: With labels of so many characters.
LONGEST = 30


def state_graph(agent: Agent, path: str | os.PathLike[str] | None = None, max_states: int = 500) -> Figure:
    """The state graph with exact flows, and beside it with those learned.

    Edges are as wide as the share of all flow that passes through them; objects are darker the more reward they have.
    Exact flows are those of the agent's own backward policy, so that both pictures agree once it samples exactly in
    proportion to reward, whatever its P_B. Edges with more learned flow than exact are red, with less blue.

    Args:
        agent: a trained agent.
        path: where to save the figure; its ending chooses the format.
        max_states: the most states.

    Raises:
        EnumerationError: the environment has more than ``max_states`` states.
        ValueError: an agent whose samples are not those of a policy, such as a Markov chain.
    """
    if not agent.samples_by_policy:
        raise ValueError(f"agent {agent.name!r} samples by no policy, so there are no flows to draw")
    networkx_graph = to_networkx(agent.dag, max_states)
    graph = enumeration.state_graph(agent.dag)
    expected, learned = edge_flows(agent)
    level = np.array([networkx_graph.nodes[i]["level"] for i in range(len(graph.states))])
    places = layered(level, graph.source, graph.target)
    width = float(np.clip(1.5 * graph.num_levels, 5.0, 14.0))
    height = float(np.clip(0.3 * np.bincount(level).max(), 3.2, 14.0))
    # The two panels one above the other where they are wide.
    stacked = width > 1.7 * height
    figure = new_figure(width, 2 * height) if stacked else new_figure(2 * width, height)
    reward = np.zeros(len(graph.states))
    reward[graph.terminal] = np.exp(exact.log_rewards(agent.dag) - exact.log_rewards(agent.dag).max())
    distance = total_variation_of_objects(agent.dag, expected, learned)
    labels = [networkx_graph.nodes[i]["label"] for i in range(len(graph.states))]
    # The learned flow of each edge less the exact one, as a share of the largest such difference.
    excess = (learned - expected) / max(np.abs(learned - expected).max(), 1e-12)
    axes = figure.subplots(2, 1) if stacked else figure.subplots(1, 2)
    for panel, flow, colours, title in (
        (axes[0], expected, np.zeros_like(excess), "exact flows of this backward policy"),
        (axes[1], learned, excess, "learned flows: red where more than exact, blue where less"),
    ):
        _draw_edges(panel, places[graph.source], places[graph.target], flow, colours)
        _draw_nodes(panel, places, graph.terminal, reward, labels)
        panel.set_title(title, fontsize=10)
    figure.suptitle(f"{agent.name} on {agent.dag!r}\nexact total variation {distance:.4f}", fontsize=11)
    return save(figure, path)


def edge_flows(agent: Agent) -> tuple[FloatArray, FloatArray]:
    """What share of all flow passes through each edge of ``enumeration.state_graph(agent.dag)``, float64 (e,) each.

    Returns:
        Exact flows F(s') P_B(s|s') / Z with the agent's P_B, and learned ones u(s) P_F(s'|s), where u(s) is the
        probability that a trajectory of the agent passes through s.
    """
    dag, graph = agent.dag, enumeration.state_graph(agent.dag)
    log_pb = edge_log_pb(agent)
    log_flow = exact.log_flows(dag, log_pb)
    probability = exact.edge_probabilities(dag, agent.probabilities)
    reach = exact.state_probabilities(dag, probability)
    return np.exp(log_flow[graph.target] + log_pb - log_flow[0]), reach[graph.source] * probability


def edge_log_pb(agent: Agent) -> FloatArray:
    """log P_B of every edge, float64 (e,), of the agent's backward policy; uniform where it has none."""
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
    """Total variation between the flows that arrive at objects."""
    graph = enumeration.state_graph(dag)
    arriving = [np.bincount(graph.target, weights=flow, minlength=len(graph.states)) for flow in (expected, learned)]
    return exact.total_variation(*(flow[graph.terminal] for flow in arriving))


def layered(level: IntArray, source: IntArray, target: IntArray, sweeps: int = 8) -> FloatArray:
    """Where to draw each state, float64 (s, 2): its level, and a height in [-1, 1] at which few edges cross.

    States of a level are sorted by the mean height of their neighbours, to and fro (Sugiyama et al. 1981).
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
    # Levels of a few states are spread out, though not as far as large ones.
    reach = np.sqrt((counts - 1) / max(counts.max() - 1, 1))
    return np.stack([level.astype(float), height * (2 * reach / np.maximum(counts - 1, 1))[level]], axis=1)


def _draw_edges(axes: Axes, starts: FloatArray, ends: FloatArray, flow: FloatArray, excess: FloatArray) -> None:
    """Edges as smooth lines, the widest first; ``excess`` in [-1, 1] colours them from blue to red."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    t = np.linspace(0, 1, 24)
    rise = t * t * (3 - 2 * t)
    order = np.argsort(-flow, kind="stable")
    starts, ends, flow, excess = starts[order], ends[order], flow[order], excess[order]
    x = starts[:, :1] + (ends - starts)[:, :1] * t
    y = starts[:, 1:] + (ends - starts)[:, 1:] * rise
    lines = list(np.stack([x, y], axis=2))
    grey, map_ = np.array([0.55, 0.6, 0.66, 1.0]), colormaps["coolwarm"]
    strength = np.abs(excess)[:, None]
    colours = (1 - strength) * grey + strength * map_((excess + 1) / 2)
    axes.add_collection(LineCollection(lines, linewidths=0.3, colors="0.85", zorder=1))
    axes.add_collection(LineCollection(lines, linewidths=WIDEST * flow, colors=colours, alpha=0.85, zorder=2))


def _draw_nodes(axes: Axes, places: FloatArray, terminal: IntArray, reward: FloatArray, labels: list[Any]) -> None:
    """Objects as squares, other states as dots, with labels where there are few."""
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
    if len(places) <= LABELLED:
        for i, (place, label) in enumerate(zip(places, labels, strict=True)):
            beside = i in terminal
            text = axes.annotate(
                textwrap.shorten(label, LONGEST, placeholder=" ...") if " " in label else label[:LONGEST],
                place,
                (6, 0) if beside else (0, 5),
                textcoords="offset points",
                ha="left" if beside else "center",
                va="center" if beside else "bottom",
                fontsize=6,
                zorder=4,
            )
            text.set_path_effects([patheffects.withStroke(linewidth=2, foreground="white")])
    axes.set_ylim(-1.15, 1.15)
    axes.set_xlim(-0.4, places[:, 0].max() + 0.9)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axes.set_xlabel("level: most steps from $s_0$")
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
