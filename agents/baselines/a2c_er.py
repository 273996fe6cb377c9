"""Advantage actor-critic with experience replay."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.baselines.actor_critic import ActorCritic, ActorCriticConfig, chosen
from agents.config_checks import require
from agents.losses.soft_rl import entropy
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import Policy
from agents.replay.trajectories import vars_of
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class A2CERConfig(ActorCriticConfig):
    """Settings of advantage actor-critic with experience replay."""

    memory: int = 100
    """Number of stored batches. The oldest is dropped first."""
    replays: int = 1
    """Stored batches learned from per iteration, in addition to the new one."""
    truncation: float = 1.0
    """Upper bound of importance weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.memory >= 1, "memory must be at least 1", self.memory)
        require(self.replays >= 0, "replays must not be negative", self.replays)
        require(self.truncation > 0, "truncation must be > 0", self.truncation)


class A2CER(ActorCritic):
    """Advantage actor-critic with experience replay, off-policy corrected by truncated importance weights."""

    name = "a2c-er"
    paper = "Mnih et al. 2016; Espeholt et al. 2018"
    config_class = A2CERConfig

    def __init__(
        self, dag: Dag, config: A2CERConfig | None = None, seed: int = 0, policy: Policy | None = None
    ) -> None:
        super().__init__(dag, config, seed, policy)
        #: Batches, with the log-probability of each action under the behavior policy.
        self.memory_of_batches: deque[tuple[Trajectories, Tensor]] = deque(maxlen=self.config.memory)

    def update(self) -> dict[str, Any]:
        """One iteration: a step on a new batch, and one on each of ``replays`` stored ones.

        Raises:
            FloatingPointError: a loss or the logits are NaN or infinite. Parameters keep their last finite values.
        """
        batch = self.sample_batch()
        behavior = self.log_behavior(batch)
        losses = [self.learn_from(batch, behavior)]
        remembered = [int(i) for i in self.rng.integers(len(self.memory_of_batches) or 1, size=self.config.replays)]
        for i in remembered if self.memory_of_batches else ():
            losses.append(self.learn_from(*self.memory_of_batches[i]))
        self.memory_of_batches.append((batch, behavior))
        self.iteration += 1
        return self.summary(batch, losses[0])

    @torch.no_grad()
    def log_behavior(self, batch: Trajectories) -> Tensor:
        """log-probability (e,) of the actions of a new batch under the behavior policy: P_F at this iteration's
        temperature, and uniform with probability epsilon."""
        epsilon, temperature = self.config.epsilon(self.iteration), self.config.temperature(self.iteration)
        states, rows = distinct(batch.states[batch.sources])
        mask = self.dag.forward_mask(states)
        log_p = chosen(masked_log_softmax(self.policy(states).forward_logits / temperature, mask), rows, batch.actions)
        uniform = torch.from_numpy(-np.log(mask.sum(1))[rows]).to(log_p)
        weights = torch.tensor([1 - epsilon, epsilon]).to(log_p).log()
        return torch.logaddexp(weights[0] + log_p, weights[1] + uniform)

    def learn_from(self, batch: Trajectories, behavior: Tensor) -> float:
        """Update policy and value on trajectories whose actions had log-probabilities ``behavior`` (e,)."""
        sources = batch.states[batch.sources]
        states, rows = distinct(sources)
        log_p = self.log_policy(states)
        log_pi, values = chosen(log_p, rows, batch.actions), self.values(sources)
        weights = (log_pi.detach() - behavior).exp().clamp(max=self.config.truncation)
        rewards, current = (t.double().cpu().numpy() for t in (self.rewards(batch), values.detach()))
        weight = weights.double().cpu().numpy()
        returns = corrected_returns(rewards, current, weight, batch.edge_offsets, self.config.lamda)
        following = np.append(returns[1:], 0.0)
        following[batch.edge_offsets[1:] - 1] = 0.0
        advantages = torch.from_numpy(weight * (rewards + following - current)).to(log_pi)
        bonus = entropy(log_p).index_select(0, torch.from_numpy(rows).to(self.device)).mean()
        loss = self.finite(-(advantages * log_pi).sum() / len(batch) - self.config.entropy_bonus * bonus)
        value_loss = self.finite((values - torch.from_numpy(returns).to(values)).square().mean())
        self.step_optimizer(loss)
        self.step_value(value_loss)
        return loss.item()

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        batches = [
            {name: torch.from_numpy(array) for name, array in vars_of(batch).items()} | {"behaviour": behavior}
            for batch, behavior in self.memory_of_batches
        ]
        return super().state_dict() | {"memory_of_batches": batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.memory_of_batches.clear()
        for saved in state["memory_of_batches"]:
            arrays = {name: tensor.cpu().numpy() for name, tensor in saved.items() if name != "behaviour"}
            self.memory_of_batches.append((Trajectories(**arrays), saved["behaviour"].to(self.device)))


def corrected_returns(
    rewards: FloatArray, values: FloatArray, weights: FloatArray, edge_offsets: IntArray, lamda: float
) -> FloatArray:
    """Off-policy estimates of V(s_t) by V-trace, float64 (e,) (Espeholt et al. 2018, equation 1, discount 1).

    v_t = V_t + rho_t (r_t + V_{t+1} - V_t) + lambda rho_t (v_{t+1} - V_{t+1}); V and v are 0 at the end. With weights
    of 1 it is the lambda-return.

    Args:
        rewards: r_t (e,).
        values: V(s_t) of the state each edge leaves (e,).
        weights: truncated ratios rho_t of new to old probabilities (e,).
        edge_offsets: of the trajectories, (n + 1,).
        lamda: weight of later corrections.
    """
    following = np.append(values[1:], 0.0)
    following[edge_offsets[1:] - 1] = 0.0
    excess = weights * (rewards + following - values)  # v_t - V_t without later corrections
    lengths = np.diff(edge_offsets)
    for back in range(2, int(lengths.max(initial=0)) + 1):
        at = (edge_offsets[1:] - back)[lengths >= back]
        excess[at] += lamda * weights[at] * excess[at + 1]
    return values + excess
