"""IndependentSet: sets of vertices of a graph without an edge between them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.graphs.vertex_set import VertexSet
from gfn_envs.validation import shown

#: Independent sets are counted up to this number.
MOST_COUNTED = 2**20


class IndependentSet(VertexSet):
    """Choose vertices of a graph with no edge between them; the reward favors large sets.

    ## Description
    A state is an independent set of vertices: no two of them are adjacent. With ``maximal``, objects are the maximal
    independent sets, to which no vertex can be added; the largest of them is the maximum independent set of the graph.

    ## Action Space
    ``Discrete(n)``: add vertex i, legal unless it is in the set or adjacent to a vertex in the set. If ``maximal`` is
    False, one more action stops; it is always legal.

    ## Backward actions
    In the same order: remove vertex i, or undo the stop.

    ## Observation Space
    ``MultiDiscrete([2] * n)``: 1 for the vertices in the set. The network features are the same.

    ## Starting State
    The empty set.

    ## Rewards
    R(x) = exp(size / temperature), where size is the sum of the weights of the vertices in x, each 1 unless the graph
    gives weights. The intermediate log reward is the same formula.

    ## Episode End
    When no vertex can be added (``maximal``), or at the stop action.

    ## Number of states
    One per independent set, or two with a stop action. They are counted if there are at most 2^20 independent sets.

    ## Arguments
    * ``graph``: the path of a file (list of edges, GraphML, GML, GEXF), a ``networkx.Graph``, or a list of edges
      (u, v). Node attribute ``weight``: weight of a vertex. None draws a random graph.
    * ``num_vertices``: number of vertices of the random graph; None: 20, or that of ``graph``.
    * ``edge_probability``: probability of each edge of the random graph.
    * ``maximal``: whether objects are the maximal independent sets only.
    * ``temperature``: T > 0.
    * ``seed``: seed of the random graph.

    ## References
    Zhang et al. 2023, Let the Flows Tell: Solving Graph Combinatorial Optimization Problems with GFlowNets

    ## Version History
    * v0: initial version.
    """

    default_vertices = 20

    def __init__(
        self,
        graph: str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any] | None = None,  # or a NetworkX graph
        num_vertices: int | None = None,
        edge_probability: float = 0.2,
        maximal: bool = True,
        temperature: float = 1.0,
        seed: int = 0,
    ):
        if not isinstance(maximal, bool | np.bool_):
            raise ValueError(f"IndependentSet: maximal must be True or False, got {shown(maximal)}")
        super().__init__(graph, num_vertices, edge_probability, temperature, seed, stops=not maximal)
        self.arguments = {**self.arguments, "maximal": bool(maximal)}
        if (self.graph.weights[self.graph.adjacent] != 1).any():
            raise ValueError(
                "IndependentSet: the edges of the graph have weights, which have no meaning here; allowed: "
                "weights of vertices (node attribute weight)"
            )
        sets = self._listed()
        self.max_length_is_bound = sets is None
        if sets is not None:
            self.max_length = int(sets.sum(1).max()) + (not maximal)
            self.declared_num_states = len(sets) * (1 if maximal else 2)
            self.declared_num_terminal_states = int((~self.addable(sets).any(1)).sum()) if maximal else len(sets)

    def _listed(self) -> IntArray | None:
        """Every independent set, int8 (m, n), vertex by vertex; None if there are more than ``MOST_COUNTED``."""
        sets = np.zeros((1, self.num_items), dtype=np.int8)
        for vertex, neighbors in enumerate(self.graph.adjacent):
            with_vertex = sets[~sets[:, neighbors].any(1)]
            if len(sets) + len(with_vertex) > MOST_COUNTED:
                return None
            with_vertex[:, vertex] = 1
            sets = np.concatenate([sets, with_vertex])
        return sets

    def addable(self, sets: IntArray) -> BoolArray:
        taken = sets @ self._adjacency + sets
        return np.equal(taken, 0)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return np.einsum("ni,i->n", self.sets(states), self.graph.vertex_weights / self.temperature)
