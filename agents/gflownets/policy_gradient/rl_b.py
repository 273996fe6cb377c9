"""Policy gradients with a backward policy that is also learned by policy gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agents import rollout
from agents.gflownets.policy_gradient.base import AdamPolicyGradientConfig, PolicyGradient
from agents.losses import policy_gradient as pg
from agents.trajectories import Trajectories


@dataclass(frozen=True)
class RLBConfig(AdamPolicyGradientConfig):
    """Settings of RL-B and RL-G."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shared:
            raise ValueError("P_F and P_B are updated separately and need separate networks: shared must be False")


class RLB(PolicyGradient):
    """Policy gradients (RL-B): P_B is also learned by policy gradients, with P_F as its reference."""

    name = "rl-b"
    config_class = RLBConfig
    config: Any
    fixed_backward = "learned"

    def step_backward(self, batch: Trajectories) -> dict[str, float]:
        """Policy gradient step on KL(P_B(tau|x) || P_G(tau|x)), on trajectories of P_B from the batch's objects x."""
        with torch.inference_mode():
            mirrored = rollout.sample_backward(
                self.dag, batch.terminal_states, self.backward_logits(), self.rng, batch.log_reward
            )
        found = self.log_probs(mirrored)
        costs = pg.backward_costs(found.log_pb, self.log_reference(mirrored, found.log_pf.detach()))
        advantages = self.advantages("P_B", mirrored, costs)
        loss = pg.policy_loss(found.log_pb, advantages, len(mirrored))
        self.step_optimizer(self.finite(loss, "backward policy loss"))
        return {"backward_loss": costs.sum().item() / len(mirrored)}

    def log_reference(self, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
        """log P_G of the edges, (e,), detached: here log P_F."""
        return log_pf
