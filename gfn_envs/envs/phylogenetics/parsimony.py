"""Parsimony: how many mutations a tree needs (Fitch 1971), for many forests at once."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: Bytes of nucleotide sets that are held at a time.
CHUNK_BYTES = 2**25


class Parsimony:
    """Mutations of forests, by Fitch's rule: intersect the sets of two children, or unite them and count a mutation.

    Args:
        patterns: sets of nucleotides as bits, uint8 (taxa, patterns).
        weights: how often each pattern occurs, float64 (patterns,).
    """

    def __init__(self, patterns: IntArray, weights: FloatArray):
        self.patterns, self.weights = patterns, weights

    def __call__(self, into: IntArray, merged: IntArray) -> FloatArray:
        """Mutations, float64 (n,).

        Args:
            into: merges in any order from the leaves up, int64 (n, m): tree ``merged`` joins tree ``into``, each named
                by one of its leaves, which the joint tree keeps; both -1 where there is none.
            merged: see ``into``.
        """
        size = max(1, CHUNK_BYTES // max(1, self.patterns.size))
        starts = range(0, len(into), size)
        parts = [self._mutations(into[s : s + size], merged[s : s + size]) for s in starts]
        return np.concatenate([*parts, np.zeros(0)])

    def _mutations(self, into: IntArray, merged: IntArray) -> FloatArray:
        """A batch's forests have many trees in common, those of one trajectory nearly all: each is computed once."""
        rows, none = np.arange(len(into)), len(self.patterns)
        joins = int((into >= 0).sum(1).max(initial=0))
        # Trees are numbered: the taxa, then one without mutations for joins that are not there, then what is joined.
        size = none + 1 + len(into) * joins
        sets, mutations = np.empty((size, self.patterns.shape[1]), dtype=self.patterns.dtype), np.zeros(size)
        sets[:none], sets[none] = self.patterns, np.iinfo(sets.dtype).max
        number_of = {none * size + none: none}
        tree = np.tile(np.arange(none + 1), (len(into), 1))
        total, count = np.zeros(len(into)), none + 1
        for k in range(joins):
            pairs, which = np.unique(tree[rows, into[:, k]] * size + tree[rows, merged[:, k]], return_inverse=True)
            new = [pair for pair in pairs.tolist() if pair not in number_of]
            end = count + len(new)
            number_of.update(zip(new, range(count, end), strict=True))
            left, right = (sets.take(side, axis=0) for side in np.divmod(np.array(new, dtype=np.int64), size))
            common = left & right
            differ = common == 0
            # All bits of a site where it differs, none elsewhere: a choice with np.where takes 20 times as long.
            sets[count:end] = common | (left | right) & np.negative(differ.view(np.uint8))
            # Whole numbers, so their sum is the same in any order.
            mutations[count:end] = differ @ self.weights
            number = np.array([number_of[pair] for pair in pairs.tolist()]).take(which)
            total += mutations[number]
            tree[rows, into[:, k]] = number
            count = end
        return total

    def greedy(self) -> list[tuple[int, int]]:
        """Merges of the tree that joins the two trees which need the fewest new mutations, again and again."""
        sets = dict(enumerate(self.patterns))
        cost = {(i, j): self._cost(sets[i], sets[j]) for j in sets for i in range(j)}
        merges = []
        while cost:
            i, j = min(cost, key=lambda pair: (cost[pair], pair))
            merges.append((i, j))
            left, right = sets[i], sets.pop(j)
            sets[i] = np.where(left & right, left & right, left | right)
            cost = {pair: value for pair, value in cost.items() if j not in pair}
            cost |= {(min(i, k), max(i, k)): self._cost(sets[i], sets[k]) for k in sets if k != i}
        return merges

    def _cost(self, left: IntArray, right: IntArray) -> float:
        return float((left & right == 0) @ self.weights)
