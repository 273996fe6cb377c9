"""Correlations of log R(x) with log p(x) over test objects, their standard errors and biases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.evaluation.metrics import log_mean_exp
from gfn_envs.arrays import FloatArray

# Importing scipy.stats takes a second. Only the function that needs it does so.


def correlations(log_reward: FloatArray, log_p: FloatArray) -> tuple[float | None, float | None]:
    """Pearson and Spearman correlation of log R(x) with log p(x) over test objects, both (n,).

    A correlation is None if it is undefined: fewer than two objects, a value that is NaN, or one side that is constant
    up to rounding. Pearson's is also None if a value is infinite.
    """
    from scipy import stats

    if len(log_p) < 2 or not (_varies(log_reward) and _varies(log_p)):
        return None, None
    finite = np.isfinite(log_p).all() and np.isfinite(log_reward).all()
    pearson = float(stats.pearsonr(log_reward, log_p).statistic) if finite else None
    return pearson, float(stats.spearmanr(log_reward, log_p).statistic)


def _varies(values: FloatArray) -> bool:
    """False if values (n,) contain NaN, or are equal up to rounding."""
    if not np.isfinite(values).all():
        return not np.isnan(values).any() and bool((values != values[0]).any())
    return bool(np.ptp(values) > 1e-12 * max(1.0, float(np.abs(values).max())))


def correlation_errors(
    log_reward: FloatArray, log_p: FloatArray, rng: np.random.Generator, resamples: int = 200
) -> tuple[float | None, float | None]:
    """Standard errors of :func:`correlations`, by the bootstrap over test objects.

    They assume test objects drawn at random from a population. They include the noise of log p if it is estimated
    independently for each object, but not its bias: see :func:`correlation_biases`. An error is None if the correlation
    of some resample is undefined.
    """
    n = len(log_p)
    if n < 2:
        return None, None
    drawn = (rng.integers(n, size=n) for _ in range(resamples))
    pearson, spearman = zip(*(correlations(log_reward[rows], log_p[rows]) for rows in drawn), strict=True)
    return _spread(pearson), _spread(spearman)


def correlation_biases(log_reward: FloatArray, log_weights: FloatArray) -> tuple[float | None, float | None]:
    """Estimated biases of :func:`correlations` with log p(x) = log of the mean of K weights per object.

    Noise of log p changes a correlation by about b / K, mostly toward 0. The correlations from K and from K / 2
    weights differ by b / K. This estimate is too small if a few weights dominate each mean: then K is too small.

    Args:
        log_reward: log R of the objects (n,).
        log_weights: log of P_F(tau) / P_B(tau|x) of K trajectories per object (n, K), K >= 2.

    Returns:
        Biases of Pearson's and Spearman's correlation, None if a correlation is undefined. Correlation minus bias is
        the better estimate.
    """
    k = log_weights.shape[1]
    half = k // 2
    all_of_them = correlations(log_reward, log_mean_exp(log_weights))
    halves = [correlations(log_reward, log_mean_exp(part)) for part in (log_weights[:, :half], log_weights[:, -half:])]
    first, second = (
        None if None in (full, *parts) else (sum(parts) / 2 - full) * half / (k - half)
        for full, *parts in zip(all_of_them, *halves, strict=True)
    )
    return first, second


def _spread(values: Sequence[float | None]) -> float | None:
    """Standard deviation of ``values``, or None if one of them is None."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) == len(values) else None
