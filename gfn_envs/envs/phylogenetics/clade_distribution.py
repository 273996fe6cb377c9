"""Distributions of trees in which each clade splits independently of the rest of the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from gfn_envs.arrays import FloatArray

#: A clade of two or more taxa as bits, and the one of its two parts that has its first taxon.
Split = tuple[int, int]


class CladeDistribution:
    """P(tree) = product over clades of P(split | clade) (Hoehna and Drummond 2012; Larget 2013).

    It is fitted to weighted trees, and gives probabilities to all trees of their splits, also to those that combine
    parts of several trees.

    Args:
        trees: the splits of each tree, all of the same taxa.
        weights: weight of each tree. Trees of weight 0 take no part.

    Raises:
        ValueError: no weight is positive, or one is negative or not finite.
    """

    def __init__(self, trees: Iterable[Sequence[Split]], weights: Iterable[float]):
        counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        for splits, weight in zip(trees, weights, strict=True):
            if not 0 <= weight < np.inf:
                raise ValueError(f"CladeDistribution: weights must be finite and >= 0, got {weight}")
            for clade, part in splits if weight > 0 else ():
                counts[clade][part] += weight
        if not counts:
            raise ValueError("CladeDistribution: no tree has a weight > 0")
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
