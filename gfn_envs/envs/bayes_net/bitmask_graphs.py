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


def features(parents: IntArray) -> dict[str, BoolArray]:
    """Binary features of graphs (n, d), each bool (n, d, d).

    ``edge``: i -> j is an edge. ``path``: a directed path leads from i to j. ``markov_blanket``: i is a parent of j, a
    child of j, or another parent of a child of j.
    """
    d = parents.shape[1]
    edge = adjacency(parents)
    shared = np.einsum("nik,njk->nij", edge.astype(np.float32), edge.astype(np.float32)) > 0
    blanket = (edge | edge.transpose(0, 2, 1) | shared) & ~np.eye(d, dtype=bool)
    return {"edge": edge, "path": adjacency(ancestors(parents)), "markov_blanket": blanket}


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
