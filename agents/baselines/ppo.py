"""Proximal policy optimization with action masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.baselines.actor_critic import ActorCritic, ActorCriticConfig, chosen
from agents.config_checks import require
from agents.losses import policy_gradient as pg
from agents.losses.soft_rl import entropy
from gfn_envs.arrays import distinct


@dataclass(frozen=True)
class PPOConfig(ActorCriticConfig):
    """Settings of proximal policy optimization."""

    batch_size: int = 64
    """Trajectories per iteration."""
    clip: float = 0.2
    """The ratio of new to old probabilities is clipped to [1 - clip, 1 + clip]."""
    epochs: int = 4
    """Passes over the batch per iteration."""
    minibatches: int = 4
    """Gradient steps per pass."""
    normalize: bool = False
    """Divide advantages by their standard deviation over the batch. If a policy is nearly deterministic, this
    turns errors of the value network into full steps, and the policy drifts."""
    max_grad_norm: float | None = 0.5
    """Scale gradients down to this Euclidean norm."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.clip > 0, "clip must be > 0", self.clip)
        require(self.epochs >= 1, "epochs must be at least 1", self.epochs)
        require(self.minibatches >= 1, "minibatches must be at least 1", self.minibatches)


class PPO(ActorCritic):
    """Proximal policy optimization with action masks, on R, log R or the soft reward."""

    name = "ppo"
    paper = "Schulman et al. 2017"
    config_class = PPOConfig

    def update(self) -> dict[str, Any]:
        """One iteration: sample trajectories; several passes of minibatch steps on the clipped objective and V.

        Raises:
            FloatingPointError: a loss or the logits are NaN or infinite. Parameters keep their last finite values.
        """
        batch = self.sample_batch()
        sources = batch.states[batch.sources]
        rewards, offsets = self.rewards(batch), torch.from_numpy(batch.edge_offsets).to(self.device)
        with torch.no_grad():
            values = self.values(sources)
            advantages = pg.generalized_advantages(rewards, values, offsets, self.config.lamda)
            returns = advantages + values
            states, rows = distinct(sources)
            old = chosen(self.log_policy(states), rows, batch.actions)
        advantages = advantages - advantages.mean()
        if self.config.normalize:
            advantages = advantages / (advantages.std(correction=0) + 1e-8)
        losses = []
        for _ in range(self.config.epochs):
            order = self.rng.permutation(batch.num_edges)
            for part in np.array_split(order, min(self.config.minibatches, len(order))):
                edges = torch.from_numpy(part).to(self.device)
                states, rows = distinct(sources[part])
                log_p = self.log_policy(states)
                new = chosen(log_p, rows, batch.actions[part])
                bonus = entropy(log_p).index_select(0, torch.from_numpy(rows).to(self.device)).mean()
                gain = clipped_objective(new, old[edges], advantages[edges], self.config.clip).mean()
                loss = self.finite(-gain - self.config.entropy_bonus * bonus)
                value_loss = self.finite((self.values(sources[part]) - returns[edges]).square().mean())
                self.step_optimizer(loss)
                self.step_value(value_loss)
                losses.append(loss.item())
        self.iteration += 1
        return self.summary(batch, float(np.mean(losses)))


def clipped_objective(log_new: Tensor, log_old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """min(r A, clip(r, 1 - clip, 1 + clip) A) with r = new / old, (e,) (Schulman et al. 2017, equation 7)."""
    ratio = (log_new - log_old).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
