"""Alignments that evolve along a random tree."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import IntArray


def simulate_alignment(
    num_taxa: int, num_sites: int, mutation_probability: float, rng: np.random.Generator
) -> dict[str, str]:
    """Sequences at the leaves of a random tree, under the model of Jukes and Cantor 1969.

    The tree is built by splitting random leaves until there are ``num_taxa``. On each edge, a site changes to another
    nucleotide with probability ``mutation_probability``.
    """
    leaves = [rng.integers(4, size=num_sites)]

    def mutated(sequence: IntArray) -> IntArray:
        change = rng.random(num_sites) < mutation_probability
        return np.where(change, (sequence + rng.integers(1, 4, size=num_sites)) % 4, sequence)

    while len(leaves) < num_taxa:
        parent = leaves.pop(int(rng.integers(len(leaves))))
        leaves += [mutated(parent), mutated(parent)]
    order = rng.permutation(num_taxa)
    return {f"taxon{i}": "".join("ACGT"[k] for k in leaves[place]) for i, place in enumerate(order)}
