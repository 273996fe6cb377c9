"""Entropic proximal policy optimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from agents.config_checks import require
from agents.engines.adam import minimize
from agents.gflownets.policy_gradient.base import AdamPolicyGradientConfig, PolicyGradient
from agents.gflownets.policy_gradient.rl_eb import evaluation_balance
from agents.log_probs import LogProbs
from agents.losses import policy_gradient as pg
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct


@dataclass(frozen=True)
class RLPPOConfig(AdamPolicyGradientConfig):
    """Settings of Ent-PPO."""

    lamda: float = 0.7
    """lambda of generalized advantage estimation: 0 relies on the value network, 1 on the sampled costs."""
    clip: float | None = 0.2
    """Ratios of new to old probabilities are clipped to [1 - clip, 1 + clip]; None: not at all."""
    epochs: int = 4
    """Passes over the batch per iteration."""
    minibatches: int = 4
    """Gradient steps per pass, each on some of the trajectories."""
    critic: Literal["gae", "monte-carlo", "sub-eb"] = "gae"
    """Target of the value network: advantage plus value, the sampled sum of costs, or the balance of rl-eb."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.clip is None or self.clip > 0, "clip must be > 0 or None", self.clip)
        require(self.epochs >= 1, "epochs must be at least 1", self.epochs)
        require(self.minibatches >= 1, "minibatches must be at least 1", self.minibatches)


class RLPPO(PolicyGradient):
    """Ent-PPO: several clipped steps per batch, with the exact KL to the old policy as trust region.

    With costs c = -A, the mean over trajectories of sum_t min(rho A, clip(rho) A) - KL(new(.|s_t), old(.|s_t)) is
    maximized, rho = new / old (Zykova-Myzina et al. 2026, arXiv 2606.15793, equation 20; code: torchgfn). The KL is
    part of the objective: it is the entropy of the new policy that advantages of the old one lack. Vanilla policy
    gradients with generalized advantages (VPG) are the case of one epoch with one minibatch, or rl-u.

    Departures: log Z is a parameter that advantages do not depend on, and V(s) is the remaining cost, so that V(s0) is
    near 0 and not near log Z; advantages are centered, as in rl-u; the value network takes its steps first, one per
    epoch on the whole batch.
    """

    name = "rl-ppo"
    paper = "Zykova-Myzina et al. 2026"
    config_class: ClassVar[type[Any]] = RLPPOConfig

    def advantages(self, policy: Literal["P_F", "P_B"], batch: Trajectories, costs: Tensor) -> Tensor:
        """Centered advantages of the edges, (e,), by the value network before its ``epochs`` steps."""
        self.finite(costs, "cost of P_F")
        offsets, states = self.edge_offsets(batch), batch.states[batch.sources]
        old = self.evaluate(policy, states).detach()
        advantages = self.finite(pg.generalized_advantages(costs, old, offsets, self.config.lamda), "advantage of P_F")
        target = advantages + old if self.config.critic == "gae" else pg.suffix_sums(costs, offsets)
        self.value_optimizer.param_groups[0]["lr"] = self.config.lr_value(self.iteration)
        for _ in range(self.config.epochs):
            values = self.evaluate(policy, states)
            if self.config.critic == "sub-eb":
                error = evaluation_balance(values, costs, batch, 0.9, "trajectory")
            else:
                error = (values - target).square().mean()
            minimize(error, self.value_optimizer)
        return advantages - advantages.mean()

    def step_forward(self, batch: Trajectories, found: LogProbs, advantages: Tensor, gap: Tensor) -> dict[str, float]:
        """The clipped steps on P_F, the first of them with the gradient of log Z."""
        states, inverse = distinct(batch.states[batch.sources])
        with torch.no_grad():
            old = self.log_pf_table(states)
        log_z_term = self.log_z_parameter * gap
        for _ in range(self.config.epochs):
            order = self.rng.permutation(len(batch))
            for part in np.array_split(order, min(self.config.minibatches, len(order))):
                edges = np.flatnonzero(np.isin(np.repeat(np.arange(len(batch)), batch.lengths), part))
                loss = self.surrogate(states, inverse[edges], batch.actions[edges], old, advantages, edges) / len(part)
                self.step_optimizer(self.finite(loss, "policy loss") + log_z_term)
                log_z_term = torch.zeros((), device=self.device)
        return {}

    def surrogate(self, states: Any, row: Any, actions: Any, old: Tensor, advantages: Tensor, edges: Any) -> Tensor:
        """Sum over edges of the clipped costs and of KL(new, old), a scalar to minimize."""
        rows, place, chosen = (torch.from_numpy(a).to(self.device) for a in (row, edges, actions))
        new = self.log_pf_table(states)
        # exp of a difference above 20 would lose the gradients of the others.
        ratio = (new[rows, chosen] - old[rows, chosen]).clamp(-20, 20).exp()
        cost = advantages[place]
        worst = ratio * cost
        if self.config.clip is not None:
            worst = torch.maximum(worst, ratio.clamp(1 - self.config.clip, 1 + self.config.clip) * cost)
        visits = torch.bincount(rows, minlength=len(states)).to(new)
        return worst.sum() + pg.kl_divergence(new, old, visits)
