"""The likelihood of a tree without its branch lengths: the maximum over them, or the integral with a prior."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.phylogenetics.ascent import Point, maximize
from gfn_envs.envs.phylogenetics.pruning import Pruning, Trees, trees_of

#: Bounds of optimized branch lengths, in expected substitutions per site.
SHORTEST, LONGEST = 1e-9, 100.0
#: Largest gain of a further Newton step at which the ascent ends.
TOLERANCE = 1e-8
#: Largest number of bytes of conditional likelihoods per chunk of trees.
CHUNK_BYTES = 2**23
#: Nodes of the integral over a branch, in standard deviations of the log of its length around the maximum. The
#: integrand falls slowly to the left, where it is the length itself if the sites do not determine it, and fast to the
#: right.
PLACES = np.arange(-18.0, 7.01, 0.5)


class Likelihood:
    """-log p(alignment | tree) of complete trees, for batches of trees.

    ``branch_lengths`` says how the 2 n - 3 branch lengths are treated:

    * "optimized": each tree has its own most likely lengths. The maximum is exact up to about ``TOLERANCE``.
    * "integrated": p(alignment | tree) is the integral over lengths with independent exponential priors, by Laplace's
      approximation in the logs of the lengths, where the maximum is never at the border. The integral along each branch
      through the maximum replaces its Gaussian one, which makes the approximation exact if branches are independent.
      It differs from the exact integral by at most 0.1 on trees of up to 7 taxa, and is about 0.3 too high on those of
      27 to 64 taxa (docs/fields/phylogenetics.md). :mod:`branch_sampling` has no such error.

    Args:
        pruning: the model and the alignment.
        branch_lengths: "integrated" or "optimized".
        branch_mean: mean of the prior of a branch length, in expected substitutions per site.
    """

    def __init__(self, pruning: Pruning, branch_lengths: str = "integrated", branch_mean: float = 0.1):
        self.pruning, self.branch_mean = pruning, branch_mean
        self.integrated = branch_lengths == "integrated"

    def __call__(self, into: IntArray, merged: IntArray) -> FloatArray:
        """-log p of trees given by their joins (see :func:`pruning.trees_of`), float64 (n,)."""
        if not len(into):
            return np.zeros(0)
        trees = trees_of(into, merged)
        return -np.concatenate([self._log_likelihood(trees.take(rows)) for rows in self.chunks(trees)])

    def chunks(self, trees: Trees) -> list[IntArray]:
        """Rows of trees whose conditional likelihoods fit in ``CHUNK_BYTES``."""
        size = max(1, CHUNK_BYTES // (8 * trees.num_branches * self.pruning.taxa[0].size))
        return [np.arange(s, min(s + size, len(trees.left))) for s in range(0, len(trees.left), size)]

    def _log_likelihood(self, trees: Trees) -> FloatArray:
        log_lengths, _ = self.log_lengths(trees)
        return self.integral(trees, log_lengths) if self.integrated else self.value(trees, log_lengths)

    def value(self, trees: Trees, log_lengths: FloatArray) -> FloatArray:
        """The log-likelihood, or the log of the integrand, with these branch lengths, float64 (b,)."""
        value = self.pruning.log_likelihood(trees, self._lengths(trees, log_lengths))
        return value + self._log_prior(trees, log_lengths) if self.integrated else value

    def log_lengths(
        self, trees: Trees, start: FloatArray | None = None, tolerance: float = TOLERANCE
    ) -> tuple[FloatArray, FloatArray]:
        """The logs of the branch lengths at the maximum of the likelihood, or of the integrand.

        Args:
            trees: the trees.
            start: first logs of the branch lengths (b, 2 n - 2). Default: those of ``branch_mean``.
            tolerance: largest gain of a further Newton step at which the ascent ends.

        Returns:
            ``(log_lengths, error)``, (b, 2 n - 2) and (b,). The entry of the node without a branch is arbitrary.
            ``error`` estimates the distance of the value from the maximum, to second order.
        """

        def function(rows: IntArray, log_lengths: FloatArray) -> Point:
            return self._derivatives(trees.take(rows), log_lengths)

        if start is None:
            start = np.full((len(trees.left), trees.num_branches), np.log(self.branch_mean))
        return maximize(function, start, tolerance)

    def interchanges(self, trees: Trees, log_lengths: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Change of :meth:`value` by each nearest-neighbor interchange of an unrooted tree, if only one branch adapts.

        Args:
            trees: one tree.
            log_lengths: (1, 2 n - 2).

        Returns:
            ``(node, gain, log_length)``: the node below each inner branch, int64 (n - 3,); the gain of an exchange of
            its second child, or of its first, with its sibling, and the log of the branch length then, on a grid with
            ratios of sqrt(2), (n - 3, 2) each.
        """
        lengths = self._lengths(trees, log_lengths)
        node, coefficients = self.pruning.interchanges(trees, lengths)
        grid = np.append(np.log(2.0) * np.arange(-14.0, 0.5, 0.5), 0.0)
        logs = np.repeat(np.repeat(grid[None, None], len(node), 0), 3, 1)
        logs[:, 0] = log_lengths[0, node, None]  # the tree itself
        values = self.pruning.along_branches(coefficients, np.exp(logs))
        if self.integrated:
            values += logs - np.exp(logs) / self.branch_mean
        best = values.argmax(2)
        top = np.take_along_axis(values, best[:, :, None], 2)[:, :, 0]
        return node, top[:, 1:] - top[:, :1], grid[best[:, 1:]]

    def _lengths(self, trees: Trees, log_lengths: FloatArray) -> FloatArray:
        lengths = np.exp(np.clip(log_lengths, np.log(SHORTEST), np.log(LONGEST)))
        lengths[np.arange(len(lengths)), trees.no_branch] = 0.0
        return lengths

    def _derivatives(self, trees: Trees, log_lengths: FloatArray) -> Point:
        """The log of the likelihood, or of the integrand, and its derivatives by the logs of the lengths."""
        lengths = self._lengths(trees, log_lengths)
        value, slope, bend = self.pruning.derivatives(trees, lengths)
        gradient = slope * lengths
        curvature = bend * lengths**2 + gradient
        if self.integrated:
            # The density of y = log b is exp(y - b / mean) / mean.
            value = value + self._log_prior(trees, log_lengths)
            gradient += 1 - lengths / self.branch_mean
            curvature -= lengths / self.branch_mean
        outside = (log_lengths < np.log(SHORTEST)) | (log_lengths > np.log(LONGEST))
        outside[np.arange(len(lengths)), trees.no_branch] = True
        gradient[outside], curvature[outside] = 0.0, -1.0
        return Point(value, gradient, curvature)

    def _log_prior(self, trees: Trees, log_lengths: FloatArray) -> FloatArray:
        logs = log_lengths - np.exp(log_lengths) / self.branch_mean - np.log(self.branch_mean)
        logs[np.arange(len(logs)), trees.no_branch] = 0.0
        return logs.sum(1)

    def hessian(self, trees: Trees, log_lengths: FloatArray, step: float = 1e-3) -> FloatArray:
        """Minus the second derivatives of :meth:`value` by the logs of the lengths, by differences of the gradient.

        float64 (b, 2 n - 2, 2 n - 2), symmetric, with 1 for the node without a branch.
        """
        rows, branches = np.arange(len(log_lengths)), trees.num_branches
        # Both ways along each branch, as one batch of trees: a tree alone takes as long as several.
        moved = np.repeat(log_lengths, 2 * branches, axis=0).reshape(len(rows), branches, 2, branches)
        moved[:, np.arange(branches), :, np.arange(branches)] += [-step, step]
        starts = moved.reshape(-1, branches)
        every = trees.take(np.repeat(rows, 2 * branches))
        gradients = [self._derivatives(every.take(part), starts[part]).gradient for part in self.chunks(every)]
        ways = np.concatenate(gradients).reshape(len(rows), branches, 2, branches)
        found = (ways[:, :, 0] - ways[:, :, 1]) / (2 * step)
        found[rows, trees.no_branch, :] = found[rows, :, trees.no_branch] = 0.0
        found[rows, trees.no_branch, trees.no_branch] = 1.0
        return np.asarray((found + found.transpose(0, 2, 1)) / 2)

    def profile(self, trees: Trees, log_lengths: FloatArray, hessian: FloatArray) -> FloatArray:
        """log of the integrand along each branch through the maximum, minus that at the maximum.

        float64 (b, 2 n - 2, places), at ``PLACES`` conditional standard deviations of the Hessian.
        """
        deviation = 1 / np.sqrt(np.diagonal(hessian, axis1=1, axis2=2))
        coefficients, _ = self.pruning.by_branch(trees, self._lengths(trees, log_lengths))
        places = log_lengths[:, :, None] + deviation[:, :, None] * PLACES
        at_places = self.pruning.along_branches(coefficients, np.exp(places))
        at_places += places - np.exp(places) / self.branch_mean
        return at_places - at_places[:, :, PLACES == 0.0]

    def integral(self, trees: Trees, log_lengths: FloatArray, hessian: FloatArray | None = None) -> FloatArray:
        """log of the integral over the branch lengths, from the maximum of the integrand, float64 (b,).

        ``hessian`` is that of :meth:`hessian`, if it is known.
        """
        hessian = self.hessian(trees, log_lengths) if hessian is None else hessian
        # The ratio of the integral along a branch to that of the Gaussian with the same maximum and curvature.
        ratio = np.exp(self.profile(trees, log_lengths, hessian)).sum(2) * (PLACES[1] - PLACES[0]) / np.sqrt(2 * np.pi)
        ratio[np.arange(len(ratio)), trees.no_branch] = 1.0
        gaussian = (trees.num_branches - 1) * np.log(2 * np.pi) - np.linalg.slogdet(hessian)[1]
        return self.value(trees, log_lengths) + gaussian / 2 + np.log(ratio).sum(1)
