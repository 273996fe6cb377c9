"""Local scores of discrete columns."""

from __future__ import annotations

import math

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.bayes_net.families import by_number_of_parents, log_gamma

#: Entries of the arrays per chunk.
CHUNK = 2**20


class BDeu:
    """log marginal likelihood of discrete data under Dirichlet priors; equal for Markov-equivalent graphs.

    The probabilities of the r values of a node, for each of the q configurations of its parents, are
    Dirichlet(s / (q r)) with the equivalent sample size s (Heckerman, Geiger and Chickering 1995, equation 35 with the
    uniform prior of Buntine 1991). Values that a column does not have are not counted in q and r.

    Args:
        data: the values of each column, float64 (N, d). Equal numbers are one value.
        equivalent_sample_size: s > 0.

    Raises:
        ValueError: ``equivalent_sample_size`` is out of range.
    """

    def __init__(self, data: FloatArray, equivalent_sample_size: float = 1.0):
        if not 0 < equivalent_sample_size < math.inf:
            raise ValueError(f"BDeu: equivalent_sample_size must be finite and > 0, got {equivalent_sample_size}")
        self.size = float(equivalent_sample_size)
        coded = [np.unique(column, return_inverse=True) for column in data.T]
        self.levels = np.array([len(levels) for levels, _ in coded])
        self._codes = np.stack([codes.reshape(-1) for _, codes in coded])  # (d, N)

    def __call__(self, nodes: IntArray, parents: BoolArray) -> FloatArray:
        def scores(nodes: IntArray, columns: IntArray) -> FloatArray:
            step = max(1, CHUNK // self._codes.shape[1])
            parts = [slice(first, first + step) for first in range(0, len(nodes), step)]
            return np.concatenate([self._scores(nodes[part], columns[part]) for part in parts])

        return by_number_of_parents(scores, nodes, parents)

    def _scores(self, nodes: IntArray, columns: IntArray) -> FloatArray:
        """Scores of nodes (m,) with parents (m, p)."""
        m, p = columns.shape
        per_configuration = self.size / np.prod(self.levels[columns].astype(np.float64), axis=1)
        # One key per row of data and family: first the family, then the value of each parent.
        keys, bound = np.repeat(np.arange(m)[:, None], self._codes.shape[1], axis=1), m
        for i in range(p):
            keys, bound = self._with_value(keys, bound, columns[:, i])
        total = _log_rising(keys, per_configuration)
        keys, _ = self._with_value(keys, bound, nodes)
        return _log_rising(keys, per_configuration / self.levels[nodes]) - total

    def _with_value(self, keys: IntArray, bound: int, columns: IntArray) -> tuple[IntArray, int]:
        """Keys (m, N) below ``bound``, each with the value of one more column (m,), and the new bound."""
        radix = int(self.levels.max())
        if bound * radix >= 2**62:
            keys = np.unique(keys, return_inverse=True)[1].reshape(keys.shape)
            bound = keys.size
        return keys * radix + self._codes[columns], bound * radix


def _log_rising(keys: IntArray, weights: FloatArray) -> FloatArray:
    """Sums (m,) of log Gamma(weight + count) - log Gamma(weight) over the counts of each key in each row (m, N)."""
    _, first, counts = np.unique(keys, return_index=True, return_counts=True)
    row = first // keys.shape[1]
    terms = log_gamma(weights[row] + counts) - log_gamma(weights[row])
    return np.bincount(row, weights=terms, minlength=len(weights))
