"""Policy gradients with the uniform backward policy."""

from __future__ import annotations

from agents.gflownets.policy_gradient.base import PolicyGradient


class RLU(PolicyGradient):
    """Policy gradients (RL-U) on KL(P_F || P_B R / Z) with uniform P_B and generalized advantages."""

    name = "rl-u"
