"""VertexSet: base class of environments whose objects are sets of vertices of a graph that the user gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import IntArray
from gfn_envs.envs.graphs.drawing import node_link
from gfn_envs.envs.graphs.read_graph import import_networkx, random_graph, read_graph
from gfn_envs.envs.sets.subset import Subset
from gfn_envs.graph_layout import GraphLayout, NodeActions
from gfn_envs.validation import check_size, checked_seed, positive, positive_int, real


class VertexSet(Subset):
    """Sets of vertices of a graph, built one vertex at a time. The items are all vertices but the first ``fixed``.

    Args:
        graph, num_vertices, edge_probability, temperature, seed: as in the subclasses.
        stops: whether sets end by a stop action.
        fixed: number of vertices, the first ones, that are never in the set.
    """

    #: Number of vertices of the random graph if none is given.
    default_vertices = 12

    def __init__(
        self,
        graph: Any,
        num_vertices: int | None,
        edge_probability: float,
        temperature: float,
        seed: int,
        stops: bool,
        fixed: int = 0,
    ):
        where = type(self).__name__
        self.temperature, seed = positive("temperature", temperature, where), checked_seed(seed, where)
        edge_probability = real("edge_probability", edge_probability, where, at_least=0)
        if edge_probability > 1:
            raise ValueError(f"{where}: edge_probability must be from 0 to 1, got {edge_probability:g}")
        if num_vertices is not None:
            num_vertices = positive_int("num_vertices", num_vertices, where, at_least=2)
            check_size("num_vertices", num_vertices**2, where)
        if graph is None:
            self.graph = random_graph(num_vertices or self.default_vertices, edge_probability, seed)
        else:
            self.graph = read_graph(graph, where)
            if num_vertices not in (None, len(self.graph.names)):
                given = f"num_vertices = {num_vertices} and a graph of {len(self.graph.names)}"
                raise ValueError(f"{where}: the graph must have num_vertices vertices, got {given}")
        keep = graph is None or isinstance(graph, str)
        self.arguments = {
            "graph": graph if keep else str(graph) if hasattr(graph, "__fspath__") else self.graph.as_argument,
            "num_vertices": num_vertices,
            "edge_probability": edge_probability,
            "temperature": self.temperature,
            "seed": seed,
        }
        self.fixed = fixed
        super().__init__(self.graph.names[fixed:], stops, len(self.graph.names) - fixed)
        self._adjacency = self.graph.adjacent.astype(np.int64)
        if (self.graph.weights[self.graph.adjacent] == 1).all() and (self.graph.vertex_weights == 1).all():
            on_items = NodeActions(1, fixed + np.arange(self.num_items))
            self.graph_layout = GraphLayout(len(self.graph.names), 4, 2, on_items, on_items)

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """The graph. Vertices have the label 1, or 2 if they are in the set; the ``fixed`` ones have the label 3."""
        if self.graph_layout is None:
            raise NotImplementedError(f"{type(self).__name__}: relations of labeled graphs have no weights")
        graphs = np.repeat(self._adjacency[None], len(states), axis=0)
        labels = np.full((len(states), len(self._adjacency)), 3, dtype=np.int64)
        labels[:, self.fixed :] = 1 + self.sets(states)
        np.einsum("nii->ni", graphs)[:] = labels
        return graphs

    def to_networkx(self, state: IntArray) -> Any:
        """The ``networkx.Graph`` with the node attribute ``selected``, True for the vertices in the set of one state.

        Raises:
            ImportError: NetworkX is not installed.
        """
        result = import_networkx(f"{type(self).__name__}.to_networkx").Graph()
        selected = np.append(np.zeros(self.fixed, dtype=bool), state[: self.num_items] != 0)
        for name, weight, chosen in zip(self.graph.names, self.graph.vertex_weights, selected, strict=True):
            result.add_node(name, weight=float(weight), selected=bool(chosen))
        for u, v in np.argwhere(np.triu(self.graph.adjacent)):
            result.add_edge(self.graph.names[u], self.graph.names[v], weight=float(self.graph.weights[u, v]))
        return result

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The vertices on a circle, blue if they are in the set, else gray. A red frame marks a finished set."""
        colors = np.tile(rendering.GREY, (len(self.graph.names), 1))
        colors[self.fixed :][state[: self.num_items] != 0] = rendering.BLUE
        return node_link(self.graph.adjacent, colors, finished=bool(self.is_terminal(state[None])[0]))
