"""Scores of Bayesian networks: sums of local scores log p(column j | columns of its parents)."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.envs.bayes_net.bitmask_graphs import unpack
from gfn_envs.envs.bayes_net.gram_pivots import GramPivots
from gfn_envs.validation import as_given, first_non_number, one_of, parameters, shown

#: Function from nodes int64 (m,) and parents bool (m, d) to log scores float64 (m,).
LocalScore = Callable[[IntArray, BoolArray], FloatArray]

#: Largest number of cached local scores. The cache is emptied when it would exceed this.
MAX_CACHED = 2**20

#: Largest absolute error of the local scores of this module, in nats.
MAX_ERROR = 1e-6

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


class BGe:
    """log marginal likelihood of Gaussian data under a normal-Wishart prior; equal for Markov-equivalent graphs.

    Geiger and Heckerman 1994, with the corrections of Kuipers, Moffa and Heckerman 2014 (Addendum on the scoring of
    Gaussian directed acyclic graphical models, equations 4 and 5): mu | W ~ N(0, (alpha_mu W)^-1), W ~ Wishart(alpha_w,
    (t I)^-1), t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1).

    Scores are right to ``MAX_ERROR`` whatever the scale, offset and dependence of the columns. Nearly dependent columns
    take exact arithmetic, which is some hundred times slower.

    Args:
        data: float64 (N, d).
        alpha_mu: scale of the precision of the mean, > 0.
        alpha_w: degrees of freedom of the Wishart distribution, > d + 1; None: d + 2.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, data: FloatArray, alpha_mu: float = 1.0, alpha_w: float | None = None):
        n, d = data.shape
        alpha_w = d + 2.0 if alpha_w is None else float(alpha_w)
        if not (0 < alpha_mu < math.inf and d + 1 < alpha_w < math.inf):
            raise ValueError(f"BGe: alpha_mu must be > 0 and alpha_w > {d + 1}, got {alpha_mu=}, {alpha_w=}")
        t = alpha_mu * (alpha_w - d - 1) / (alpha_mu + 1)
        self._pivots = GramPivots(data, t, shrunken_mean=alpha_mu)
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
            # |R of the family| = |R of the parents| * last pivot.
            freedom = self._freedom[p]
            log_det, log_pivot = self._pivots(nodes, columns, MAX_ERROR / freedom)
            return np.asarray(self._constant[p] - log_det / 2 - (freedom + 1) / 2 * log_pivot, dtype=np.float64)

        return _by_number_of_parents(scores, nodes, parents)


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

        return _by_number_of_parents(scores, nodes, parents)


SCORES: dict[str, Callable[..., LocalScore]] = {"bge": BGe, "linear_gaussian": LinearGaussian}


def local_score(score: str | LocalScore, kwargs: Mapping[str, Any] | None, data: FloatArray, where: str) -> LocalScore:
    """The local score for the arguments ``score`` and ``score_kwargs`` of :class:`gfn_envs.BayesNet`.

    Raises:
        ValueError: the name or a parameter is unknown; a parameter is out of range; or parameters are given with a
            callable.
    """
    given = parameters("score_kwargs", kwargs, where)
    if callable(score):
        if given:
            raise ValueError(f"{where}: score_kwargs must be None if score is a callable, got {given}")
        return score
    if not isinstance(score, str) or score not in SCORES:
        raise ValueError(f"{where}: score must be one of {tuple(SCORES)}, or a callable, got {shown(score)}")
    allowed = list(inspect.signature(SCORES[score]).parameters)[1:]
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{where}: score {score!r} has no parameters {unknown}; allowed: {allowed}")
    return SCORES[score](data, **given)


def _by_number_of_parents(
    scores: Callable[[IntArray, IntArray], FloatArray], nodes: IntArray, parents: BoolArray
) -> FloatArray:
    """Scores (m,) of nodes: one call ``scores(nodes (k,), columns of parents (k, p))`` per number p of parents."""
    result, counts = np.empty(len(nodes)), parents.sum(1)
    for p in np.unique(counts):
        rows = np.flatnonzero(counts == p)
        result[rows] = scores(nodes[rows], np.nonzero(parents[rows])[1].reshape(len(rows), p))
    return result


class CachedScores:
    """A cache of local scores of nodes and parent sets.

    Args:
        score: the local score.
        num_nodes: number of nodes d.
        where: prefix of error messages.
    """

    def __init__(self, score: LocalScore, num_nodes: int, where: str):
        self.score, self.num_nodes, self.where = score, num_nodes, where
        self._keys, self._values = np.empty(0, dtype=np.int64), np.empty(0)

    def __call__(self, parents: IntArray) -> FloatArray:
        """Local scores float64 (n, d) of the parent sets of each node, given as masks int64 (n, d).

        Raises:
            ValueError: a score is non-finite; the message names the node and its parents.
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
        given = as_given(self.score(nodes, parents))
        if given.shape != keys.shape:
            raise ValueError(f"{self.where}: local scores must have shape {keys.shape}, got {given.shape}")
        bad = first_non_number(given)
        values = np.full(given.shape, np.nan) if bad is not None else given.astype(np.float64)
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values))) if bad is None else bad
            text = str(given[bad]) if given.dtype.kind == "f" else shown(given[bad])
            raise ValueError(
                f"{self.where}: the local score of node {nodes[bad]} with parents "
                f"{np.flatnonzero(parents[bad]).tolist()} must be finite, got {text}"
            )
        keys, values = np.concatenate([self._keys, keys]), np.concatenate([self._values, values])
        order = np.argsort(keys, kind="stable")
        self._keys, self._values = keys[order], values[order]


# ---------------------------------------------------------------------- priors


def log_prior(name: str, num_nodes: int) -> FloatArray:
    """log prior of a node with p = 0..d - 1 parents, relative to no parents, float64 (d,).

    "uniform": 0. "fair": -log C(d - 1, p), which gives each size of a parent set the same total probability (Eggeling
    et al. 2019).

    Raises:
        ValueError: the name is unknown.
    """
    one_of("prior", name, ("uniform", "fair"), "BayesNet")
    logs = log_factorials(num_nodes - 1)
    return np.zeros(num_nodes) if name == "uniform" else logs + logs[::-1] - logs[-1]
