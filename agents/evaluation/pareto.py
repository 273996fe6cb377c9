"""Metrics of several objectives, all to be maximized: Pareto front, hypervolume, IGD+, R2, diversity of the front.

Fronts, hypervolumes and IGD+ are those of pymoo (extra ``pareto``), which minimizes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.evaluation.metrics import Distance, diversity, hamming
from gfn_envs.arrays import FloatArray, IntArray, distinct


def _pymoo() -> Any:
    try:
        from pymoo.indicators.hv import HV
        from pymoo.indicators.igd_plus import IGDPlus
        from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
    except ImportError as error:
        raise ImportError(
            f'metrics of several objectives need pymoo ({error}): pip install "gfn-envs[pareto]"'
        ) from None
    return HV, IGDPlus, NonDominatedSorting


def pareto_front(scores: FloatArray) -> IntArray:
    """Positions of the rows of ``scores`` (n, m) that no other row dominates, in order, int64 (f,).

    A row dominates another if it is at least as large everywhere, and larger somewhere. Equal rows are all included.
    """
    sorting = _pymoo()[2]()
    return np.sort(sorting.do(-np.asarray(scores, np.float64), only_non_dominated_front=True)).astype(np.int64)


def hypervolume(scores: FloatArray, reference: FloatArray | float = 0.0) -> float:
    """Volume that the rows of ``scores`` (n, m) dominate above ``reference`` (m,)."""
    point = np.broadcast_to(np.asarray(reference, np.float64), scores.shape[1:])
    return float(_pymoo()[0](ref_point=-point)(-np.asarray(scores, np.float64)))


def igd_plus(scores: FloatArray, front: FloatArray) -> float:
    """Mean distance from the points of the true ``front`` (f, m) to ``scores`` (n, m), counting shortfalls only."""
    return float(_pymoo()[1](-np.asarray(front, np.float64))(-np.asarray(scores, np.float64)))


def r2(scores: FloatArray, weights: FloatArray, ideal: FloatArray | float = 1.0) -> float:
    """Mean over ``weights`` (k, m) of the smallest max_i w_i (ideal_i - r_i) of a row, lower is better.

    Hansen and Jaszkiewicz 1994, with weighted Tchebycheff functions.
    """
    short = np.broadcast_to(np.asarray(ideal, np.float64), scores.shape[1:]) - scores
    return float((weights[:, None] * short[None]).max(2).min(1).mean())


def pareto_metrics(
    objects: IntArray,
    scores: FloatArray,
    front: FloatArray | None = None,
    reference: FloatArray | float = 0.0,
    distance: Distance = hamming,
) -> dict[str, Any]:
    """Metrics of samples by their objectives.

    Args:
        objects: terminal states (n, w), with repetitions.
        scores: their objectives (n, m), to be maximized, about in [0, 1].
        front: the true Pareto front (f, m), for IGD+ and the share of its hypervolume; None if it is not known.
        reference: point (m,) above which hypervolumes are measured.
        distance: distance between objects, for the diversity of the front.

    Returns:
        ``front``: the distinct objects that no sample dominates (f, w); ``front_scores`` (f, m); ``front_size``;
        ``hypervolume``; ``r2`` over 100 evenly drawn weights; ``front_diversity``, None of fewer than two objects; with
        the true front, ``igd_plus`` and ``hypervolume_share``.
    """
    unique, inverse = distinct(np.ascontiguousarray(objects))
    values = np.empty((len(unique), scores.shape[1]))
    values[inverse] = scores
    best = pareto_front(values)
    found, own = unique[best], values[best]
    weights = np.random.default_rng(0).dirichlet(np.ones(scores.shape[1]), size=100)
    result: dict[str, Any] = {
        "front": found,
        "front_scores": own,
        "front_size": len(found),
        "hypervolume": hypervolume(own, reference),
        "r2": r2(own, weights),
        "front_diversity": diversity(found, distance) if len(found) > 1 else None,
    }
    if front is not None:
        result["igd_plus"] = igd_plus(own, front)
        whole = hypervolume(front, reference)
        result["hypervolume_share"] = result["hypervolume"] / whole if whole > 0 else None
    return result
