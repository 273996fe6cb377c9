"""Markov equivalence classes of directed acyclic graphs, as completed partially directed graphs (CPDAGs)."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray


def cpdag(edges: BoolArray) -> BoolArray:
    """CPDAGs of graphs, bool (n, d, d): [i, j] is True if i -> j is an edge of some graph in the class.

    An edge is directed if it has one direction in all graphs of the class: those of v-structures, and those that would
    otherwise make a new v-structure or a cycle (Meek 1995, rules 1 to 3).

    Args:
        edges: adjacency matrices of directed acyclic graphs, bool (n, d, d).
    """
    linked = edges | edges.transpose(0, 2, 1)
    apart = ~linked & ~np.eye(edges.shape[1], dtype=bool)
    # [i, j]: another parent k of j is not linked to i.
    directed = edges & _any(apart, edges)
    while True:
        free = linked & ~directed & ~directed.transpose(0, 2, 1)
        first = _any(directed.transpose(0, 2, 1), apart)  # k -> i - j, and k is not linked to j
        second = _any(directed, directed)  # i -> k -> j
        third = _third_rule(free, directed, apart)
        found = directed | (edges & free & (first | second | third))
        if np.array_equal(found, directed):
            return edges | (free & edges.transpose(0, 2, 1))
        directed = found


def _any(left: BoolArray, right: BoolArray) -> BoolArray:
    """True at [n, i, j] if left[n, i, k] and right[n, k, j] for some k."""
    return np.matmul(left.astype(np.float32), right.astype(np.float32)) > 0


def _third_rule(free: BoolArray, directed: BoolArray, apart: BoolArray) -> BoolArray:
    """True at [n, i, j] if i - k -> j and i - l -> j for some k and l that are not linked."""
    found = np.zeros_like(free)
    for k, l in np.argwhere(np.triu(apart.any(0), 1)):  # noqa: E741
        both = free[:, :, k] & free[:, :, l] & apart[:, k, l, None]
        found |= both[:, :, None] & (directed[:, k] & directed[:, l])[:, None, :]
    return found
