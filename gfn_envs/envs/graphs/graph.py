"""Graph: connected graphs with colored vertices, up to isomorphism."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.callable_reward import callable_reward
from gfn_envs.envs.graphs.colored_graphs import ColoredGraphs
from gfn_envs.envs.graphs.graph_classes import adjacency
from gfn_envs.envs.graphs.graph_rewards import SCORES
from gfn_envs.oracle import Oracle
from gfn_envs.validation import checked_log_reward, positive, positive_int, shown


class Graph(ColoredGraphs):
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

    def __init__(
        self,
        max_nodes: int = 6,
        num_colors: int = 2,
        reward: str | Callable[[Any], float] = "count",
        temperature: float = 1.0,
    ):
        max_nodes = positive_int("max_nodes", max_nodes, "Graph", at_most=7)
        num_colors = positive_int("num_colors", num_colors, "Graph", at_most=2)
        self.temperature, self._function = positive("temperature", temperature, "Graph"), reward
        if not isinstance(reward, str) and callable(reward):
            callable_reward(reward, self, self.temperature, "a networkx.Graph")
        elif not isinstance(reward, str) or reward not in SCORES:
            raise ValueError(f"Graph: unknown reward {shown(reward)}; allowed: {', '.join(SCORES)}, or a callable")
        self.arguments = {"max_nodes": max_nodes, "num_colors": num_colors, "reward": reward}
        self.arguments |= {"temperature": self.temperature}
        super().__init__(max_nodes, num_colors)

    def log_reward(self, states: IntArray) -> FloatArray:
        if not callable(self._function):
            colors = states[:, : self.max_nodes].astype(np.int64)
            return SCORES[self._function](colors, adjacency(states[:, :-1], self.max_nodes)) / self.temperature
        graphs = [self.to_networkx(state) for state in states]
        if isinstance(self._function, Oracle):  # An oracle takes all objects of a batch, with their names.
            rewards = self._function(graphs, self.object_names(states)).tolist()
        else:
            rewards = list(map(self._function, graphs))
        return checked_log_reward(rewards, states, "Graph", self.object_names)

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if callable(self.arguments["reward"]):
            self._function = wrap(self.arguments["reward"], False)
        else:
            super().wrap_reward(wrap)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        result, begun = np.zeros(len(states)), states.any(1)
        result[begun] = self.log_reward(states[begun])
        return result
