"""Rows of integers that are forests: joins, subtrees and clades.

A row (2 (n - 1),) for n taxa has two entries for each taxon j = 1..n - 1: the label of the tree that tree j joined,
plus 1, or 0 if j is still a label; and k if tree j was the k-th to join that tree, or 0. See :class:`PhyloTree`.
"""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray


def num_taxa(states: IntArray) -> int:
    """Number of taxa of the forests (n, 2 (num_taxa - 1))."""
    return int(states.shape[1]) // 2 + 1


def num_joins(states: IntArray) -> IntArray:
    """Number of joins of each forest, int64 (n,)."""
    joins: IntArray = (states[:, : num_taxa(states) - 1] != 0).sum(1)
    return joins


def joined(states: IntArray) -> tuple[IntArray, IntArray]:
    """The tree that each taxon but the first joined, or -1, and its rank among those, int64 (n, num_taxa - 1)."""
    half = num_taxa(states) - 1
    return states[:, :half].astype(np.int64) - 1, states[:, half:].astype(np.int64)


def is_label(states: IntArray) -> BoolArray:
    """True if a taxon is the label of a tree, bool (n, num_taxa)."""
    return np.pad(states[:, : num_taxa(states) - 1] == 0, ((0, 0), (1, 0)), constant_values=True)


def num_joined(states: IntArray, label: IntArray) -> IntArray:
    """Number of trees that have joined the tree ``label`` (n,)."""
    found: IntArray = (states[:, : num_taxa(states) - 1] == label[:, None] + 1).sum(1)
    return found


def last_joined(states: IntArray, label: IntArray) -> IntArray:
    """The taxon that joined the tree ``label`` (n,) last. It stands for the root of that tree."""
    into, rank = joined(states)
    return np.where(into == label[:, None], rank, 0).argmax(1) + 1


def merges(states: IntArray) -> tuple[IntArray, IntArray]:
    """Joins of each state from the leaves up: tree ``merged`` joins tree ``into``; -1 after the last join.

    A tree that joins i has a label larger than i, so joins into larger labels come first.

    Returns:
        ``(into, merged)``, each int64 (n, num_taxa - 1).
    """
    into, rank = joined(states)
    order = np.lexsort((rank, -into), axis=1)
    into = np.take_along_axis(into, order, axis=1)
    return into, np.where(into >= 0, order + 1, -1)


def subtrees(states: IntArray) -> tuple[BoolArray, BoolArray]:
    """Taxa of the two trees of each join, from the leaves up, two arrays bool (n, joins, num_taxa).

    ``joins`` is the largest number of joins of a state. Absent joins have no taxa.
    """
    taxa = num_taxa(states)
    into, merged = merges(states)
    joins = int((into >= 0).sum(1).max(initial=0))
    # Absent joins, which are -1, refer to an additional tree without taxa at the last index.
    trees = np.zeros((len(states), taxa + 1, taxa), dtype=bool)
    trees[:, :-1] = np.eye(taxa, dtype=bool)
    left, right = np.empty((2, len(states), joins, taxa), dtype=bool)
    start = np.arange(len(states)) * (taxa + 1)
    into, merged = (start[:, None] + side[:, :joins] % (taxa + 1) for side in (into, merged))
    members = trees.reshape(-1, taxa)
    for k in range(joins):
        left[:, k], right[:, k] = members.take(into[:, k], axis=0), members.take(merged[:, k], axis=0)
        members[into[:, k]] = left[:, k] | right[:, k]
    return left, right


def clades(states: IntArray) -> IntArray:
    """The taxa below each inner node as bytes, (n, num_taxa - 1); empty for absent nodes."""
    taxa = num_taxa(states)
    width = -(-taxa // 8)
    found = np.zeros((len(states), taxa - 1, width), dtype=np.uint8)
    left, right = subtrees(states)
    found[:, : left.shape[1]] = np.packbits(left | right, axis=2)
    return found.view(f"S{width}")[..., 0]
