"""Metrics of sampled objects and their rewards: functions of arrays, which know of no agent."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.dag import Dag

# scipy.stats takes a second to import, so the functions that need it import it themselves.

#: Critical value of the two-sample Anderson-Darling statistic at level 5% (Scholz and Stephens 1987).
ANDERSON_DARLING_5_PERCENT = 1.961

#: Rows (n, w) and rows (m, w) -> their distances (n, m).
Distance = Callable[[IntArray, IntArray], FloatArray]


def mean_and_error(values: npt.ArrayLike) -> tuple[float, float | None]:
    """Mean of ``values`` (n,) and its standard error, None where n is 1 or a value is infinite."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float(values.mean()), None
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


# ---------------------------------------------------------------------- rewards


def in_units(value: float | None, log_unit: float) -> float | None:
    """``value * exp(log_unit)``; None where that is too large for a number, or ``value`` is None."""
    if not value:
        return value
    log_value = math.log(value) + log_unit
    return math.exp(log_value) if log_value <= exact.LARGEST_LOG else None


def relative_error(mean_reward: float, target_mean: float) -> float:
    """abs(E R - E* R) / E* R (Shen et al. 2023)."""
    return abs(mean_reward - target_mean) / target_mean


def accuracy(mean_reward: float, target_mean: float) -> float:
    """E R / E* R clipped to [0, 1] (Niu et al. 2024)."""
    return float(np.clip(mean_reward / target_mean, 0.0, 1.0))


def anderson_darling(rewards: FloatArray, target_rewards: FloatArray) -> float | None:
    """Two-sample Anderson-Darling statistic over its 5% critical value (Shen et al. 2023).

    Args:
        rewards: of objects that a model sampled (n,).
        target_rewards: of objects drawn in proportion to their reward (m,).

    Returns:
        Above 1 the two differ at level 5%; can be negative. None where all rewards are equal.
    """
    from scipy import stats

    if np.ptp(np.concatenate([rewards, target_rewards])) == 0:
        return None
    with warnings.catch_warnings():  # of p-values beyond its table; only the statistic is used
        warnings.simplefilter("ignore")
        statistic = stats.anderson_ksamp([rewards, target_rewards]).statistic
    return float(statistic / ANDERSON_DARLING_5_PERCENT)


def correlations(log_reward: FloatArray, log_p: FloatArray) -> tuple[float | None, float | None]:
    """Pearson and Spearman correlation of log R(x) with log p(x) over test objects, both (n,).

    None where undefined: fewer than two objects, all values of one side equal, and for Pearson's also an infinite one.
    """
    from scipy import stats

    if len(log_p) < 2 or np.all(log_reward == log_reward[0]) or np.all(log_p == log_p[0]):
        return None, None
    finite = np.isfinite(log_p).all() and np.isfinite(log_reward).all()
    pearson = float(stats.pearsonr(log_reward, log_p).statistic) if finite else None
    return pearson, float(stats.spearmanr(log_reward, log_p).statistic)


def correlation_errors(
    log_reward: FloatArray, log_p: FloatArray, rng: np.random.Generator, resamples: int = 200
) -> tuple[float | None, float | None]:
    """Standard errors of :func:`correlations`, by the bootstrap over test objects; None where one is undefined."""
    n = len(log_p)
    if n < 2:
        return None, None
    drawn = (rng.integers(n, size=n) for _ in range(resamples))
    pearson, spearman = zip(*(correlations(log_reward[rows], log_p[rows]) for rows in drawn), strict=True)
    return _spread(pearson), _spread(spearman)


def _spread(values: Sequence[float | None]) -> float | None:
    """Standard deviation; None where a value is."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) == len(values) else None


# ---------------------------------------------------------------------- objects


def hamming(a: IntArray, b: IntArray) -> FloatArray:
    """Number of positions where rows ``a`` (n, w) and ``b`` (m, w) differ, float64 (n, m)."""
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
    """Mean, over ``objects`` (k, w), of the distance to the nearest of ``reference`` (m, w) (Jain et al. 2022)."""
    if not len(objects) or not len(reference):
        raise ValueError(f"novelty needs objects and a reference set, got {len(objects)} and {len(reference)}")
    nearest = np.full(len(objects), np.inf)
    for start in range(0, len(reference), 4096):
        np.minimum(nearest, distance(objects, reference[start : start + 4096]).min(1), out=nearest)
    return float(nearest.mean())


def best_objects(objects: IntArray, rewards: FloatArray) -> tuple[IntArray, FloatArray]:
    """Distinct ``objects`` (n, w) and their ``rewards`` (n,), best first; equal rewards in order of appearance."""
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
        objects: samples (n, w), repetitions included.
        log_reward: theirs (n,).
        ks: each at least 2.
        distance: between objects.
        reference: known objects (m, w), for the novelty.

    Returns:
        For each K ``top_K_reward`` (mean), ``top_K_diversity`` and, given a reference set, ``top_K_novelty``; None
        where there are fewer than K distinct objects.
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


def distances(p: FloatArray, q: FloatArray, log_q: FloatArray | None = None) -> dict[str, float]:
    """``tv``, ``jsd``, ``kl`` = KL(p || q) and ``l1_mean`` between two distributions over objects; log q where it is
    known better than from q, which may be too small for a number."""
    return {
        "tv": exact.total_variation(p, q),
        "jsd": exact.jensen_shannon(p, q),
        "kl": exact.kl_divergence(p, q, log_q),
        "l1_mean": exact.l1_mean(p, q),
    }


class EmpiricalDistribution:
    """How often each object occurs among the last ``capacity`` sampled ones.

    Args:
        dag: an enumerable DAG.
        capacity: samples remembered; the oldest are forgotten first.

    Raises:
        EnumerationError: when the DAG is too large.
        ValueError: a capacity below 1.
    """

    def __init__(self, dag: Dag, capacity: int = 200_000):
        if capacity < 1:
            raise ValueError(f"EmpiricalDistribution: capacity must be at least 1, got {capacity}")
        self.dag, self.capacity, self.total = dag, capacity, 0
        self.counts = np.zeros(len(dag.terminal_states()), dtype=np.int64)
        self._recent = np.empty(capacity, dtype=np.int64)

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def add(self, objects: IntArray) -> None:
        """Add terminal states (n, state_width), oldest first. Raises KeyError for anything else."""
        index = self.dag.terminal_index(objects)
        slots = (self.total + np.arange(len(index))) % self.capacity
        # Only the last `capacity` of a large batch stay, and only slots that were full lose a sample.
        stay, full = index[-self.capacity :], slots[-self.capacity :] < len(self)
        slots = slots[-self.capacity :]
        self.counts -= np.bincount(self._recent[slots[full]], minlength=len(self.counts))
        self.counts += np.bincount(stay, minlength=len(self.counts))
        self._recent[slots] = stay
        self.total += len(index)

    def probabilities(self) -> FloatArray:
        """Relative frequency of each object, float64 (num_terminal_states,), in the order of ``terminal_states()``."""
        if not self.total:
            raise ValueError("EmpiricalDistribution: no samples yet")
        return self.counts / len(self)

    def distances(self) -> dict[str, float]:
        """:func:`distances` from the frequencies to R / Z.

        With n samples even an exact sampler shows a total variation of about sqrt(objects / (2 pi n)).
        """
        return distances(self.probabilities(), exact.target_distribution(self.dag))
