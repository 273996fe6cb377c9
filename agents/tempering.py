"""Tempering: training starts with target R^beta, and beta rises to 1 as fast as the policy can follow.

If rewards are steep, the few good objects of the first batches take all probability, and training gets stuck: modes are
lost, and no metric of training shows it. With a small beta the target is wide. The speed of beta is constant in
standard deviations of log R, the thermodynamic length of the path of targets, times the square of the effective share
of the importance weights R^beta P_B / P_F: beta waits for the policy.
"""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray

#: Rewards are tempered if :func:`spread` of log R in the first batch is above this, in nats.
WIDE = 2.0
#: The same if rewards are expensive: tempering may take longer than their calls last.
WIDE_EXPENSIVE = 30.0
#: Spread of beta log R in the first batch, in nats.
START = 1.0
#: Standard deviation of the change of beta log R per iteration, in nats, if the policy has reached its target.
SPEED = 0.02
#: Largest and smallest relative change of beta per iteration. Beta rises even if the policy does not follow.
GROWTH, SMALLEST_GROWTH = 0.05, 0.0005


def effective_share(log_weights: FloatArray) -> float:
    """Effective sample size of importance weights, as a share of their number: (sum w)^2 / (n sum w^2), in [1/n, 1].

    Args:
        log_weights: log w, float64 (n,), n >= 1.
    """
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (len(weights) * np.square(weights).sum()))


def spread(log_reward: FloatArray) -> float:
    """Half of the width of the middle 68% of log R (n,), n >= 1: the standard deviation of a normal distribution.

    A single object at a floor of the reward does not change it.
    """
    low, high = np.quantile(log_reward, (0.16, 0.84))
    return float(high - low) / 2


def first_beta(log_reward: FloatArray, expensive: bool = False) -> float:
    """beta at the start of training, in (0, 1], from log R of the first batch (n,); 1 unless its rewards are wide.

    Args:
        log_reward: log R of the batch (n,).
        expensive: whether calls of the reward are expensive (``Dag.expensive_reward``).
    """
    found = spread(log_reward) if len(log_reward) else 0.0
    return START / found if found > (WIDE_EXPENSIVE if expensive else WIDE) else 1.0


def next_beta(beta: float, log_reward: FloatArray, log_ratio: FloatArray) -> float:
    """beta of the next iteration, at most 1.

    Args:
        beta: that of this iteration.
        log_reward: log R of the batch (n,).
        log_ratio: log P_F - log P_B of its trajectories (n,).
    """
    if not len(log_reward):
        return beta
    deviation, log_weights = float(log_reward.std()), beta * log_reward - log_ratio
    rise = GROWTH * beta if deviation * GROWTH * beta <= SPEED else SPEED / deviation
    return min(1.0, beta + max(rise * effective_share(log_weights) ** 2, SMALLEST_GROWTH * beta))
