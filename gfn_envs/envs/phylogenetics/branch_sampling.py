"""The integral over branch lengths by importance sampling, which Laplace's approximation can be compared with."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.phylogenetics.likelihood import PLACES, Likelihood
from gfn_envs.envs.phylogenetics.pruning import Trees

#: Edges of the cells of the proposal's densities, in standard deviations from the maximum.
EDGES = np.linspace(PLACES[0], PLACES[-1], 20 * (len(PLACES) - 1) // 2 + 1)

_normal_cdf = np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2, otypes=[np.float64])


def log_importance_weights(
    likelihood: Likelihood,
    trees: Trees,
    log_lengths: FloatArray,
    hessian: FloatArray,
    num: int,
    rng: np.random.Generator,
) -> FloatArray:
    """log of integrand / proposal at ``num`` draws of the branch lengths, float64 (num,).

    The mean of their exponentials is an unbiased estimate of the integral. The proposal is a Gaussian copula with the
    correlations of Laplace's approximation. Its margins have the shape of the integrand along each branch, stretched
    from the conditional to the marginal standard deviation.

    Args:
        likelihood: with ``branch_lengths`` "integrated".
        trees: one tree.
        log_lengths: logs of its branch lengths at the maximum of the integrand (1, 2 n - 2).
        hessian: that of :meth:`Likelihood.hessian` there.
        num: number of draws.
        rng: source of randomness.
    """
    covariance = np.linalg.inv(hessian[0])
    deviation = np.sqrt(np.diagonal(covariance))
    correlation = covariance / deviation / deviation[:, None]
    profile = likelihood.profile(trees, log_lengths, hessian)[0]
    factor = np.linalg.cholesky(correlation)
    normal = rng.standard_normal((num, len(factor)))
    z = normal @ factor.T
    # log of the copula's density: the joint over the product of the margins.
    log_proposal = (z**2 - normal**2).sum(1) / 2 - np.log(np.diagonal(factor)).sum()
    draws = np.repeat(log_lengths, num, axis=0)
    quantiles, middles, width = _normal_cdf(z), (EDGES[1:] + EDGES[:-1]) / 2, EDGES[1] - EDGES[0]
    none = int(trees.no_branch[0])  # In the Hessian, it is independent of the branches.
    for branch in np.delete(np.arange(len(profile)), none):
        share = np.exp(np.interp(middles, PLACES, profile[branch]))
        share /= share.sum()
        cumulative = np.concatenate([[0.0], share.cumsum()])
        place = np.interp(quantiles[:, branch], cumulative / cumulative[-1], EDGES)
        draws[:, branch] += deviation[branch] * place
        cell = np.clip(((place - EDGES[0]) / width).astype(np.int64), 0, len(share) - 1)
        log_proposal += np.log(share[cell] / (width * deviation[branch]))
    every = trees.take(np.zeros(num, dtype=np.int64))
    values = [likelihood.value(every.take(rows), draws[rows]) for rows in likelihood.chunks(every)]
    return np.asarray(np.concatenate(values) - log_proposal)


def log_mean(log_weights: FloatArray) -> tuple[float, float]:
    """log of the mean of exp(log_weights) (n,), and its standard error, which is infinite if n is 1."""
    weights = np.exp(log_weights - log_weights.max())
    value = float(log_weights.max() + np.log(weights.mean()))
    if len(weights) == 1:
        return value, math.inf
    return value, float(weights.std(ddof=1) / weights.mean() / math.sqrt(len(weights)))
