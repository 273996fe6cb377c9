"""The likelihood of trees with branch lengths by Felsenstein's pruning algorithm (1981), for batches of trees.

Nodes of a tree: the taxa 0..n - 1, then one node per join, the root last. The branch of a node is the one above it. A
reversible model does not see the root, so that the two branches at the root are one: that of the last join's first
tree. The other one has length 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.phylogenetics.substitution import SPECTRUM


class Trees(NamedTuple):
    """Complete trees, with the children of each join.

    Attributes:
        left: number of the first node of each join, from the leaves up, int64 (b, n - 1).
        right: number of the second node, int64 (b, n - 1).
    """

    left: IntArray
    right: IntArray

    @property
    def num_branches(self) -> int:
        """Number of nodes below the root, 2 n - 2: the branches, and one of length 0."""
        return 2 * self.left.shape[1]

    @property
    def no_branch(self) -> IntArray:
        """The node without a branch, int64 (b,)."""
        return self.right[:, -1]

    def take(self, rows: IntArray) -> Trees:
        return Trees(self.left[rows], self.right[rows])


def trees_of(into: IntArray, merged: IntArray) -> Trees:
    """Trees from their joins, int64 (b, n - 1) each: tree ``merged`` joins tree ``into``, from the leaves up."""
    joins = into.shape[1]
    rows, node = np.arange(len(into)), np.tile(np.arange(joins + 1), (len(into), 1))
    left, right = np.empty_like(into), np.empty_like(into)
    for k in range(joins):
        left[:, k], right[:, k] = node[rows, into[:, k]], node[rows, merged[:, k]]
        node[rows, into[:, k]] = joins + 1 + k
    return Trees(left, right)


class Pruning:
    """Log-likelihoods of trees with branch lengths, and their dependence on one branch.

    Args:
        rates: eigenvalues of the substitution model (4,).
        possible: 1.0 for each nucleotide that is possible, float64 (taxa, 4, patterns).
        weights: number of sites of each pattern, float64 (patterns,).
    """

    def __init__(self, rates: FloatArray, possible: FloatArray, weights: FloatArray):
        self.rates, self.weights = rates, weights
        #: Conditional likelihoods of the taxa in the basis of the eigenvectors.
        self.taxa = SPECTRUM @ possible
        self.powers = rates ** np.arange(3)[:, None]  # of the three derivatives 0, 1, 2

    def log_likelihood(self, trees: Trees, lengths: FloatArray) -> FloatArray:
        """float64 (b,), of branch lengths (b, 2 n - 2)."""
        return self._upward(trees, np.exp(lengths[..., None] * self.rates))[2]

    def _upward(self, trees: Trees, decay: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """From the taxa to the root.

        Returns:
            ``(below, sent, log_likelihood)``: conditional likelihoods of each node, in the basis of the eigenvectors,
            and of the upper end of its branch, each (b, 2 n - 2, 4, patterns); both up to a factor per node and
            pattern. And the logs (b,).
        """
        n, rows = len(self.taxa), np.arange(len(decay))
        below = np.empty((len(decay), trees.num_branches, *self.taxa.shape[1:]))
        below[:, :n] = self.taxa
        sent = np.empty_like(below)
        sent[:, :n] = SPECTRUM @ (decay[:, :n, :, None] * self.taxa)
        logs = np.zeros((len(decay), self.taxa.shape[2]))
        for k in range(n - 1):
            node = sent[rows, trees.left[:, k]] * sent[rows, trees.right[:, k]]
            size = node.max(1)  # Products of many branches would underflow.
            node /= size[:, None]
            logs += np.log(size)
            if k < n - 2:
                below[:, n + k] = SPECTRUM @ node
                sent[:, n + k] = SPECTRUM @ (decay[:, n + k, :, None] * below[:, n + k])
        logs += np.log(node.mean(1))  # A, C, G and T are equally frequent.
        return below, sent, (logs * self.weights).sum(1)

    def by_branch(self, trees: Trees, lengths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The likelihood as a function of one branch length, given all others.

        Returns:
            ``(coefficients, log_likelihood)``, (b, 2 n - 2, 4, patterns) and (b,). With branch length x of a node, the
            likelihood of a pattern is the sum over j of ``coefficients[..., j, :] exp(rates[j] x)``, up to a factor.
        """
        rows, decay = np.arange(len(lengths)), np.exp(lengths[..., None] * self.rates)
        coefficients, sent, log_likelihood = self._upward(trees, decay)
        for _, node, _, outside, _ in self._downward(trees, decay, sent):
            coefficients[rows, node] *= outside
        return coefficients, log_likelihood

    def _downward(
        self, trees: Trees, decay: FloatArray, sent: FloatArray
    ) -> Iterator[tuple[int, IntArray, IntArray, FloatArray, FloatArray]]:
        """From the root to the taxa: a join, a node below it, the node's sibling, and two messages, (b, 4, patterns).

        These are from the rest of the tree to the upper end of the node's branch, in the basis of the eigenvectors, and
        to the join without its two children; both up to a factor per node and pattern.
        """
        n, rows = len(self.taxa), np.arange(len(decay))
        above = np.ones((len(decay), n - 1, *self.taxa.shape[1:]))  # message from the rest of the tree to each join
        for k in reversed(range(n - 1)):
            left, right = trees.left[:, k], trees.right[:, k]
            for node, sibling in ((left, right), (right, left)):
                outside = SPECTRUM @ (above[:, k] * sent[rows, sibling])
                yield k, node, sibling, outside, above[:, k]
                inner = np.flatnonzero(node >= n)
                if len(inner):
                    message = SPECTRUM @ (decay[inner, node[inner], :, None] * outside[inner])
                    above[inner, node[inner] - n] = message / message.max(1, keepdims=True)

    def interchanges(self, trees: Trees, lengths: FloatArray) -> tuple[IntArray, FloatArray]:
        """The likelihood of the nearest-neighbor interchanges of one unrooted tree, with its other branch lengths.

        Args:
            trees: one tree, of which the root has the last taxon as its second child.
            lengths: (1, 2 n - 2).

        Returns:
            ``(node, coefficients)``: the node below each inner branch, int64 (n - 3,), and coefficients as those of
            :meth:`by_branch` of this branch, (n - 3, 3, 4, patterns): for the tree itself, and with the second or the
            first child of the node in exchange for its sibling. The factor is the same for the three.
        """
        n, decay = len(self.taxa), np.exp(lengths[..., None] * self.rates)
        sent, nodes, found = self._upward(trees, decay)[1], [], []
        for k, node, sibling, _, above in self._downward(trees, decay, sent):
            inner = int(node[0]) - n
            if inner >= 0 and k < n - 2:
                one, two, other = (sent[0, at] for at in (trees.left[0, inner], trees.right[0, inner], sibling[0]))
                below = np.stack([one * two, one * other, two * other])
                found.append((SPECTRUM @ below) * (SPECTRUM @ (above[0] * np.stack([other, two, one]))))
                nodes.append(inner + n)
        return np.array(nodes, dtype=np.int64), np.array(found)

    def regrafts(self, trees: Trees, lengths: FloatArray, moved: IntArray) -> FloatArray:
        """Change of the log-likelihood if the subtree below a node is moved to the middle of another branch.

        Args:
            trees: one tree, of which the root has the last taxon as its second child.
            lengths: (1, 2 n - 2).
            moved: nodes below the root's children, int64 (m,).

        Returns:
            float64 (m, 2 n - 2), by the node below the branch. Entries of branches inside the subtree, of the node's
            own branch, its sibling's and its parent's are meaningless.
        """
        rows = np.arange(len(moved))
        sibling = np.empty(2 * len(self.taxa) - 2, dtype=np.int64)
        sibling[trees.left[0]], sibling[trees.right[0]] = trees.right[0], trees.left[0]
        own = self._upward(trees, np.exp(lengths[..., None] * self.rates))[1][0, moved]
        # A subtree on an infinitely long branch tells nothing about the rest.
        every, apart = trees.take(np.zeros(len(moved), dtype=np.int64)), np.repeat(lengths, len(moved), axis=0)
        apart[rows, moved] = 1e4
        below, sent, _ = self._upward(every, np.exp(apart[..., None] * self.rates))
        outside = np.empty_like(below)
        for _, node, _, message, _ in self._downward(every, np.exp(apart[..., None] * self.rates), sent):
            outside[rows, node] = message
        half = np.exp(apart[..., None] * self.rates / 2)[..., None]
        middle = (SPECTRUM @ (half * below)) * (SPECTRUM @ (half * outside))
        before = sent[rows, sibling[moved]] * (SPECTRUM @ outside[rows, sibling[moved]])

        def gain(there: FloatArray, subtree: FloatArray) -> FloatArray:
            return np.asarray((np.log((there * subtree).sum(-2) / there.sum(-2)) * self.weights).sum(-1))

        return gain(middle, own[:, None]) - gain(before, own)[:, None]

    def derivatives(self, trees: Trees, lengths: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The log-likelihood (b,), and its first and second derivatives by each branch length, (b, 2 n - 2) each."""
        coefficients, log_likelihood = self.by_branch(trees, lengths)
        value, slope, bend = self._mixed(coefficients, lengths)
        slope /= value
        bend /= value
        return log_likelihood, (slope * self.weights).sum(-1), ((bend - slope**2) * self.weights).sum(-1)

    def _mixed(self, coefficients: FloatArray, lengths: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Likelihoods of patterns and their two derivatives by each branch length, (b, 2 n - 2, patterns) each."""
        factors = np.exp(lengths[..., None] * self.rates)[..., None, :] * self.powers
        mixed = factors @ coefficients
        return mixed[:, :, 0], mixed[:, :, 1], mixed[:, :, 2]

    def along_branches(self, coefficients: FloatArray, lengths: FloatArray) -> FloatArray:
        """The log-likelihood at several lengths of each branch, up to a constant of the branch.

        Args:
            coefficients: those of :meth:`by_branch`.
            lengths: (b, 2 n - 2, m).

        Returns:
            float64 (b, 2 n - 2, m).
        """
        found = np.empty_like(lengths)
        for m in range(lengths.shape[2]):
            decay = np.exp(lengths[:, :, m, None] * self.rates)
            found[:, :, m] = (np.log((decay[..., None, :] @ coefficients)[:, :, 0]) * self.weights).sum(-1)
        return found
