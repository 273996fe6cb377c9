"""Distances between strings, compared with the textbook recursion."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from gfn_envs.envs.strings.edit_distance import diversity, novelty, pairwise_distances


@functools.cache
def levenshtein(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(levenshtein(a[1:], b) + 1, levenshtein(a, b[1:]) + 1, levenshtein(a[1:], b[1:]) + (a[0] != b[0]))


def hamming(a: str, b: str) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


WORDS = ["", "A", "ACGT", "CGTA", "ACGTT", "TTTT", "TACG", "GGGGGGG"]
EQUAL = ["ACGT", "CGTA", "ACGA", "ACGT"]


def test_distances() -> None:
    found = pairwise_distances(WORDS, EQUAL)
    assert found.dtype == np.int32
    assert found.tolist() == [[levenshtein(a, b) for b in EQUAL] for a in WORDS]
    assert pairwise_distances(EQUAL, metric="hamming").tolist() == [[hamming(a, b) for b in EQUAL] for a in EQUAL]
    assert pairwise_distances([], WORDS).shape == (0, len(WORDS))


def test_diversity_and_novelty() -> None:
    pairs = list(itertools.combinations(WORDS, 2))
    assert np.isclose(diversity(WORDS), np.mean([levenshtein(a, b) for a, b in pairs]))
    assert np.isclose(
        diversity(EQUAL, "hamming"), np.mean([hamming(a, b) for a, b in itertools.combinations(EQUAL, 2)])
    )
    assert (diversity([]), diversity(["ACGT"])) == (0.0, 0.0)
    assert np.isclose(novelty(WORDS, EQUAL), np.mean([min(levenshtein(a, b) for b in EQUAL) for a in WORDS]))


def test_bad_arguments_raise() -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        diversity(WORDS, "jaro")
    with pytest.raises(ValueError, match="of one length, got lengths"):
        diversity(WORDS, "hamming")
    with pytest.raises(ValueError, match="got 8 and 0"):
        novelty(WORDS, [])
