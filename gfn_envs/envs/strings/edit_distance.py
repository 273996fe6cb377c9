"""How different strings are: Levenshtein and Hamming distances through rapidfuzz (the extra ``diversity``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

METRICS = ("levenshtein", "hamming")


def pairwise_distances(
    strings: Sequence[str], others: Sequence[str] | None = None, metric: str = "levenshtein"
) -> IntArray:
    """Distances int32 (n, m) of ``strings`` from ``others``, or from each other.

    Args:
        strings, others: texts; of equal length for "hamming".
        metric: "levenshtein" (insertions, deletions and substitutions count 1) or "hamming".

    Raises:
        ValueError: another metric, or texts of different lengths for "hamming".
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
    """Mean distance over all pairs of two of ``strings``, 0 for fewer than two (Jain et al. 2022)."""
    n = len(strings)
    return float(pairwise_distances(strings, metric=metric).sum() / (n * (n - 1))) if n > 1 else 0.0


def novelty(strings: Sequence[str], known: Sequence[str], metric: str = "levenshtein") -> float:
    """Mean distance of ``strings`` from the nearest of ``known`` (Jain et al. 2022).

    Raises:
        ValueError: either is empty.
    """
    if not len(strings) or not len(known):
        raise ValueError(f"novelty needs strings and known ones, got {len(strings)} and {len(known)}")
    nearest: FloatArray = pairwise_distances(strings, known, metric).min(1)
    return float(nearest.mean())
