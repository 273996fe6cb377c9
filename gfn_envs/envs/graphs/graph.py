"""Graph: connected graphs with colored vertices, up to isomorphism."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, row_keys
from gfn_envs.dag import Dag
from gfn_envs.envs.graphs.drawing import node_link
from gfn_envs.envs.graphs.graph_classes import adjacency, growth, pairs
from gfn_envs.envs.graphs.graph_rewards import SCORES
from gfn_envs.envs.graphs.read_graph import import_networkx
from gfn_envs.oracle import Oracle
from gfn_envs.validation import checked_log_reward, checked_reward_function, positive, positive_int, shown


class Graph(Dag):
    """Build a connected graph with colored vertices, by vertices and edges; isomorphic graphs are one object.

    ## Description
    A state is a connected graph of at most k vertices, each of one of two colors, up to isomorphism. Its row is the
    canonical form: the color of each vertex plus 1 (0: no vertex), 1 for each edge, and 1 if the graph is finished.

    ## Action Space
    ``Discrete(k colors + k (k - 1) / 2 + 1)``: add a vertex of color c and join it to vertex i; add an edge; stop,
    which is always legal. If several actions lead to the same graph, only the first of them is legal.

    ## Backward actions
    Action b goes to the b-th parent in the order of their rows; the last one undoes the stop. So the uniform backward
    policy chooses among the different parents.

    ## Observation Space
    ``MultiDiscrete``: the row without the last entry. The network features are the one-hot colors and degrees
    of the vertices, and the edges.

    ## Starting State
    The graph without vertices.

    ## Rewards
    R(x) = exp(score / temperature) with one of these scores, where n is the number of vertices:

    * "count": -10 / 4 abs(n_0 + n_1 / 2 - 3), with n_c vertices of color c.
    * "neighbors": 10 / 7 (v - n), with v vertices that have 2, 4, ... neighbors of the other color; -50 / 7 if n <= 3.
    * "cliques": n - 1 - (sum of the sizes of the maximal cliques) + (number of them of size 4, those with two vertices
      of each color counting 1 / 2), at least -10.
    * "constant": 0.

    ``reward`` can also be a callable that maps a ``networkx.Graph`` with node attribute ``color`` to R(x) > 0. The
    intermediate log reward of an unfinished graph is that of stopping there, 0 at s0.

    ## Episode End
    At the stop action.

    ## Number of states
    Two per graph: 3, 6, 16, 66, 420, 4303, 72,297 graphs for k = 1, ..., 7 with two colors; 2, 3, 5, 11, 32, 144, 997
    with one.

    ## Arguments
    * ``max_nodes``: largest number of vertices k, from 1 to 7.
    * ``num_colors``: 1 or 2.
    * ``reward``: "count", "neighbors", "cliques", "constant" or a callable.
    * ``temperature``: T > 0; with a callable, 1.

    ## References
    Atanackovic and Bengio 2025, Investigating Generalization Behaviours of Generative Flow Networks

    ## Version History
    * v0: initial version.
    """

    can_stop_anywhere = True
    feature_bounds = (0.0, 1.0)

    def __init__(
        self,
        max_nodes: int = 6,
        num_colors: int = 2,
        reward: str | Callable[[Any], float] = "count",
        temperature: float = 1.0,
    ):
        self.max_nodes = k = positive_int("max_nodes", max_nodes, "Graph", at_most=7)
        self.num_colors = positive_int("num_colors", num_colors, "Graph", at_most=2)
        self.temperature = positive("temperature", temperature, "Graph")
        self._function = reward
        if not isinstance(reward, str) and callable(reward):
            if self.temperature != 1:
                raise ValueError(f"Graph: temperature must be 1 with a callable reward, got {self.temperature:g}")
            if isinstance(reward, Oracle):
                reward.serve(self)
            else:
                checked_reward_function(reward, "Graph", "a networkx.Graph")
        elif not isinstance(reward, str) or reward not in SCORES:
            raise ValueError(f"Graph: unknown reward {shown(reward)}; allowed: {', '.join(SCORES)}, or a callable")
        self.arguments = {"max_nodes": k, "num_colors": self.num_colors, "reward": reward}
        self.arguments |= {"temperature": self.temperature}
        self.growth = growth(k, self.num_colors)
        self.num_actions, self.num_backward_actions = self.growth.child.shape[1], self.growth.parent.shape[1]
        self.state_dtype, self.state_width = np.dtype(np.int8), self.growth.rows.shape[1]
        num_edges = self.state_width - 1 - k
        self.max_length = num_edges + 2  # the first vertex, one step per edge, and the stop
        self.num_features = k * (self.num_colors + k - 1) + num_edges
        self.num_tokens, self.num_positions = 3, k + num_edges
        self.observation_space = spaces.MultiDiscrete([self.num_colors + 1] * k + [2] * num_edges)
        self.declared_num_states = len(self.growth.rows)
        self.declared_num_terminal_states = self.declared_num_states // 2
        self._keys = row_keys(self.growth.rows)

    def index(self, states: IntArray) -> IntArray:
        """Position of each state in ``growth.rows``, int64 (n,)."""
        return np.searchsorted(self._keys, row_keys(states))

    # ------------------------------------------------------------------ the contract

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

    def log_reward(self, states: IntArray) -> FloatArray:
        if callable(self._function):
            graphs = [self.to_networkx(state) for state in states]
            if isinstance(self._function, Oracle):  # An oracle takes all objects of a batch, with their names.
                rewards = self._function(graphs, self.object_names(states)).tolist()
            else:
                rewards = list(map(self._function, graphs))
            return checked_log_reward(rewards, states, "Graph", self.object_names)
        colors = states[:, : self.max_nodes].astype(np.int64)
        return SCORES[self._function](colors, adjacency(states[:, :-1], self.max_nodes)) / self.temperature

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if callable(self.arguments["reward"]):
            self._function = wrap(self.arguments["reward"], False)
        else:
            super().wrap_reward(wrap)

    def encode(self, states: IntArray) -> FloatArray:
        k = self.max_nodes
        colors = states[:, :k, None] == 1 + np.arange(self.num_colors)
        degrees = adjacency(states[:, :-1], k).sum(2)[:, :, None] == 1 + np.arange(k - 1)
        vertices = np.concatenate([colors, degrees], axis=2).reshape(len(states), k * (self.num_colors + k - 1))
        return np.concatenate([vertices, states[:, k:-1]], axis=1, dtype=np.float32)

    def observe(self, states: IntArray) -> IntArray:
        return states[:, :-1].astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        result = np.zeros(len(states))
        begun = states.any(1)
        result[begun] = self.log_reward(states[begun])
        return result

    def tokens(self, states: IntArray) -> IntArray:
        """The row without the last entry, int64 (n, num_positions)."""
        return self.observe(states)

    def to_networkx(self, state: IntArray) -> Any:
        """The ``networkx.Graph`` of one state; node attribute ``color`` is 0 or 1."""
        graph, row = import_networkx("Graph.to_networkx").Graph(), state.tolist()
        graph.add_nodes_from((i, {"color": row[i] - 1}) for i in range(self.max_nodes) if row[i])
        graph.add_edges_from(self._edges(state))
        return graph

    # ------------------------------------------------------------------ labels and rendering

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
        palette = np.array([[255, 255, 255], [31, 119, 180], [255, 127, 14]], dtype=np.uint8)
        return node_link(
            adjacency(state[None, :-1], self.max_nodes)[0], palette[state[: self.max_nodes]], bool(state[-1])
        )
