"""Discrete soft actor-critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.agent import Agent
from agents.baselines.soft_dqn import follow
from agents.config import ExplorationSettings, NetworkSettings, OptimizerSettings, PenaltySettings
from agents.config_checks import require, require_at_least
from agents.engines.adam import Adam, minimize
from agents.losses.penalty import Kind, penalty
from agents.losses.soft_rl import entropy, expected_soft_value, soft_target, soft_value
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import Policy, frozen_copy
from agents.policies.seeding import OwnGenerator
from agents.replay.transitions import PrioritizedTransitions, Transitions, transitions
from agents.schedules import Schedule
from gfn_envs.arrays import IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class SACConfig(ExplorationSettings, PenaltySettings, OptimizerSettings, NetworkSettings):
    """Settings of discrete soft actor-critic."""

    loss: Kind = "huber"
    """Penalty on temporal differences."""
    replay_batch_size: int = 256
    """Transitions drawn uniformly from the replay buffer per iteration."""
    replay_capacity: int = 100_000
    """Capacity of the replay buffer, in transitions."""
    lr_critic: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate of the critics (Adam)."""
    polyak: float = 0.05
    """Polyak coefficient of the target critics: target <- (1 - polyak) target + polyak critic."""
    entropy_coefficient: float = 1.0
    """Weight of the entropy. With 1 the optimal policy samples x in proportion to R(x). If tuned: its initial value."""
    tuned: bool = False
    """Tune the coefficient so that the mean entropy follows ``target_entropy``; R(x) is then no longer the target."""
    target_entropy: float = 0.5
    """If tuned: the target entropy, as a share of that of the uniform policy over legal actions."""
    lr_coefficient: float = 1e-3
    """If tuned: learning rate of the coefficient's logarithm (Adam)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 0, "lr_critic")
        require_at_least(self, 1, "replay_batch_size", "replay_capacity")
        require(0 < self.polyak <= 1, "polyak must lie in (0, 1]", self.polyak)
        require(self.entropy_coefficient > 0, "entropy_coefficient must be > 0", self.entropy_coefficient)
        require(0 < self.target_entropy <= 1, "target_entropy must lie in (0, 1]", self.target_entropy)
        require(self.lr_coefficient >= 0, "lr_coefficient must not be negative", self.lr_coefficient)


class SAC(Agent):
    """Discrete soft actor-critic on log P_B and log R: twin critics, entropy coefficient fixed at 1 or tuned."""

    name = "sac"
    paper = "Haarnoja et al. 2018; Christodoulou 2019"
    config_class = SACConfig
    config: SACConfig

    def __init__(self, dag: Dag, config: SACConfig | None = None, seed: int = 0, policy: Policy | None = None) -> None:
        super().__init__(dag, config, seed, policy)
        with OwnGenerator(seed + 1):
            self.critics = nn.ModuleList([self.make_policy(), self.make_policy()]).to(self.device)
        self.targets = frozen_copy(self.critics, dag)
        self.critic_optimizer = Adam(self.critics.parameters(), lr=1e-3, fused=True)
        start = np.log(self.config.entropy_coefficient)
        self.log_coefficient = nn.Parameter(torch.tensor(float(start), device=self.device))
        self.coefficient_optimizer = torch.optim.Adam([self.log_coefficient], lr=self.config.lr_coefficient)
        self.transitions = PrioritizedTransitions(dag, self.config.replay_capacity, alpha=0.0)

    @property
    def coefficient(self) -> float:
        """The entropy coefficient."""
        return self.log_coefficient.exp().item() if self.config.tuned else self.config.entropy_coefficient

    @property
    def log_z(self) -> float | None:
        """The soft value of s0 by the critics; None if the entropy coefficient is not 1."""
        if self.coefficient != 1 or self.config.tuned:
            return None
        source = self.dag.source(1)
        with torch.inference_mode():
            legal = torch.from_numpy(self.dag.forward_mask(source)).to(self.device)
            return soft_value(least_q(self.critics, source), legal).item()

    def update(self) -> dict[str, Any]:
        """One iteration: add sampled trajectories to the replay buffer, and update critics, policy and, if tuned, the
        coefficient on transitions drawn from it.

        Returns:
            ``loss`` of the critics, ``policy_loss``, ``entropy``, ``coefficient``, and the usual metrics.

        Raises:
            FloatingPointError: a loss or the logits are NaN or infinite. Parameters keep their last finite values.
        """
        batch = self.sample_batch()
        self.transitions.add(transitions(batch, self.dag.uniform_log_pb(batch.states[batch.targets])))
        drawn, _, _ = self.transitions.sample(self.config.replay_batch_size, self.rng, beta=0.0)
        states, inverse = distinct(drawn.states)
        rows = torch.from_numpy(inverse).to(self.device)
        critic_loss, q = self.critic_loss(drawn, states, rows)
        policy_loss, entropies = self.policy_loss(states, rows, q)
        losses = [critic_loss.item(), policy_loss.item()]
        if not np.isfinite(losses).all():
            raise FloatingPointError(f"iteration {self.iteration}: losses are {losses}; try a lower learning rate")
        self.critic_optimizer.param_groups[0]["lr"] = self.config.lr_critic(self.iteration)
        minimize(critic_loss, self.critic_optimizer)
        self.step_optimizer(policy_loss)
        if self.config.tuned:
            self.tune(states, rows, entropies)
        follow(self.targets, self.critics, self.config.polyak)
        self.iteration += 1
        return {
            "loss": losses[0],
            "log_z": self.log_z,
            "transitions": batch.num_edges,
            "mean_log_reward": float(batch.log_reward.mean()),
            "policy_loss": losses[1],
            "entropy": entropies.mean().item(),
            "coefficient": self.coefficient,
        }

    def log_policy(self, states: IntArray) -> Tensor:
        """log pi of non-terminal states, (n, num_actions)."""
        return masked_log_softmax(self.policy(states).forward_logits, self.dag.forward_mask(states))

    def critic_loss(self, drawn: Transitions, states: IntArray, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean penalty of Q_i(s, a) - y of both critics; ``states`` are the distinct sources, ``rows`` their indices.
        And the smaller Q(s, a) of the two, without a gradient (n, num_actions).

        y = r + V(s') with V(s') = sum_a pi(a|s') (min_i Q_i(s', a) - c log pi(a|s')), Q_i the target critics.
        """
        actions, log_pb, log_reward, terminal = (
            torch.from_numpy(array).to(self.device)
            for array in (drawn.actions, drawn.log_pb, drawn.log_reward, drawn.terminal)
        )
        next_value = torch.zeros_like(log_pb)
        going = np.flatnonzero(~drawn.terminal)
        if len(going):
            with torch.no_grad():
                children, inverse = distinct(drawn.next_states[going])
                q = least_q(self.targets, children)
                value = expected_soft_value(q, self.log_policy(children), self.coefficient).to(next_value)
            next_value[torch.from_numpy(going).to(self.device)] = value[torch.from_numpy(inverse).to(self.device)]
        target = soft_target(log_pb, log_reward, terminal, next_value)
        both = [critic(states).forward_logits for critic in self.critics]
        errors = [q[rows, actions] - target.to(q) for q in both]
        loss = penalty(torch.cat(errors), self.config.loss, self.config.clamp_loss).mean() * 2
        return loss, torch.minimum(*both).detach()

    def policy_loss(self, states: IntArray, rows: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Minus the mean soft value under the policy, with the critics' ``q`` held fixed; and the entropies (n,)."""
        log_p = self.log_policy(states)
        value = expected_soft_value(q, log_p, self.coefficient)
        return -value.index_select(0, rows).mean(), entropy(log_p.detach()).index_select(0, rows)

    def tune(self, states: IntArray, rows: Tensor, entropies: Tensor) -> None:
        """Update the coefficient: up if the entropy is below its target, down if it is above."""
        largest = torch.from_numpy(np.log(self.dag.forward_mask(states).sum(1))).to(entropies).index_select(0, rows)
        excess = (entropies - self.config.target_entropy * largest).mean()
        minimize(self.log_coefficient.exp() * excess, self.coefficient_optimizer)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "critics": self.critics.state_dict(),
            "targets": self.targets.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "log_coefficient": self.log_coefficient.detach().clone(),
            "coefficient_optimizer": self.coefficient_optimizer.state_dict(),
            "transitions": self.transitions.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.transitions.load_state_dict(state["transitions"])  # First, because it may raise.
        super().load_state_dict(state)
        for name in ("critics", "targets", "critic_optimizer", "coefficient_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.log_coefficient.copy_(state["log_coefficient"])


def least_q(critics: nn.ModuleList, states: IntArray) -> Tensor:
    """Minimum of the two critics' Q(s, a), (n, num_actions)."""
    first, second = (critic(states).forward_logits for critic in critics)
    return torch.minimum(first, second)
