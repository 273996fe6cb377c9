"""Acquisition functions, and environments that use one as their reward.

Values are standardized to mean 0 and standard deviation 1 over the objects called so far. log R of the GFlowNet is the
acquisition function times a sharpness.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.row_cache import RowCache

#: log of the smallest expected improvement that counts.
LEAST_IMPROVEMENT = 1e-6


def upper_confidence_bound(mean: FloatArray, deviation: FloatArray, best: float, kappa: float) -> FloatArray:
    """mean + kappa deviation (Srinivas et al. 2010)."""
    return mean + kappa * deviation


def log_expected_improvement(mean: FloatArray, deviation: FloatArray, best: float, kappa: float) -> FloatArray:
    """log of the expected value of max(value - best, 0) for a normal distribution (Jones et al. 1998), + 1e-6."""
    from scipy.special import ndtr

    spread = np.maximum(deviation, 1e-12)
    z = (mean - best) / spread
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.log(spread * (z * ndtr(z) + density) + LEAST_IMPROVEMENT)


#: Name -> (function of mean, deviation, best value and kappa; sharpness).
ACQUISITIONS: dict[str, tuple[Callable[[FloatArray, FloatArray, float, float], FloatArray], float]] = {
    "ucb": (upper_confidence_bound, 8.0),
    "ei": (log_expected_improvement, 2.0),
}

#: Attributes of an environment that belong to its reward, not to its states.
OF_THE_REWARD = ("_reward_record", "_evaluation_target", "oracle", "expensive_reward", "on_error", "reward_floor")


def with_log_reward(dag: Dag, log_reward: Callable[[IntArray], FloatArray]) -> Dag:
    """A copy of ``dag`` with another reward and no partial rewards.

    Args:
        dag: the environment.
        log_reward: log R of terminal states (n, state_width), float64 (n,). It is called once per object.
    """
    other = copy.copy(dag)
    for name in OF_THE_REWARD:
        other.__dict__.pop(name, None)

    def without(states: IntArray) -> Any:
        raise NotImplementedError(f"the acquisition function of {type(dag).__name__} has no partial rewards")

    cache = RowCache(log_reward, dag.state_dtype)
    other.__dict__ |= {"log_reward": cache, "partial_log_reward": without}
    return other
