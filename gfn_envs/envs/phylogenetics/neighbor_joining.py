"""Neighbor joining, and distances of sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.phylogenetics.nested_trees import Tree, pair


def neighbor_joining(distances: FloatArray) -> Tree:
    """The tree of n taxa from their distances (n, n) (Saitou and Nei 1987)."""
    d, trees = distances.copy(), list(range(len(distances)))
    while len(trees) > 3:
        total = d.sum(1)
        q = (len(d) - 2) * d - total[:, None] - total
        # The last taxon stays alone, which the choice of pairs allows: it is one of at least four.
        q[-1] = q[:, -1] = np.inf
        np.fill_diagonal(q, np.inf)
        i, j = sorted(divmod(int(q.argmin()), len(d)))
        d[i] = d[:, i] = (d[i] + d[j] - d[i, j]) / 2
        d[i, i] = 0.0
        trees[i] = pair(trees[i], trees[j])
        del trees[j]
        d = np.delete(np.delete(d, j, 0), j, 1)
    return pair(trees[0], trees[1])


def jukes_cantor_distances(sequences: Sequence[str]) -> FloatArray:
    """Distances (n, n) under JC69 from the sites that are known in both sequences, at most 2.03."""
    letters = np.array([list(sequence.upper()) for sequence in sequences])
    known = np.isin(letters, list("ACGT"))
    both = known[:, None] & known
    different = ((letters[:, None] != letters) & both).sum(2) / np.maximum(both.sum(2), 1)
    return np.asarray(-0.75 * np.log(1 - 4 / 3 * np.minimum(different, 0.7)))
