"""Importance sampling of branch lengths where it is exact: a Gaussian integrand with strong correlations."""

from __future__ import annotations

import numpy as np
import pytest

from gfn_envs.envs.phylogenetics.branch_sampling import log_importance_weights, log_mean
from gfn_envs.envs.phylogenetics.likelihood import PLACES
from gfn_envs.envs.phylogenetics.pruning import Trees, trees_of


class Gaussian:
    """An integrand exp(-y'H y / 2) with the interface of a likelihood."""

    def __init__(self, hessian: np.ndarray):
        self.matrix = hessian

    def chunks(self, trees: Trees) -> list[np.ndarray]:
        return [np.arange(len(trees.left))]

    def value(self, trees: Trees, log_lengths: np.ndarray) -> np.ndarray:
        return -np.einsum("ni,ij,nj->n", log_lengths, self.matrix, log_lengths) / 2

    def profile(self, trees: Trees, log_lengths: np.ndarray, hessian: np.ndarray) -> np.ndarray:
        return np.tile(-(PLACES**2) / 2, (1, len(self.matrix), 1))


def test_all_weights_of_a_gaussian_are_its_integral() -> None:
    rng = np.random.default_rng(0)
    trees = trees_of(np.array([[0, 2, 0]]), np.array([[1, 3, 2]]))
    factor = rng.standard_normal((5, 5)) + 0.3 * np.eye(5)
    hessian = np.eye(6)
    branches = np.delete(np.arange(6), trees.no_branch[0])
    hessian[np.ix_(branches, branches)] = factor @ factor.T
    correlation = np.linalg.inv(hessian[np.ix_(branches, branches)])
    correlation /= np.sqrt(np.outer(np.diagonal(correlation), np.diagonal(correlation)))
    assert np.linalg.slogdet(correlation)[1] < -3  # the test could fail
    weights = log_importance_weights(Gaussian(hessian), trees, np.zeros((1, 6)), hessian[None], 500, rng)
    expected = (5 * np.log(2 * np.pi) - np.linalg.slogdet(hessian)[1]) / 2
    assert log_mean(weights)[0] == pytest.approx(expected, abs=0.05)
    assert np.median(weights) == pytest.approx(expected, abs=0.05)


def test_log_mean_and_its_error() -> None:
    logs = np.log([1.0, 2.0, 3.0, 6.0]) + 1000
    assert log_mean(logs) == pytest.approx((1000 + np.log(3), np.std([1, 2, 3, 6], ddof=1) / 3 / 2))
    assert log_mean(logs[:1]) == (1000.0, np.inf)
