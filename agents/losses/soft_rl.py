"""Values of maximum-entropy reinforcement learning as pure functions of tensors.

The reward is log P_B(s|s') on every edge, plus log R(x) on the last, and the discount 1. With entropy coefficient
lambda = 1 the optimal value V(s) is log F(s) under the fixed P_B, so V(s0) = log Z, and the optimal policy samples x in
proportion to R(x) (Tiapkin et al. 2024, theorem 1).
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft_value(q: Tensor, legal: Tensor, coefficient: float = 1.0) -> Tensor:
    """V = lambda logsumexp(Q / lambda) over legal actions, (n,), from Q (n, actions) and ``legal``, bool of its shape.

    The caller must exclude rows without a legal action.
    """
    return coefficient * (q / coefficient).masked_fill(~legal, -torch.inf).logsumexp(1)


def soft_target(log_pb: Tensor, log_reward: Tensor, terminal: Tensor, next_value: Tensor) -> Tensor:
    """y = log P_B(s|s') + V(s'), with log R(s') in place of V if s' is terminal, (n,).

    Args:
        log_pb: of the edges (n,).
        log_reward: log R(s') if s' is terminal (n,).
        terminal: True if s' is terminal, bool (n,).
        next_value: V(s'), ignored if s' is terminal (n,).
    """
    return log_pb + torch.where(terminal, log_reward, next_value)


def munchausen_bonus(
    q: Tensor, legal: Tensor, actions: Tensor, alpha: float, coefficient: float, lowest: float
) -> Tensor:
    """alpha clip(lambda log pi(a|s), l0, 0) with pi = softmax(Q / lambda) over legal actions, (n,).

    Vieillard et al. 2020, equation 2, with the clip on the whole logarithm as in Tiapkin et al. 2024.
    """
    chosen = q.gather(1, actions[:, None]).squeeze(1)
    return alpha * (chosen - soft_value(q, legal, coefficient)).clamp(lowest, 0.0)


def expected_soft_value(q: Tensor, log_p: Tensor, coefficient: float | Tensor) -> Tensor:
    """V(s) = sum_a pi(a|s) (Q(s, a) - c log pi(a|s)) of any policy pi, (n,) (Haarnoja et al. 2018, equation 3).

    Args:
        q: (n, actions).
        log_p: log pi, the dtype's minimum if an action is illegal (n, actions).
        coefficient: c.
    """
    p = log_p.exp()
    return (p * (q - coefficient * _finite(log_p, p))).masked_fill(p == 0, 0.0).sum(1)


def entropy(log_p: Tensor) -> Tensor:
    """Entropy of each row of log-probabilities, (n,); illegal actions hold the dtype's minimum."""
    p = log_p.exp()
    return -(p * _finite(log_p, p)).sum(1)


def _finite(log_p: Tensor, p: Tensor) -> Tensor:
    """log p, 0 where p is 0: the dtype's minimum times a coefficient overflows, and its gradient becomes NaN."""
    return torch.where(p > 0, log_p, 0.0)
