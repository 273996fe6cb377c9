"""Distributions of trees in which each clade splits independently of the rest of the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gfn_envs.arrays import FloatArray

#: A clade of two or more taxa as bits, and the one of its two parts that has its first taxon.
Split = tuple[int, int]


def count_splits(trees: Iterable[Sequence[Split]], weights: Iterable[float]) -> dict[Split, float]:
    """Total weight of each split, over trees given by their splits.

    Raises:
        ValueError: a weight is negative or not finite.
    """
    counts: dict[Split, float] = defaultdict(float)
    for splits, weight in zip(trees, weights, strict=True):
        if not 0 <= weight < np.inf:
            raise ValueError(f"count_splits: weights must be finite and >= 0, got {weight}")
        for split in splits:
            counts[split] += weight
    return counts


class CladeDistribution:
    """P(tree) = product over clades of P(split | clade) (Hoehna and Drummond 2012; Larget 2013).

    It gives probabilities to all trees of its splits, also to those that combine parts of several fitted trees.

    Args:
        weights: weight of each split, as from :func:`count_splits`. Splits of weight 0 take no part.

    Raises:
        ValueError: no weight is positive.
    """

    def __init__(self, weights: Mapping[Split, float]):
        counts: dict[int, dict[int, float]] = defaultdict(dict)
        for (clade, part), weight in weights.items():
            if weight > 0:
                counts[clade][part] = weight
        if not counts:
            raise ValueError("CladeDistribution: no split has a weight > 0")
        self.root = max(counts)
        self.parts = {clade: list(of_clade) for clade, of_clade in counts.items()}
        self.log_probs: dict[int, FloatArray] = {}
        for clade, of_clade in counts.items():
            weight_of = np.array(list(of_clade.values()))
            self.log_probs[clade] = np.log(weight_of / weight_of.sum())

    def sample(self, rng: np.random.Generator) -> tuple[list[Split], float]:
        """The splits of one tree, from the root down, and log P."""
        waiting, splits, log_prob = [self.root], [], 0.0
        while waiting:
            clade = waiting.pop()
            if clade.bit_count() > 1:
                log_probs = self.log_probs[clade]
                k = int((log_probs + rng.gumbel(size=len(log_probs))).argmax()) if len(log_probs) > 1 else 0
                part = self.parts[clade][k]
                splits.append((clade, part))
                log_prob += float(log_probs[k])
                waiting += [part, clade ^ part]
        return splits, log_prob

    def log_prob(self, splits: Iterable[Split]) -> float:
        """log P of a tree, -inf if it has another split."""
        total = 0.0
        for clade, part in splits:
            parts = self.parts.get(clade, [])
            if part not in parts:
                return -np.inf
            total += float(self.log_probs[clade][parts.index(part)])
        return total


def shares(trees: Iterable[Sequence[Split]], log_weights: FloatArray) -> dict[Split, float]:
    """:func:`count_splits` of weights that sum to 1, from their logs up to a constant."""
    weights = np.exp(log_weights - log_weights.max())
    return count_splits(trees, weights / weights.sum())


def mix(parts: Iterable[tuple[float, Mapping[Split, float]]]) -> dict[Split, float]:
    """The sum of weights of splits, each times the number before it."""
    total: dict[Split, float] = defaultdict(float)
    for factor, weights in parts:
        for split, weight in weights.items():
            total[split] += factor * weight
    return total
