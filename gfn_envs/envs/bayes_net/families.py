"""Local scores of families: a node and its parents."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray

#: Function from nodes int64 (m,) and parents bool (m, d) to log scores float64 (m,).
LocalScore = Callable[[IntArray, BoolArray], FloatArray]

#: Largest absolute error of a local score, in nats.
MAX_ERROR = 1e-6

log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


def by_number_of_parents(
    scores: Callable[[IntArray, IntArray], FloatArray], nodes: IntArray, parents: BoolArray
) -> FloatArray:
    """Scores (m,) of nodes: one call ``scores(nodes (k,), columns of parents (k, p))`` per number p of parents."""
    result, counts = np.empty(len(nodes)), parents.sum(1)
    for p in np.unique(counts):
        rows = np.flatnonzero(counts == p)
        result[rows] = scores(nodes[rows], np.nonzero(parents[rows])[1].reshape(len(rows), p))
    return result
