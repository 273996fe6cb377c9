"""ColoredGraphs: base class of environments whose states are small connected graphs up to isomorphism."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, row_keys
from gfn_envs.dag import Dag
from gfn_envs.envs.graphs.drawing import node_link
from gfn_envs.envs.graphs.graph_classes import adjacency, growth, pairs
from gfn_envs.envs.graphs.read_graph import import_networkx


class ColoredGraphs(Dag):
    """Connected graphs of at most ``max_nodes`` vertices with ``num_colors`` colors, without a reward.

    Isomorphic graphs are one state; :func:`gfn_envs.envs.graphs.graph_classes.growth` lists all states and edges. A
    state row is the canonical form: the color of each vertex plus 1 (0: no vertex), 1 for each edge, and 1 if the graph
    is finished. Every unfinished graph can stop.
    """

    can_stop_anywhere = True
    feature_bounds = (0.0, 1.0)

    def __init__(self, max_nodes: int, num_colors: int):
        self.max_nodes, self.num_colors = k, colors = max_nodes, num_colors
        self.growth = growth(k, colors)
        self.num_actions, self.num_backward_actions = self.growth.child.shape[1], self.growth.parent.shape[1]
        self.state_dtype, self.state_width = np.dtype(np.int8), self.growth.rows.shape[1]
        num_edges = self.state_width - 1 - k
        self.max_length = num_edges + 2  # the first vertex, one step per edge, and the stop
        self.num_features = k * (colors + k - 1) + num_edges
        self.num_tokens, self.num_positions = 3, k + num_edges
        self.observation_space = spaces.MultiDiscrete([colors + 1] * k + [2] * num_edges)
        self.declared_num_states = len(self.growth.rows)
        self.declared_num_terminal_states = self.declared_num_states // 2
        self._keys = row_keys(self.growth.rows)

    def index(self, states: IntArray) -> IntArray:
        """Position of each state in ``growth.rows``, int64 (n,)."""
        return np.searchsorted(self._keys, row_keys(states))

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] != 0

    def forward_mask(self, states: IntArray) -> BoolArray:
        return self.growth.child[self.index(states)] >= 0

    def backward_mask(self, states: IntArray) -> BoolArray:
        return self.growth.parent[self.index(states)] >= 0

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        return self.growth.rows[self.growth.child[self.index(states), actions]]

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self.growth.rows[self.growth.parent[self.index(states), backward_actions]]

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self.growth.back[self.index(states), actions]

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self.growth.action[self.index(states), backward_actions]

    def encode(self, states: IntArray) -> FloatArray:
        k = self.max_nodes
        colors = states[:, :k, None] == 1 + np.arange(self.num_colors)
        degrees = adjacency(states[:, :-1], k).sum(2)[:, :, None] == 1 + np.arange(k - 1)
        vertices = np.concatenate([colors, degrees], axis=2).reshape(len(states), k * (self.num_colors + k - 1))
        return np.concatenate([vertices, states[:, k:-1]], axis=1, dtype=np.float32)

    def observe(self, states: IntArray) -> IntArray:
        return states[:, :-1].astype(np.int64)

    def tokens(self, states: IntArray) -> IntArray:
        """The row without the last entry, int64 (n, num_positions)."""
        return self.observe(states)

    # ------------------------------------------------------------------ labels and rendering

    def to_networkx(self, state: IntArray) -> Any:
        """The ``networkx.Graph`` of one state; node attribute ``color`` is 0 or 1."""
        graph, row = import_networkx(f"{type(self).__name__}.to_networkx").Graph(), state.tolist()
        graph.add_nodes_from((i, {"color": row[i] - 1}) for i in range(self.max_nodes) if row[i])
        graph.add_edges_from(self._edges(state))
        return graph

    def _edges(self, state: IntArray) -> list[tuple[int, int]]:
        i, j = pairs(self.max_nodes)[:, np.flatnonzero(state[self.max_nodes : -1])]
        return list(zip(i.tolist(), j.tolist(), strict=True))

    def action_label(self, action: int) -> str:
        first_edge = self.max_nodes * self.num_colors
        if action == self.num_actions - 1:
            return "stop"
        if action < first_edge:
            vertex, color = divmod(action, self.num_colors)
            return f"add {'AB'[color]} to {vertex}"
        return "join {} and {}".format(*pairs(self.max_nodes)[:, action - first_edge])

    def object_names(self, states: IntArray) -> list[str]:
        """The colors as A and B, and the edges between vertices 0, 1, ..., such as ``ABB: 0-1 1-2``."""
        colors = ["".join(".AB"[c] for c in state[: self.max_nodes]).rstrip(".") for state in states]
        edges = [" ".join(f"{i}-{j}" for i, j in self._edges(state)) for state in states]
        return [f"{c}: {e}" if e else c or "(empty)" for c, e in zip(colors, edges, strict=True)]

    def render_text(self, state: IntArray) -> str:
        return self.object_names(state[None])[0] + " stopped" * bool(state[-1])

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The vertices on a circle, blue and orange. A red frame marks a finished graph."""
        palette, k = np.array([[255, 255, 255], [31, 119, 180], [255, 127, 14]], dtype=np.uint8), self.max_nodes
        return node_link(adjacency(state[None, :-1], k)[0], palette[state[:k]], bool(state[-1]))
