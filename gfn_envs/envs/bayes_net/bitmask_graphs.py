"""Directed graphs on at most 62 nodes as integers: bit i of integer j is 1 if i is a parent of j."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray


def unpack(masks: IntArray, size: int) -> BoolArray:
    """Bits 0..size - 1 of int64 masks (...), bool (..., size)."""
    masks = np.ascontiguousarray(masks, dtype="<i8")
    octets = masks.view(np.uint8).reshape(*masks.shape, 8)
    return np.unpackbits(octets, axis=-1, count=size, bitorder="little").view(bool)


def pack(bits: BoolArray) -> IntArray:
    """The inverse of :func:`unpack`: bool (..., size) to int64 (...)."""
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[-1], dtype=np.int64))


def adjacency(parents: IntArray) -> BoolArray:
    """Adjacency matrices of graphs (n, d), bool (n, d, d): True at [n, i, j] if graph n has the edge i -> j."""
    return unpack(parents, parents.shape[1]).transpose(0, 2, 1)


def ancestors(parents: IntArray) -> IntArray:
    """Ancestors of each node as masks, int64 (n, d), by Warshall's algorithm."""
    reached = parents.copy()
    for k in range(parents.shape[1]):
        # The negative of bit k has all bits set if k is an ancestor; then the ancestors of k are ancestors too.
        reached |= -(reached >> k & 1) & reached[:, k, None]
    return reached


def blankets(parents: IntArray) -> IntArray:
    """The Markov blanket of each node as masks, int64 (n, d): its parents, its children, and their other parents."""
    d = parents.shape[1]
    found = parents.copy()
    for child in range(d):
        # All bits are set if it is a child of the node.
        is_child = -(parents[:, child, None] >> np.arange(d) & 1)
        found |= is_child & (parents[:, child, None] | 1 << child)
    return found & ~(1 << np.arange(d))


def feature_masks(parents: IntArray) -> dict[str, IntArray]:
    """Features of graphs (n, d) as masks, each int64 (n, d): bit i of [n, j] is 1 if i has the relation to j.

    ``edge``: i -> j is an edge. ``path``: a directed path leads from i to j. ``markov_blanket``: i is a parent of j, a
    child of j, or another parent of a child of j.
    """
    return {"edge": parents, "path": ancestors(parents), "markov_blanket": blankets(parents)}


def features(parents: IntArray) -> dict[str, BoolArray]:
    """:func:`feature_masks` as matrices, each bool (n, d, d)."""
    return {name: adjacency(masks) for name, masks in feature_masks(parents).items()}


def structural_hamming_distance(parents: IntArray, true_parents: Sequence[int] | IntArray) -> IntArray:
    """Number of pairs of nodes with different edges, int64 (n,), between graphs (n, d) and a true graph (d,).

    A reversed edge counts once.
    """
    found, truth = adjacency(parents), adjacency(np.asarray(true_parents, dtype=np.int64)[None])
    differ = found != truth
    return np.triu(differ | differ.transpose(0, 2, 1), 1).sum((1, 2))


def number_of_dags(d: int) -> int:
    """Number of labeled directed acyclic graphs on d nodes: 1, 3, 25, 543, 29281, ... (Robinson 1973)."""
    counts = [1]
    for n in range(1, d + 1):
        counts.append(
            sum((-1) ** (k + 1) * math.comb(n, k) * 2 ** (k * (n - k)) * counts[n - k] for k in range(1, n + 1))
        )
    return counts[d]
