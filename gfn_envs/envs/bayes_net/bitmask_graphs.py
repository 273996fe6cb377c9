"""Directed graphs on at most 62 nodes as integers: bit i of the j-th says that i is a parent of j."""

from __future__ import annotations

import math

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
    """True at [n, i, j] where graph n has the edge i -> j: (n, d) to (n, d, d)."""
    return unpack(parents, parents.shape[1]).transpose(0, 2, 1)


def ancestors(parents: IntArray) -> IntArray:
    """Who reaches each node along one edge or more, int64 (n, d), as masks. Warshall's algorithm on whole rows."""
    reached = parents.copy()
    for k in range(parents.shape[1]):
        # All ones where k is an ancestor, and then its ancestors are too.
        reached |= -(reached >> k & 1) & reached[:, k, None]
    return reached


def features(parents: IntArray) -> dict[str, BoolArray]:
    """What graphs (n, d) have in common with a posterior, each bool (n, d, d).

    ``edge``: i -> j. ``path``: a directed path leads from i to j. ``markov_blanket``: i is a parent, a child or another
    parent of a child of j.
    """
    d = parents.shape[1]
    edge = adjacency(parents)
    shared = np.einsum("nik,njk->nij", edge.astype(np.float32), edge.astype(np.float32)) > 0
    blanket = (edge | edge.transpose(0, 2, 1) | shared) & ~np.eye(d, dtype=bool)
    return {"edge": edge, "path": adjacency(ancestors(parents)), "markov_blanket": blanket}


def number_of_dags(d: int) -> int:
    """Labelled acyclic digraphs on d nodes: 1, 3, 25, 543, 29281, ... (Robinson 1973)."""
    counts = [1]
    for n in range(1, d + 1):
        counts.append(
            sum((-1) ** (k + 1) * math.comb(n, k) * 2 ** (k * (n - k)) * counts[n - k] for k in range(1, n + 1))
        )
    return counts[d]
