"""Metrics of several objectives against brute force and known volumes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agents.evaluation.pareto import hypervolume, igd_plus, pareto_front, pareto_metrics, r2


def dominated(scores: np.ndarray) -> np.ndarray:
    return np.array([((scores >= row).all(1) & (scores > row).any(1)).any() for row in scores])


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (7, 3), elements=st.sampled_from([0.1, 0.4, 0.5, 0.9])))
def test_front_and_hypervolume_by_brute_force(scores: np.ndarray) -> None:
    np.testing.assert_array_equal(pareto_front(scores), np.flatnonzero(~dominated(scores)))
    # The volume by inclusion of the cells of a grid with lines at every score.
    lines = np.array([0.0, 0.1, 0.4, 0.5, 0.9])
    corners = np.stack(np.meshgrid(*[lines[1:]] * 3, indexing="ij"), -1).reshape(-1, 3)
    sides = np.stack(np.meshgrid(*[np.diff(lines)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = (corners[:, None] <= scores[None] + 1e-12).all(2).any(1)
    assert hypervolume(scores) == pytest.approx(sides[inside].prod(1).sum())


def test_metrics_of_a_front_by_hand() -> None:
    objects = np.array([[0, 0], [0, 1], [1, 1], [0, 0], [2, 2]])
    scores = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.4, 0.4]])
    found = pareto_metrics(objects, scores, front=scores[:3])
    assert found["front_size"] == 3
    assert found["hypervolume"] == pytest.approx(0.25)
    assert found["hypervolume_share"] == pytest.approx(1)
    assert found["igd_plus"] == 0
    flat = pareto_metrics(objects, scores, front=np.array([[1.0, 0.0]]))
    assert flat["hypervolume_share"] is None  # The true front has no volume.
    assert found["front_diversity"] == pytest.approx((1 + 2 + 1) * 2 / 6)
    assert igd_plus(scores[1:2], scores[:3]) == pytest.approx((0.5 + 0 + 0.5) / 3)
    assert r2(scores[1:2], np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx((0.5 + 0.25) / 2)
    assert pareto_metrics(objects[:1], scores[:1])["front_diversity"] is None
