"""Connected graphs with colored vertices up to isomorphism: canonical forms, and every way to grow one from another.

A graph of at most k vertices is a row of integers: the color of each vertex plus 1, or 0 for no vertex, and then 1 for
each edge, in the order of ``pairs(k)``. Isomorphic graphs have the same canonical row.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import IntArray, distinct, row_keys, unique_rows

#: Entries of the arrays that compare orders of vertices, per chunk.
CHUNK = 2**22


@functools.lru_cache
def pairs(k: int) -> IntArray:
    """The pairs i < j of k vertices, int64 (2, k (k - 1) / 2)."""
    return np.stack(np.triu_indices(k, 1))


def adjacency(rows: IntArray, k: int) -> IntArray:
    """Adjacency matrices of rows, int64 (n, k, k)."""
    out = np.zeros((len(rows), k, k), dtype=np.int64)
    i, j = pairs(k)
    out[:, i, j] = out[:, j, i] = rows[:, k:]
    return out


def canonical(rows: IntArray, k: int) -> IntArray:
    """Canonical rows (n, width) of graphs, whose vertices come first in every row.

    Vertices are sorted by an invariant: the color and a hash of the neighborhood within k steps. Ties are broken by the
    order with the smallest row.
    """
    if not len(rows):
        return rows.copy()
    unique, inverse = distinct(rows)
    colors, edges = unique[:, :k], adjacency(unique, k)
    unique_hash = _hashes(colors, edges)
    order = np.lexsort((unique_hash, -colors))  # absent vertices, of color 0, come last
    colors, unique_hash = (np.take_along_axis(each, order, 1) for each in (colors, unique_hash))
    edges = edges[np.arange(len(edges))[:, None, None], order[:, :, None], order[:, None, :]]
    tied = (colors[:, 1:] == colors[:, :-1]) & (unique_hash[:, 1:] == unique_hash[:, :-1]) & (colors[:, 1:] > 0)
    pattern = tied @ (1 << np.arange(k - 1)) if k > 1 else np.zeros(len(unique), dtype=np.int64)
    out = unique.copy()
    for which in np.unique(pattern):
        members = np.flatnonzero(pattern == which)
        orders = _orders(int(which), k)
        for part in np.array_split(members, 1 + members.size * orders.size * k // CHUNK):
            out[part, :k] = colors[part]
            out[part, k:] = _least_edges(edges[part], orders)
    return out[inverse]


def _hashes(colors: IntArray, edges: IntArray) -> IntArray:
    """A number per vertex that depends on the graph but not on the order of its vertices, int64 (n, k)."""
    value = colors.astype(np.int64) * 0x9E3779B9 + 1
    for _ in range(colors.shape[1]):
        mixed = (value ^ (value >> 29)) * 0x2545F4914F6CDD1D  # Products wrap around.
        value = value * 0x5851F42D4C957F2D + np.einsum("nij,nj->ni", edges, mixed ^ (mixed >> 32))
    return value


@functools.lru_cache(maxsize=128)
def _orders(pattern: int, k: int) -> IntArray:
    """Orders of k vertices that exchange tied neighbors only, (m, k); bit i of ``pattern``: i and i + 1 are tied."""
    cells: list[list[int]] = [[0]]
    for i in range(1, k):
        if pattern >> (i - 1) & 1:
            cells[-1].append(i)
        else:
            cells.append([i])
    choices = itertools.product(*(itertools.permutations(cell) for cell in cells))
    return np.array([[*itertools.chain(*choice)] for choice in choices])


def _least_edges(edges: IntArray, orders: IntArray) -> IntArray:
    """The edges of each graph (n, k, k) in the order that gives the least number, as bits, (n, k (k - 1) / 2)."""
    i, j = pairs(edges.shape[1])
    weights = 1 << np.arange(len(i))[::-1]
    codes = np.zeros((len(edges), len(orders)), dtype=np.int64)
    for a, b, weight in zip(i, j, weights, strict=True):
        codes += edges[:, orders[:, a], orders[:, b]] * weight
    return (codes.min(1)[:, None] // weights) % 2


class Growth(NamedTuple):
    """Every connected colored graph of at most k vertices, unfinished and finished, and the edges between these states.

    Read-only arrays. The last action finishes a graph, and the last backward action undoes it.

    Attributes:
        rows: canonical rows, and then 1 if the graph is finished, int8 (s, width + 1), sorted by
            :func:`gfn_envs.arrays.row_keys`.
        child: position of the row that each action leads to, int64 (s, actions), -1 where the action is illegal. Of
            the actions that lead to one graph, the first is legal.
        back: the backward action that undoes it, the place among the parents of the child, int64 (s, actions).
        parent, action: each parent of a graph and the action taken there, int64 (s, most parents + 1), -1 beyond them.
    """

    rows: IntArray
    child: IntArray
    back: IntArray
    parent: IntArray
    action: IntArray


def grown(rows: IntArray, k: int, colors: int) -> tuple[IntArray, IntArray, IntArray]:
    """The graphs that one step makes of ``rows`` (n, width), not canonical.

    Action i * colors + c adds a vertex of color c, joined to vertex i (the first vertex: i = 0); action k * colors + p
    adds the edge ``pairs(k)[:, p]``.

    Returns:
        ``(row, action, graphs)``, shapes (e,), (e,) and (e, width), sorted by row and action.
    """
    present = rows[:, :k] > 0
    size = present.sum(1)
    joins = present & (size < k)[:, None]
    joins[size == 0, 0] = True
    i, j = pairs(k)
    links = present[:, i] & present[:, j] & (rows[:, k:] == 0)
    row, action = np.nonzero(np.concatenate([np.repeat(joins, colors, axis=1), links], axis=1))
    graphs, each = rows[row].copy(), np.arange(len(row))
    adds = action < k * colors
    vertex, color = np.divmod(action[adds], colors)
    new = size[row[adds]]
    graphs[each[adds], new] = 1 + color
    place = np.zeros((k, k), dtype=np.int64)
    place[i, j] = place[j, i] = k + np.arange(len(i))
    joined = new > 0
    graphs[each[adds][joined], place[vertex[joined], new[joined]]] = 1
    graphs[each[~adds], k + action[~adds] - k * colors] = 1
    return row, action, graphs


@functools.lru_cache(maxsize=4)
def growth(k: int, colors: int) -> Growth:
    """:class:`Growth` of graphs of at most k vertices with ``colors`` colors. 7 and 2 take seconds, the others less."""
    num_actions = k * colors + k * (k - 1) // 2
    levels, found = [np.zeros((1, k + k * (k - 1) // 2), dtype=np.int8)], []
    while len(levels[-1]):
        row, action, graphs = grown(levels[-1], k, colors)
        children = canonical(graphs, k)
        found.append((levels[-1][row], action, children))
        levels.append(unique_rows(children))  # A graph has one more vertex or edge than its parents.
    rows = unique_rows(np.concatenate(levels))
    keys = row_keys(rows)
    source, target = (
        np.searchsorted(keys, row_keys(np.concatenate([step[which] for step in found]))) for which in (0, 2)
    )
    action = np.concatenate([step[1] for step in found])
    first = np.sort(np.unique(source * len(rows) + target, return_index=True)[1])  # the first action of each pair
    source, target, action = source[first], target[first], action[first]
    order = np.lexsort((source, target))
    source, target, action = source[order], target[order], action[order]
    rank = np.arange(len(target)) - np.searchsorted(target, target)
    # Unfinished graphs have even positions, finished ones odd positions.
    count, num_undo = len(rows), int(rank.max()) + 1
    child, back = np.full((2, 2 * count, num_actions + 1), -1)
    child[2 * source, action], back[2 * source, action] = 2 * target, rank
    child[::2, -1], back[::2, -1] = np.arange(1, 2 * count, 2), num_undo
    parent, undone = np.full((2, 2 * count, num_undo + 1), -1)
    parent[2 * target, rank], undone[2 * target, rank] = 2 * source, action
    parent[1::2, -1], undone[1::2, -1] = np.arange(0, 2 * count, 2), num_actions
    finished = np.tile(np.array([0, 1], dtype=np.int8), count)
    result = Growth(np.column_stack([np.repeat(rows, 2, axis=0), finished]), child, back, parent, undone)
    for array in result:
        array.flags.writeable = False
    return result
