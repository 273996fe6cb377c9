"""Policy gradients with a backward policy that is also learned by policy gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from agents import rollout
from agents.config_checks import require
from agents.gflownets.policy_gradient.base import AdamPolicyGradientConfig, PolicyGradient
from agents.losses import policy_gradient as pg
from agents.losses.segments import segment_sum
from agents.trajectories import Trajectories


@dataclass(frozen=True)
class RLBConfig(AdamPolicyGradientConfig):
    """Settings of RL-B and RL-G."""

    lamda_backward: float = 1.0
    """lambda of the advantages of P_B. Niu et al. 2024 have 1."""
    backward_loss: Literal["policy-gradient", "squared"] = "policy-gradient"
    """Loss of P_B: policy gradients, or (log Z + log P_G - log R - log P_B)^2 of each trajectory, as in the authors'
    code for Bayesian networks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.lamda_backward <= 1, "lamda_backward must lie in [0, 1]", self.lamda_backward)
        if self.shared:
            raise ValueError("P_F and P_B are updated separately and need separate networks: shared must be False")


class RLB(PolicyGradient):
    """Policy gradients (RL-B): P_B is also learned by policy gradients, with P_F as its reference."""

    name = "rl-b"
    config_class = RLBConfig
    config: Any
    fixed_backward = "learned"

    def step_backward(self, batch: Trajectories) -> dict[str, float]:
        """Step on KL(P_B(tau|x) || P_G(tau|x)), or on squared residuals, with trajectories of P_B from the objects x of
        the batch."""
        with torch.inference_mode():
            mirrored = rollout.sample_backward(
                self.dag, batch.terminal_states, self.backward_logits(), self.rng, batch.log_reward
            )
        found = self.log_probs(mirrored)
        reference = self.log_reference(mirrored, found.log_pf.detach())
        if self.config.backward_loss == "squared":
            sums = segment_sum(reference - found.log_pb, self.edge_offsets(mirrored))
            log_reward = torch.from_numpy(mirrored.log_reward).to(sums)
            fit = (self.log_z_parameter.detach() + sums - log_reward).square().mean()
            self.step_optimizer(self.finite(fit, "backward loss"))
            return {"backward_loss": fit.item()}
        costs = pg.backward_costs(found.log_pb, reference)
        advantages = self.advantages("P_B", mirrored, costs)
        loss = pg.policy_loss(found.log_pb, advantages, len(mirrored))
        self.step_optimizer(self.finite(loss, "backward policy loss"))
        return {"backward_loss": costs.sum().item() / len(mirrored)}

    def log_reference(self, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
        """log P_G of the edges, (e,), detached: here log P_F."""
        return log_pf
