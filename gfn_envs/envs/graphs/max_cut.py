"""MaxCut: partitions of the vertices of a graph into two sides."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.closed_levels import ProductLevels, product_levels
from gfn_envs.envs.graphs.vertex_set import VertexSet


class MaxCut(VertexSet):
    """Split the vertices of a graph into two sides; the reward favors many edges between them.

    ## Description
    A state is the set of vertices on the second side; all others are on the first. The first vertex stays on the first
    side, so that a cut and its mirror image are one object.

    ## Action Space
    ``Discrete(n)`` for a graph of n vertices: action i < n - 1 moves vertex i + 1 to the second side, and the last
    action stops. Stopping is always legal.

    ## Backward actions
    In the same order: move a vertex back, or undo the stop.

    ## Observation Space
    ``MultiDiscrete([2] * (n - 1))``: the side of each vertex but the first. The network features are the same.

    ## Starting State
    All vertices are on the first side.

    ## Rewards
    R(x) = exp(cut / temperature), where cut is the sum of the weights of the edges between the two sides, each 1 unless
    the graph gives weights. The intermediate log reward is the same formula.

    ## Episode End
    At the stop action.

    ## Number of states
    2^n; 2^(n - 1) objects.

    ## Arguments
    * ``graph``: the path of a file (list of edges, GraphML, GML, GEXF), a ``networkx.Graph``, or a list of edges
      (u, v) or (u, v, weight). Edge attribute ``weight``: weight of an edge. None draws a random graph.
    * ``num_vertices``: number of vertices of the random graph; None: 12, or that of ``graph``.
    * ``edge_probability``: probability of each edge of the random graph.
    * ``temperature``: T > 0.
    * ``seed``: seed of the random graph.

    ## References
    Zhang et al. 2023, Let the Flows Tell: Solving Graph Combinatorial Optimization Problems with GFlowNets

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        graph: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any] | None = None,  # or a NetworkX graph
        num_vertices: int | None = None,
        edge_probability: float = 0.4,
        temperature: float = 2.0,
        seed: int = 0,
    ):
        super().__init__(graph, num_vertices, edge_probability, temperature, seed, stops=True, fixed=1)
        if (self.graph.vertex_weights != 1).any():
            raise ValueError(
                "MaxCut: the vertices of the graph have weights, which have no meaning here; allowed: weights of edges "
                "(edge attribute weight)"
            )
        self.declared_num_states = 2 ** (self.num_items + 1)
        self.declared_num_terminal_states = 2**self.num_items

    @functools.cached_property
    def closed_levels(self) -> ProductLevels | None:  # type: ignore[override]
        """The level of a state is the sum of its row: one step adds a vertex, or sets the flag."""
        return product_levels([range(2)] * self.state_width, self.state_dtype)

    def addable(self, sets: IntArray) -> BoolArray:
        return np.equal(sets, 0)

    def cut(self, states: IntArray) -> FloatArray:
        """Total weight of the edges between the two sides, float64 (n,)."""
        sides = np.concatenate([np.zeros((len(states), 1)), self.sets(states)], axis=1)
        return np.einsum("ni,ij,nj->n", sides, self.graph.weights, 1 - sides, optimize=False)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return self.cut(states) / self.temperature
