"""Levenshtein and Hamming distances between strings, computed by rapidfuzz (the extra ``diversity``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

METRICS = ("levenshtein", "hamming")


def pairwise_distances(
    strings: Sequence[str], others: Sequence[str] | None = None, metric: str = "levenshtein"
) -> IntArray:
    """Distances between ``strings`` (n) and ``others`` (m), int32 (n, m).

    Args:
        strings: the first strings; all of the same length for "hamming".
        others: the second strings; None: ``strings``.
        metric: "levenshtein" (the number of insertions, deletions and substitutions) or "hamming".

    Raises:
        ValueError: ``metric`` is unknown, or strings have different lengths for "hamming".
        ImportError: rapidfuzz is not installed.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}, got {metric!r}")
    others = strings if others is None else others
    lengths = {len(string) for string in (*strings, *others)}
    if metric == "hamming" and len(lengths) > 1:
        raise ValueError(f"Hamming distances need strings of one length, got lengths {sorted(lengths)}")
    try:
        from rapidfuzz import distance, process
    except ImportError:
        raise ImportError('distances between strings need rapidfuzz: pip install "gfn-envs[diversity]"') from None
    scorer = distance.Levenshtein.distance if metric == "levenshtein" else distance.Hamming.distance
    if not len(strings) or not len(others):
        return np.zeros((len(strings), len(others)), dtype=np.int32)
    return np.asarray(process.cdist(strings, others, scorer=scorer, dtype=np.int32))


def diversity(strings: Sequence[str], metric: str = "levenshtein") -> float:
    """Mean distance over all pairs of ``strings``; 0 for fewer than two (Jain et al. 2022)."""
    n = len(strings)
    return float(pairwise_distances(strings, metric=metric).sum() / (n * (n - 1))) if n > 1 else 0.0


def novelty(strings: Sequence[str], known: Sequence[str], metric: str = "levenshtein") -> float:
    """Mean distance from each of ``strings`` to the nearest of ``known`` (Jain et al. 2022).

    Raises:
        ValueError: ``strings`` or ``known`` is empty.
    """
    if not len(strings) or not len(known):
        raise ValueError(f"novelty needs at least one string and one known string, got {len(strings)} and {len(known)}")
    nearest: FloatArray = pairwise_distances(strings, known, metric).min(1)
    return float(nearest.mean())
