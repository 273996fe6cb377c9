"""Hidden layers that a rollout keeps for the gradient step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


class Kept(NamedTuple):
    """Hidden layers of the last rollout, which save a gradient step on it from evaluating its states again.

    Attributes:
        weights: fingerprint of the weights.
        states: distinct states (k,).
        memory: their hidden layers; see :func:`agents.engines.numba.kernels.sample`.
    """

    weights: tuple[float, ...]
    states: IntArray
    memory: FloatArray


NOTHING = Kept((), np.zeros(0, np.int32), np.zeros(0, np.float32))


def fingerprint(weights: Iterable[FloatArray]) -> tuple[float, ...]:
    """Sums of squares of the weights, which detect changes. They take a hundredth of an iteration."""
    return tuple(float(np.vdot(w, w)) for w in weights)
