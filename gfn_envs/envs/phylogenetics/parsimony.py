"""Parsimony: the smallest number of mutations of trees (Fitch 1971), for batches of forests."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: Largest number of bytes of nucleotide sets per chunk.
CHUNK_BYTES = 2**25


class Parsimony:
    """Numbers of mutations of forests by Fitch's algorithm.

    The nucleotide set of a node is the intersection of those of its children. If that is empty, it is their union, and
    one mutation is counted.

    Args:
        patterns: sets of possible nucleotides as bits, uint8 (taxa, patterns).
        weights: count of each pattern, float64 (patterns,).
    """

    def __init__(self, patterns: IntArray, weights: FloatArray):
        self.patterns, self.weights = patterns, weights

    def __call__(self, into: IntArray, merged: IntArray) -> FloatArray:
        """Numbers of mutations, float64 (n,).

        Args:
            into: label of the first tree of each join, from the leaves up, int64 (n, m); -1 if there is no join. The
                label of a tree is one of its taxa, and the joined tree keeps the label ``into``.
            merged: label of the second tree of each join, int64 (n, m); -1 if there is no join.
        """
        size = max(1, CHUNK_BYTES // max(1, self.patterns.size))
        starts = range(0, len(into), size)
        parts = [self._mutations(into[s : s + size], merged[s : s + size]) for s in starts]
        return np.concatenate([*parts, np.zeros(0)])

    def _mutations(self, into: IntArray, merged: IntArray) -> FloatArray:
        """Numbers of mutations of a chunk. Distinct trees are computed once, as forests share most of them."""
        rows, absent = np.arange(len(into)), len(self.patterns)
        joins = int((into >= 0).sum(1).max(initial=0))
        # Numbers of trees: first the taxa, then one tree for absent joins, which has no mutations, then joined trees.
        size = absent + 1 + len(into) * joins
        sets, mutations = np.empty((size, self.patterns.shape[1]), dtype=self.patterns.dtype), np.zeros(size)
        sets[:absent], sets[absent] = self.patterns, np.iinfo(sets.dtype).max
        number_of = {absent * size + absent: absent}
        tree = np.tile(np.arange(absent + 1), (len(into), 1))
        total, count = np.zeros(len(into)), absent + 1
        for k in range(joins):
            pairs, inverse = np.unique(tree[rows, into[:, k]] * size + tree[rows, merged[:, k]], return_inverse=True)
            new = [pair for pair in pairs.tolist() if pair not in number_of]
            end = count + len(new)
            number_of.update(zip(new, range(count, end), strict=True))
            left, right = (sets.take(side, axis=0) for side in np.divmod(np.array(new, dtype=np.int64), size))
            common = left & right
            differ = common == 0
            # The negative has all bits set at sites that differ, and none at others. np.where would be 20 times slower.
            sets[count:end] = common | (left | right) & np.negative(differ.view(np.uint8))
            # The numbers are integers, so their sum does not depend on the order.
            mutations[count:end] = differ @ self.weights
            number = np.array([number_of[pair] for pair in pairs.tolist()]).take(inverse)
            total += mutations[number]
            tree[rows, into[:, k]] = number
            count = end
        return total

    def greedy(self) -> list[tuple[int, int]]:
        """Joins of a greedily built tree: each joins the two trees that add the fewest mutations."""
        n, sets, alive = len(self.patterns), self.patterns.copy(), np.ones(len(self.patterns), dtype=bool)
        cost = np.full((n, n), np.inf)  # of the pairs i < j of trees that are left
        for i in range(n):
            cost[i, i + 1 :] = self._cost(sets[i], sets[i + 1 :])
        merges = []
        for _ in range(n - 1):
            i, j = divmod(int(cost.argmin()), n)  # the first of equal pairs
            merges.append((i, j))
            common = sets[i] & sets[j]
            sets[i] = np.where(common, common, sets[i] | sets[j])
            alive[j], cost[j], cost[:, j] = False, np.inf, np.inf
            new = np.where(alive, self._cost(sets[i], sets), np.inf)
            cost[:i, i], cost[i, i + 1 :] = new[:i], new[i + 1 :]
        return merges

    def _cost(self, tree: IntArray, others: IntArray) -> FloatArray:
        """Numbers of mutations that joins of a tree (patterns,) with others (n, patterns) add, float64 (n,)."""
        return (tree & others == 0) @ self.weights
