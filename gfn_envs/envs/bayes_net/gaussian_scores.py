"""Local scores of columns of real numbers."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.bayes_net.families import MAX_ERROR, by_number_of_parents, log_gamma
from gfn_envs.envs.bayes_net.gram_pivots import GramPivots


class BGe:
    """log marginal likelihood of Gaussian data under a normal-Wishart prior; equal for Markov-equivalent graphs.

    Geiger and Heckerman 1994, with the corrections of Kuipers, Moffa and Heckerman 2014 (Addendum on the scoring of
    Gaussian directed acyclic graphical models, equations 4 and 5): mu | W ~ N(nu, (alpha_mu W)^-1),
    W ~ Wishart(alpha_w, (t I)^-1), t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1). The prior mean nu is that of the
    columns, so that their offsets have no effect, or 0.

    Scores are right to ``MAX_ERROR`` whatever the scale, offset and dependence of the columns. Nearly dependent columns
    take exact arithmetic, which is some hundred times slower.

    Args:
        data: float64 (N, d).
        alpha_mu: scale of the precision of the mean, > 0.
        alpha_w: degrees of freedom of the Wishart distribution, > d + 1; None: d + 2.
        center: whether nu is the mean of the columns. False: nu = 0, as in the code of Deleu et al. 2022.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, data: FloatArray, alpha_mu: float = 1.0, alpha_w: float | None = None, center: bool = True):
        n, d = data.shape
        alpha_w = d + 2.0 if alpha_w is None else float(alpha_w)
        if not (0 < alpha_mu < math.inf and d + 1 < alpha_w < math.inf):
            raise ValueError(f"BGe: alpha_mu must be > 0 and alpha_w > {d + 1}, got {alpha_mu=}, {alpha_w=}")
        if not isinstance(center, bool):
            raise ValueError(f"BGe: center must be True or False, got {center!r}")
        t = alpha_mu * (alpha_w - d - 1) / (alpha_mu + 1)
        self._pivots = GramPivots(data, t, shrunken_mean=0.0 if center else alpha_mu)
        p = np.arange(d)
        self._constant = (
            0.5 * math.log(alpha_mu / (n + alpha_mu))
            + log_gamma((n + alpha_w - d + p + 1) / 2)
            - log_gamma((alpha_w - d + p + 1) / 2)
            - n / 2 * math.log(math.pi)
            + (alpha_w - d + 2 * p + 1) / 2 * math.log(t)
        )
        self._freedom = n + alpha_w - d + p

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            p = columns.shape[1]
            # |R of the family| = |R of the parents| * last pivot.
            freedom = self._freedom[p]
            log_det, log_pivot = self._pivots(nodes, columns, MAX_ERROR / freedom)
            return np.asarray(self._constant[p] - log_det / 2 - (freedom + 1) / 2 * log_pivot, dtype=np.float64)

        return by_number_of_parents(scores, nodes, parents)


class LinearGaussian:
    """log marginal likelihood of x_j = sum of w_i x_i + noise, with w_i ~ N(0, 1) and noise ~ N(0, noise_variance).

    Args:
        data: float64 (N, d).
        noise_variance: variance of the noise, > 0.

    Raises:
        ValueError: ``noise_variance`` is out of range; or a column is so large that double precision cannot hold its
            scores to ``MAX_ERROR``. The message names the column.
    """

    def __init__(self, data: FloatArray, noise_variance: float = 0.1):
        if not 0 < noise_variance < math.inf:
            raise ValueError(f"LinearGaussian: noise_variance must be finite and > 0, got {noise_variance}")
        self.n, self.variance = len(data), float(noise_variance)
        with np.errstate(over="ignore"):
            misfit = 0.5 * (data**2).sum(0) / self.variance
        if not (misfit.max() * np.finfo(np.float64).eps < MAX_ERROR):
            column = int(np.argmax(misfit))
            raise ValueError(
                f"LinearGaussian: column {column} has values up to {np.abs(data[:, column]).max():.3g}, so its score "
                f"is about {-misfit[column]:.3g}, which double precision does not hold to {MAX_ERROR:g}. The score "
                f"expects columns with mean 0 and noise of variance {self.variance:g}: center and scale the data"
            )
        self._largest_misfit = max(1.0, float(misfit.max()))
        self._pivots = GramPivots(data, self.variance)

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            # N(y; 0, v I + X X') by the matrix determinant and inversion lemmas. The last pivot of the Gram matrix of
            # (X, y) with ridge v is y'y - y'X (v I + X'X)^-1 X'y + v.
            p = columns.shape[1]
            log_det, log_pivot = self._pivots(nodes, columns, MAX_ERROR / (self.n + self._largest_misfit))
            variance = np.longdouble(self.variance)
            misfit = np.exp(log_pivot) / variance - 1
            total = self.n * math.log(2 * math.pi * self.variance) + log_det - p * np.log(variance) + misfit
            return np.asarray(-0.5 * total, dtype=np.float64)

        return by_number_of_parents(scores, nodes, parents)


class GaussianBIC:
    """Bayesian information criterion of x_j = intercept + sum of w_i x_i + Gaussian noise, as a log score.

    Largest log-likelihood - (p + 2) / 2 log N, with p weights, the intercept and the variance as parameters (Schwarz
    1978). It approximates the log marginal likelihood and has no prior to choose; equal for Markov-equivalent graphs.

    Args:
        data: float64 (N, d).
    """

    def __init__(self, data: FloatArray):
        self.n = len(data)
        self._pivots = GramPivots(data, ridge=0.0, shrunken_mean=0.0)

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        """Scores (m,).

        Raises:
            ValueError: the parents of a node predict it without error, so that the likelihood has no maximum.
        """

        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            p = columns.shape[1]
            with np.errstate(divide="ignore", invalid="ignore"):
                # The last pivot of the scatter matrix is the sum of squared residuals.
                log_residual = self._pivots(nodes, columns, MAX_ERROR / self.n)[1] if p < self.n - 1 else -math.inf
            bad = np.flatnonzero(~np.isfinite(np.broadcast_to(np.asarray(log_residual), nodes.shape)))
            if len(bad):
                raise ValueError(
                    f"GaussianBIC: columns {columns[bad[0]].tolist()} predict column {nodes[bad[0]]} without error in "
                    f"{self.n} rows, so its likelihood has no maximum: leave out columns that are functions of others, "
                    "set max_parents, or use score 'bge'"
                )
            log_likelihood = -self.n / 2 * (math.log(2 * math.pi / self.n) + log_residual + 1)
            return np.asarray(log_likelihood - (p + 2) / 2 * math.log(self.n), dtype=np.float64)

        return by_number_of_parents(scores, nodes, parents)
