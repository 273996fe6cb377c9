"""Graphs whose nodes are names of columns: NetworkX digraphs, and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.graphs.read_graph import import_networkx


def to_digraph(edges: BoolArray, names: Sequence[str]) -> Any:
    """The ``networkx.DiGraph`` of an adjacency matrix (d, d)."""
    graph = import_networkx("BayesNet.to_digraphs").DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((names[i], names[j]) for i, j in np.argwhere(edges))
    return graph


def from_digraphs(graphs: Sequence[Any], names: Sequence[str], max_parents: int) -> IntArray:
    """Parents of each node in NetworkX digraphs, as masks, int64 (n, d).

    Raises:
        ValueError: a graph has an unknown node, a cycle, or too many parents; the message names it.
    """
    d = len(names)
    parents = np.zeros((len(graphs), d), dtype=np.int64)
    index = {name: j for j, name in enumerate(names)}
    for g, (row, graph) in enumerate(zip(parents, graphs, strict=True)):
        if unknown := [node for node in graph.nodes if node not in index]:
            raise ValueError(f"BayesNet: graph {g} has the node {unknown[0]!r}; allowed: {', '.join(names)}")
        for parent, child in graph.edges:
            row[index[child]] |= 1 << index[parent]
    most_parents = digraphs.unpack(parents, d).sum(2).max(1)
    for problem, wrong in [
        ("has a cycle", (digraphs.ancestors(parents) & (1 << np.arange(d))).any(1)),
        (f"has a node with more than {max_parents} parents", most_parents > max_parents),
    ]:
        if wrong.any():
            raise ValueError(f"BayesNet: graph {int(np.argmax(wrong))} {problem}")
    return parents


def edge_texts(edges: BoolArray, names: Sequence[str]) -> list[str]:
    """Edges of graphs (n, d, d), such as ``a -> b, b - c``; the latter if b -> c and c -> b are both True."""
    return [
        ", ".join(
            f"{names[i]} {'-' if graph[j, i] else '->'} {names[j]}"
            for i, j in np.argwhere(graph)
            if i < j or not graph[j, i]
        )
        or "(no edges)"
        for graph in edges
    ]
