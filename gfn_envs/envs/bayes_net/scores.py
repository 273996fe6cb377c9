"""Scores of Bayesian networks that are sums of local scores log p(column j | columns of its parents)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.envs.bayes_net.bitmask_graphs import unpack

#: (nodes int64 (m,), parents bool (m, d)) -> log scores float64 (m,).
LocalScore = Callable[[IntArray, BoolArray], FloatArray]

#: The most local scores that are kept; beyond, the cache starts anew.
MAX_CACHED = 2**20

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


class BGe:
    """log marginal likelihood of Gaussian data under a normal-Wishart prior; equal for Markov-equivalent graphs.

    Geiger and Heckerman 1994, with the corrections of Kuipers, Moffa and Heckerman 2014 (Addendum on the scoring of
    Gaussian directed acyclic graphical models, equations 4 and 5): mu | W ~ N(0, (alpha_mu W)^-1), W ~ Wishart(alpha_w,
    (t I)^-1), t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1).

    Args:
        data: (N, d).
        alpha_mu: > 0.
        alpha_w: > d + 1; d + 2 by default.
    """

    def __init__(self, data: FloatArray, alpha_mu: float = 1.0, alpha_w: float | None = None):
        n, d = data.shape
        alpha_w = d + 2.0 if alpha_w is None else float(alpha_w)
        if not (0 < alpha_mu < math.inf and d + 1 < alpha_w < math.inf):
            raise ValueError(f"BGe: alpha_mu must be > 0 and alpha_w > {d + 1}, got {alpha_mu=}, {alpha_w=}")
        t = alpha_mu * (alpha_w - d - 1) / (alpha_mu + 1)
        mean = data.mean(0)
        centred = data - mean
        self.R = t * np.eye(d) + centred.T @ centred + n * alpha_mu / (n + alpha_mu) * np.outer(mean, mean)
        p = np.arange(d)
        self._constant = (
            0.5 * math.log(alpha_mu / (n + alpha_mu))
            + _log_gamma((n + alpha_w - d + p + 1) / 2)
            - _log_gamma((alpha_w - d + p + 1) / 2)
            - n / 2 * math.log(math.pi)
            + (alpha_w - d + 2 * p + 1) / 2 * math.log(t)
        )
        self._freedom = n + alpha_w - d + p

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            p = columns.shape[1]
            family = np.concatenate([columns, nodes[:, None]], axis=1)
            log_det = np.linalg.slogdet(_blocks(self.R, columns, columns))[1]
            log_det_family = np.linalg.slogdet(_blocks(self.R, family, family))[1]
            freedom = self._freedom[p]
            return self._constant[p] + freedom / 2 * log_det - (freedom + 1) / 2 * log_det_family

        return _by_number_of_parents(scores, nodes, parents)


class LinearGaussian:
    """log marginal likelihood of x_j = sum of w_i x_i + noise, with w_i ~ N(0, 1) and noise ~ N(0, noise_variance).

    Args:
        data: (N, d).
        noise_variance: > 0.
    """

    def __init__(self, data: FloatArray, noise_variance: float = 0.1):
        if not 0 < noise_variance < math.inf:
            raise ValueError(f"LinearGaussian: noise_variance must be finite and > 0, got {noise_variance}")
        self.n, self.variance, self.gram = len(data), noise_variance, data.T @ data

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            # N(y; 0, v I + X X') by the matrix determinant and inversion lemmas, with S = v I + X'X.
            p = columns.shape[1]
            S = _blocks(self.gram, columns, columns) + self.variance * np.eye(p)
            cross = _blocks(self.gram, columns, nodes[:, None])
            explained = (cross * np.linalg.solve(S, cross)).sum((1, 2))
            log_det = np.linalg.slogdet(S)[1] - p * math.log(self.variance)
            misfit = (self.gram[nodes, nodes] - explained) / self.variance
            return -0.5 * (self.n * math.log(2 * math.pi * self.variance) + log_det + misfit)

        return _by_number_of_parents(scores, nodes, parents)


SCORES: dict[str, Callable[..., LocalScore]] = {"bge": BGe, "linear_gaussian": LinearGaussian}


def _blocks(matrix: FloatArray, rows: IntArray, columns: IntArray) -> FloatArray:
    """Submatrices (m, p, q) of rows (m, p) and columns (m, q)."""
    return matrix[rows[:, :, None], columns[:, None, :]]


def _by_number_of_parents(
    scores: Callable[[IntArray, IntArray], FloatArray], nodes: IntArray, parents: BoolArray
) -> FloatArray:
    """``scores`` of nodes (m,) and the columns of their parents (m, p), one call for each p."""
    result, counts = np.empty(len(nodes)), parents.sum(1)
    for p in np.unique(counts):
        rows = np.flatnonzero(counts == p)
        result[rows] = scores(nodes[rows], np.nonzero(parents[rows])[1].reshape(len(rows), p))
    return result


class CachedScores:
    """Local scores of nodes and parent sets, each computed once.

    Args:
        score: the local score.
        num_nodes: d.
        where: begins the message of an error.
    """

    def __init__(self, score: LocalScore, num_nodes: int, where: str):
        self.score, self.num_nodes, self.where = score, num_nodes, where
        self._keys, self._values = np.empty(0, dtype=np.int64), np.empty(0)

    def __call__(self, parents: IntArray) -> FloatArray:
        """float64 (n, d) of parent sets as masks, int64 (n, d).

        Raises:
            ValueError: a score that is not finite, naming the node and its parents.
        """
        keys = (parents * self.num_nodes + np.arange(self.num_nodes)).ravel()
        place, known = self._find(keys)
        if not known.all():
            new = np.unique(keys[~known])
            if len(self._keys) + len(new) > MAX_CACHED:
                self._keys, self._values, new = self._keys[:0], self._values[:0], np.unique(keys)
            self._add(new)
            place, known = self._find(keys)
        return self._values[place].reshape(parents.shape)

    def _find(self, keys: IntArray) -> tuple[IntArray, BoolArray]:
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=bool)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return place, self._keys[place] == keys

    def _add(self, keys: IntArray) -> None:
        masks, nodes = np.divmod(keys, self.num_nodes)
        parents = unpack(masks, self.num_nodes)
        values = np.asarray(self.score(nodes, parents), dtype=np.float64)
        if values.shape != keys.shape or not np.isfinite(values).all():
            bad = 0 if values.shape != keys.shape else int(np.argmin(np.isfinite(values)))
            given = values.shape if values.shape != keys.shape else values[bad]
            raise ValueError(
                f"{self.where}: the local score of node {nodes[bad]} with parents "
                f"{np.flatnonzero(parents[bad]).tolist()} must be finite, one a node; got {given}"
            )
        keys, values = np.concatenate([self._keys, keys]), np.concatenate([self._values, values])
        order = np.argsort(keys, kind="stable")
        self._keys, self._values = keys[order], values[order]


# ---------------------------------------------------------------------- priors


def log_prior(name: str, num_nodes: int) -> FloatArray:
    """log prior of a node with 0..d - 1 parents, relative to none, float64 (d,).

    "uniform": 0. "fair": -log C(d - 1, p), so that a parent set of each size is as likely (Eggeling et al. 2019).

    Raises:
        ValueError: another name.
    """
    if name not in ("uniform", "fair"):
        raise ValueError(f"BayesNet: prior must be 'uniform' or 'fair', got {name!r}")
    logs = log_factorials(num_nodes - 1)
    return np.zeros(num_nodes) if name == "uniform" else logs + logs[::-1] - logs[-1]
