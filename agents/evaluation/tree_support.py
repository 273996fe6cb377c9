"""Support of clades among weighted trees, and the majority-rule consensus (Margush and McMorris 1981)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray


class CladeSupport(NamedTuple):
    """Distinct clades, most support first, then the smaller ones.

    Attributes:
        members: the taxa of each clade, bool (k, num_taxa).
        support: share of the trees that have the clade, float64 (k,).
    """

    members: BoolArray
    support: FloatArray


def clade_support(clades: BoolArray, weights: FloatArray) -> CladeSupport:
    """The support of every clade of some trees.

    With one tree per sample and equal weights it is a frequency; with all trees and their probabilities it is exact.

    Args:
        clades: the clades of each tree, bool (n, m, num_taxa); see ``Dag.clades``.
        weights: weights of the trees, >= 0, float64 (n,).

    Raises:
        ValueError: no trees, or weights that are negative or add up to 0.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not len(weights) or weights.min() < 0 or not weights.sum() > 0:
        raise ValueError(f"support needs trees with weights >= 0 that do not add up to 0, got {len(weights)} trees")
    n, m, taxa = clades.shape
    packed = np.packbits(clades.reshape(n * m, taxa), axis=1)
    _, first, inverse = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    support = np.bincount(inverse.ravel(), weights=np.repeat(weights, m), minlength=len(first)) / weights.sum()
    members = clades.reshape(n * m, taxa)[first]
    order = np.lexsort((members.sum(1), -support))
    return CladeSupport(members[order], np.minimum(support[order], 1.0))


def majority_rule(found: CladeSupport, threshold: float = 0.5) -> CladeSupport:
    """The clades with more support than ``threshold``. They fit on one tree if it is at least 0.5.

    Raises:
        ValueError: the threshold is not in [0.5, 1).
    """
    if not 0.5 <= threshold < 1:
        raise ValueError(f"the threshold of a majority-rule consensus must be in [0.5, 1), got {threshold!r}")
    chosen = found.support > threshold + 1e-12
    return CladeSupport(found.members[chosen], found.support[chosen])


def support_of(members: BoolArray, found: CladeSupport) -> FloatArray:
    """The support of some clades (k, num_taxa) in another list, float64 (k,); 0 for clades that are not in it."""
    known = dict(zip(map(bytes, np.packbits(found.members, axis=1)), found.support.tolist(), strict=True))
    return np.array([known.get(bytes(key), 0.0) for key in np.packbits(members, axis=1)])


def consensus_newick(labels: list[str], found: CladeSupport, digits: int = 3) -> str:
    """A tree with the given clades in Newick notation, with the support of each as the label of its node.

    Args:
        labels: the taxa, as Newick writes them.
        found: clades that fit on one tree, for example those of :func:`majority_rule`.
        digits: digits of the support.
    """
    sizes = found.members.sum(1)
    order = np.argsort(sizes, kind="stable")
    # From small clades to large ones: the subtrees that are not yet part of a larger one, by one of their taxa.
    subtrees = dict(enumerate(labels))
    for clade in order.tolist():
        inside = [taxon for taxon in np.flatnonzero(found.members[clade]).tolist() if taxon in subtrees]
        joined = ",".join(subtrees.pop(taxon) for taxon in inside)
        subtrees[inside[0]] = f"({joined}){found.support[clade]:.{digits}f}"
    return f"({','.join(subtrees[taxon] for taxon in sorted(subtrees))});"
