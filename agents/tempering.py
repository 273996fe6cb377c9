"""Tempering: training starts with target R^beta, and beta rises to 1 as fast as the policy can follow.

If rewards are steep, the few good objects of the first batches take all probability, and training gets stuck.
With a small beta the target is wide. The speed of beta is constant in standard deviations of log R, the thermodynamic
length of the path of targets, times the square of the effective share of the importance weights R^beta P_B / P_F: beta
waits for the policy.
"""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray

#: Rewards are tempered if the middle 68% of log R in the first batch span more than twice this, in nats. That is two
#: standard deviations of a normal distribution, but a single object at a floor of the reward does not decide.
WIDE = 30.0
#: Standard deviation of beta log R in the first batch, in nats.
START = 1.0
#: Standard deviation of the change of beta log R per iteration, in nats, if the policy has reached its target.
SPEED = 0.02
#: Largest relative change of beta per iteration.
GROWTH = 0.05


def effective_share(log_weights: FloatArray) -> float:
    """Effective sample size of importance weights, as a share of their number: (sum w)^2 / (n sum w^2), in [1/n, 1].

    Args:
        log_weights: log w, float64 (n,), n >= 1.
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (len(weights) * np.square(weights).sum()))


def first_beta(log_reward: FloatArray) -> float:
    """beta at the start of training, in (0, 1], from log R of the first batch (n,); 1 unless its rewards are wide."""
    if not len(log_reward):
        return 1.0
    low, high = np.quantile(log_reward, (0.16, 0.84))
    return 1.0 if high - low <= 2 * WIDE else START / float(log_reward.std())


def next_beta(beta: float, log_reward: FloatArray, log_ratio: FloatArray) -> float:
    """beta of the next iteration, at most 1.

    Args:
        beta: that of this iteration.
        log_reward: log R of the batch (n,).
        log_ratio: log P_F - log P_B of its trajectories (n,).
    """
    if not len(log_reward):
        return beta
    spread, log_weights = float(log_reward.std()), beta * log_reward - log_ratio
    rise = GROWTH * beta if spread * GROWTH * beta <= SPEED else SPEED / spread
    return min(1.0, beta + rise * effective_share(log_weights) ** 2)
