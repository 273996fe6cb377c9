"""Policy gradients with trust regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from agents.gflownets.policy_gradient.base import PolicyGradient, PolicyGradientConfig
from agents.log_probs import LogProbs
from agents.losses import policy_gradient as pg
from agents.losses.trust_region import fisher_product, trust_region_step
from agents.policies.attention import AttentionLayer
from agents.policies.mlp import MLP
from agents.policies.policy import Policy
from agents.schedules import Schedule
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class RLTConfig(PolicyGradientConfig):
    """Settings of RL-T. P_F has no learning rate: the trust region determines its step size."""

    trust_region: Schedule = Schedule(1e-2, 1e-2, 1)
    """Largest mean KL(old || new) over the states visited: a number, or start,end,steps."""
    damping: float = 1e-1
    """Added to the diagonal of the Fisher matrix."""
    cg_iterations: int = 10
    """Iterations of conjugate gradients."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not min(self.trust_region.start, self.trust_region.end) > 0:
            raise ValueError(f"trust_region must be > 0, got {self.trust_region}")
        if not 0 < self.damping < float("inf"):
            raise ValueError(f"damping must be finite and > 0, got {self.damping}")
        if self.cg_iterations < 1:
            raise ValueError(f"cg_iterations must be at least 1, got {self.cg_iterations}")


class RLT(PolicyGradient):
    """Policy gradients (RL-T): trust region policy optimization of P_F, with uniform P_B.

    Departures from Niu et al. 2024: the surrogate has the term KL(new || old), because costs depend on the policy; the
    Fisher matrix is damped; the step has at most the length of a Newton step; and the KL is a mean over edges, theirs a
    sum over each trajectory, so that equal radii are larger steps here. Each makes a step safer, not another method.
    """

    name = "rl-t"
    config_class = RLTConfig
    config: Any

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        for network in self.policy.modules():
            if isinstance(network, MLP | AttentionLayer):
                network.twice_differentiable = True  # For Fisher-vector products.

    def step_forward(self, batch: Trajectories, found: LogProbs, advantages: Tensor, gap: Tensor) -> dict[str, float]:
        """A gradient step on log Z, and a trust region step on P_F."""
        self.step_optimizer(self.log_z_parameter * gap)
        states, inverse = distinct(batch.states[batch.sources])
        row, actions = (torch.from_numpy(index).to(self.device) for index in (inverse, batch.actions))
        visits = torch.from_numpy(np.bincount(inverse) / len(inverse)).to(advantages)
        with torch.no_grad():
            old = self.log_pf_table(states)
        # Fisher-vector products need second derivatives, which only the plain implementation of attention has.
        with sdpa_kernel(SDPBackend.MATH):
            parameters = list(self.policy.parameters())
            result = trust_region_step(
                parameters,
                lambda: pg.surrogate(self.log_pf_table(states), old, row, actions, advantages, visits),
                lambda: pg.kl_divergence(old, self.log_pf_table(states), visits),
                fisher_product(self.log_pf_table(states), visits, parameters),
                self.config.trust_region(self.iteration),
                self.config.damping,
                self.config.cg_iterations,
            )
        return {"kl_of_step": result.kl, "accepted": float(result.accepted), "backtracks": float(result.backtracks)}
