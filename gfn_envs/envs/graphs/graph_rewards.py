"""Scores of small graphs with one or two colors: the rewards of Atanackovic and Bengio 2025, as log R.

Each function takes the colors of the vertices plus 1, int (n, k), 0 for an absent vertex, and adjacency matrices, int
(n, k, k), and returns float64 (n,). The formulas are those of the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


def constant(colors: IntArray, edges: IntArray) -> FloatArray:
    """0: all graphs are equally likely."""
    return np.zeros(len(colors))


def count(colors: IntArray, edges: IntArray) -> FloatArray:
    """-10 / 4 abs(n_0 + n_1 / 2 - 3), where n_c is the number of vertices of color c."""
    return -2.5 * np.abs((colors == 1).sum(1) + (colors == 2).sum(1) / 2 - 3)


def neighbors(colors: IntArray, edges: IntArray) -> FloatArray:
    """10 / 7 (number of vertices with an even number > 0 of neighbors of the other color - n); -50 / 7 if n <= 3."""
    other = (edges * (colors[:, :, None] != colors[:, None, :])).sum(2)
    size = (colors > 0).sum(1)
    correct = ((other > 0) & (other % 2 == 0)).sum(1)
    return np.where(size > 3, correct - size, -5) * 10 / 7


def cliques(colors: IntArray, edges: IntArray) -> FloatArray:
    """At least -10: n - 1 - (sum of the sizes of all maximal cliques) + (number of those of size 4).

    A maximal clique of size 4 counts 1 if three of its vertices or more have one color, else 1 / 2.
    """
    k = colors.shape[1]
    near = edges @ (1 << np.arange(k))  # the neighbors of each vertex, as bits
    color = [(colors == c) @ (1 << np.arange(k)) for c in (1, 2)]
    present = color[0] | color[1]
    total = (colors > 0).sum(1) - 1.0
    ones = np.array([subset.bit_count() for subset in range(2**k)])
    # common[S]: the neighbors that all vertices of S share. S is a clique if each of its vertices is near the others.
    common, is_clique = [present], [np.ones(len(colors), dtype=bool)]
    for subset in range(1, 2**k):
        low = (subset & -subset).bit_length() - 1
        rest = subset & (subset - 1)
        common.append(common[rest] & near[:, low])
        is_clique.append(is_clique[rest] & (near[:, low] & rest == rest) & (present >> low & 1 == 1))
        maximal = is_clique[subset] & (common[subset] == 0)
        total -= maximal * ones[subset]
        if ones[subset] == 4:
            alike = np.maximum(ones[color[0] & subset], ones[color[1] & subset]) >= 3
            total += maximal * np.where(alike, 1.0, 0.5)
    return np.maximum(total, -10.0)


SCORES: dict[str, Callable[[IntArray, IntArray], FloatArray]] = {
    "count": count,
    "neighbors": neighbors,
    "cliques": cliques,
    "constant": constant,
}
