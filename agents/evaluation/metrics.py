"""Metrics as functions of arrays: probabilities, log-rewards and objects in, numbers out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray, row_keys

# Importing scipy.stats takes a second. Only the functions that need it do so.

#: Critical value of the two-sample Anderson-Darling statistic at level 5% (Scholz and Stephens 1987).
ANDERSON_DARLING_5_PERCENT = 1.961

#: (rows (n, w), rows (m, w)) -> distances (n, m).
Distance = Callable[[IntArray, IntArray], FloatArray]


def mean_and_error(values: npt.ArrayLike) -> tuple[float, float | None]:
    """Mean of ``values`` (n,) and its standard error. The error is None if n is 1 or a value is not finite."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float(values.mean()), None
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


# ---------------------------------------------------------------------- rewards


def in_units(value: float | None, log_unit: float) -> float | None:
    """``value * exp(log_unit)``. None if ``value`` is None or the product overflows double precision."""
    if not value:
        return value
    log_value = math.log(value) + log_unit
    return math.exp(log_value) if log_value <= exact.LARGEST_LOG else None


def reward_of(log_reward: float) -> float | None:
    """R > 0 of one object; None if it is outside the range of double precision, where 0 would be wrong."""
    return in_units(1.0, log_reward) or None


def histogram_edges(values: FloatArray, bins: int) -> FloatArray:
    """Edges of equal bins over the finite ``values`` (n,), (k + 1,); one bin if these are equal up to rounding."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    size = max(1.0, abs(low), abs(high))
    if high - low <= 1e-9 * size:
        return np.array([low - 0.5 * size, low + 0.5 * size])
    return np.linspace(low, high, bins + 1)


def relative_error(mean_reward: float, target_mean: float) -> float:
    """abs(E R - E* R) / E* R, with E* the mean under the target (Shen et al. 2023)."""
    return abs(mean_reward - target_mean) / target_mean


def accuracy(mean_reward: float, target_mean: float) -> float:
    """E R / E* R clipped to [0, 1] (Niu et al. 2024)."""
    return float(np.clip(mean_reward / target_mean, 0.0, 1.0))


def anderson_darling(rewards: FloatArray, target_rewards: FloatArray) -> float | None:
    """Two-sample Anderson-Darling statistic over its 5% critical value (Shen et al. 2023).

    Args:
        rewards: rewards of a model's samples (n,).
        target_rewards: rewards of objects drawn in proportion to their reward (m,).

    Returns:
        A value above 1 means that the two differ at level 5%. It can be negative. None if all rewards are equal.
    """
    from scipy import stats

    if np.ptp(np.concatenate([rewards, target_rewards])) == 0:
        return None
    with warnings.catch_warnings():  # SciPy warns of p-values outside its table. Only the statistic is used.
        warnings.simplefilter("ignore")
        statistic = stats.anderson_ksamp([rewards, target_rewards]).statistic
    return float(statistic / ANDERSON_DARLING_5_PERCENT)


def log_mean_exp(log_weights: FloatArray) -> FloatArray:
    """log of the mean of exp(log_weights) over the last axis, float64 (n,), for log weights (n, K)."""
    top = log_weights.max(-1, keepdims=True)
    top = np.where(np.isneginf(top), 0.0, top)
    with np.errstate(divide="ignore"):
        found: FloatArray = np.log(np.exp(log_weights - top).mean(-1)) + top[..., 0]
    return found


# ---------------------------------------------------------------------- objects


def hamming(a: IntArray, b: IntArray) -> FloatArray:
    """Number of positions in which rows ``a`` (n, w) and ``b`` (m, w) differ, float64 (n, m)."""
    from scipy.spatial.distance import cdist

    return np.rint(cdist(a, b, "hamming") * a.shape[1])


def diversity(objects: IntArray, distance: Distance = hamming) -> float:
    """Mean distance over the k(k - 1) ordered pairs of ``objects`` (k, w), k >= 2 (Jain et al. 2022)."""
    k = len(objects)
    if k < 2:
        raise ValueError(f"diversity needs at least 2 objects, got {k}")
    table = np.asarray(distance(objects, objects), dtype=np.float64)
    return float((table.sum() - np.trace(table)) / (k * (k - 1)))


def novelty(objects: IntArray, reference: IntArray, distance: Distance = hamming) -> float:
    """Mean distance from each of ``objects`` (k, w) to the nearest of ``reference`` (m, w) (Jain et al. 2022)."""
    if not len(objects) or not len(reference):
        raise ValueError(f"novelty needs objects and a reference set, got {len(objects)} and {len(reference)}")
    nearest = np.full(len(objects), np.inf)
    for start in range(0, len(reference), 4096):
        np.minimum(nearest, distance(objects, reference[start : start + 4096]).min(1), out=nearest)
    return float(nearest.mean())


def best_objects(objects: IntArray, rewards: FloatArray) -> tuple[IntArray, FloatArray]:
    """Distinct ``objects`` (n, w) and their ``rewards`` (n,), best first. Ties keep their order of appearance."""
    first = np.sort(np.unique(row_keys(objects), return_index=True)[1])
    order = first[np.argsort(-rewards[first], kind="stable")]
    return objects[order], rewards[order]


def top_k(
    objects: IntArray,
    log_reward: FloatArray,
    ks: Sequence[int] = (10, 50, 100),
    distance: Distance = hamming,
    reference: IntArray | None = None,
) -> dict[str, float | None]:
    """Reward, diversity and novelty of the K best distinct objects among samples.

    Args:
        objects: samples (n, w), with repetitions.
        log_reward: log R of each sample (n,).
        ks: values of K, at least 2 each.
        distance: distance between objects.
        reference: known objects (m, w) for the novelty.

    Returns:
        For each K ``top_K_reward`` (mean), ``top_K_diversity`` and, given a reference set, ``top_K_novelty``. They are
        None if there are fewer than K distinct objects.
    """
    best, best_log_reward = best_objects(objects, log_reward)
    unit = float(best_log_reward[0])
    metrics: dict[str, float | None] = {}
    for k in ks:
        enough = len(best) >= k
        mean = float(np.exp(best_log_reward[:k] - unit).mean())
        metrics[f"top_{k}_reward"] = in_units(mean, unit) if enough else None
        metrics[f"top_{k}_diversity"] = diversity(best[:k], distance) if enough else None
        if reference is not None:
            metrics[f"top_{k}_novelty"] = novelty(best[:k], reference, distance) if enough else None
    return metrics


# ---------------------------------------------------------------------- distributions over all objects


class Target(NamedTuple):
    """The distribution R(x) / Z over all objects."""

    log_reward: FloatArray
    """log R of every object, float64 (m,)."""
    log_z: float
    """log of the sum of all rewards."""
    probabilities: FloatArray
    """R(x) / Z of every object, float64 (m,)."""

    @classmethod
    def of(cls, log_reward: FloatArray) -> Target:
        """The target with these log-rewards (m,)."""
        return cls(log_reward, exact.log_sum_exp(log_reward), exact.softmax(log_reward))

    @property
    def log_unit(self) -> float:
        """log of the largest reward. R itself may be too large or too small for double precision."""
        return float(self.log_reward.max())

    @property
    def scaled_reward(self) -> FloatArray:
        """R(x) in units of the largest reward, float64 (m,)."""
        return np.exp(self.log_reward - self.log_unit)

    @property
    def scaled_mean(self) -> float:
        """Mean reward under the target, sum R^2 / sum R, in units of the largest reward."""
        return float(self.probabilities @ self.scaled_reward)


def distances(p: FloatArray, q: FloatArray, log_q: FloatArray | None = None) -> dict[str, float]:
    """Distances between two distributions over the same objects.

    Args:
        p: probabilities (m,).
        q: probabilities (m,).
        log_q: log q. It keeps the KL divergence finite if entries of q are below double precision.

    Returns:
        ``tv``: total variation in [0, 1]. ``jsd``: Jensen-Shannon divergence in nats. ``kl``: KL(p || q) in nats.
        ``l1_mean``: mean of abs(p - q) over objects.
    """
    return {
        "tv": exact.total_variation(p, q),
        "jsd": exact.jensen_shannon(p, q),
        "kl": exact.kl_divergence(p, q, log_q),
        "l1_mean": exact.l1_mean(p, q),
    }


EXACT_METRICS = ("tv", "jsd", "kl", "l1_mean", "log_z_error", "mean_reward", "target_mean_reward", "mean_reward_error")


def exact_metrics(learned: FloatArray, target: Target, log_z: float | None = None) -> dict[str, float | None]:
    """Distances between the sampled distribution P_T and the target R / Z.

    Args:
        learned: P_T of every object (m,).
        target: the target over the same objects.
        log_z: the model's estimate of log Z, if it has one.

    Returns:
        :func:`distances` from P_T to R / Z. ``log_z_error``: abs(estimate - log Z), None without an estimate.
        ``mean_reward``: mean of R under P_T. ``target_mean_reward``: sum R^2 / sum R. Both are None if they overflow
        double precision. ``mean_reward_error``: their relative difference (Shen et al. 2023).
    """
    mean = float(learned @ target.scaled_reward)
    return {
        **distances(learned, target.probabilities, target.log_reward - target.log_z),
        "log_z_error": None if log_z is None else abs(log_z - target.log_z),
        "mean_reward": in_units(mean, target.log_unit),
        "target_mean_reward": in_units(target.scaled_mean, target.log_unit),
        "mean_reward_error": relative_error(mean, target.scaled_mean),
    }


def sampled_mean_metrics(log_reward: FloatArray, target: Target) -> dict[str, float | None]:
    """The mean reward of samples against the target's mean reward.

    Args:
        log_reward: log R of each sample (n,).
        target: the target.

    Returns:
        ``sampled_mean_reward_error``: relative error. ``percent_of_target_mean``: 100 E R / E* R. Each has its standard
        error under the same name with ``_se``.
    """
    mean, error = mean_and_error(np.exp(log_reward - target.log_unit))
    return {
        "sampled_mean_reward_error": relative_error(mean, target.scaled_mean),
        "sampled_mean_reward_error_se": None if error is None else error / target.scaled_mean,
        "percent_of_target_mean": 100 * mean / target.scaled_mean,
        "percent_of_target_mean_se": None if error is None else 100 * error / target.scaled_mean,
    }
