"""Soft deep Q-network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.agent import Agent
from agents.config import ExplorationSettings, NetworkSettings, OptimizerSettings, PenaltySettings
from agents.config_checks import require, require_at_least
from agents.losses.penalty import Kind, penalty
from agents.losses.soft_rl import soft_target, soft_value
from agents.policies.policy import Policy, frozen_copy
from agents.replay.transitions import PrioritizedTransitions, Transitions, transitions
from agents.schedules import Schedule
from gfn_envs.arrays import IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class SoftDQNConfig(ExplorationSettings, PenaltySettings, OptimizerSettings, NetworkSettings):
    """Settings of soft deep Q-networks; the defaults are those of Tiapkin et al. 2024."""

    loss: Kind = "huber"
    """Penalty on temporal differences."""
    replay_batch_size: int = 256
    """Transitions drawn from the replay buffer per iteration."""
    replay_capacity: int = 100_000
    """Capacity of the replay buffer, in transitions."""
    per_alpha: float = 0.5
    """Exponent of priorities: 0 draws transitions uniformly, 1 in proportion to the error."""
    per_beta: Schedule = Schedule(0.0, 1.0, 10_000)
    """Exponent of importance weights: 0 no correction for priorities, 1 full; a number or start,end,steps."""
    polyak: float = 0.25
    """Polyak coefficient of the target network: target <- (1 - polyak) target + polyak network. Use less, such as
    0.01, if values diverge."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "replay_batch_size", "replay_capacity")
        low, high = sorted((self.per_beta.start, self.per_beta.end))
        require(0 <= low <= high <= 1, "per_beta must lie in [0, 1]", self.per_beta)
        require(0 < self.polyak <= 1, "polyak must lie in (0, 1]", self.polyak)


class SoftDQN(Agent):
    """Soft deep Q-network on log P_B and log R, with prioritized replay of transitions.

    The network outputs Q(s, a) / lambda, so its softmax is the policy. Here lambda = 1.
    """

    name = "soft-dqn"
    paper = "Tiapkin et al. 2024"
    config_class = SoftDQNConfig
    config: SoftDQNConfig

    def __init__(
        self, dag: Dag, config: SoftDQNConfig | None = None, seed: int = 0, policy: Policy | None = None
    ) -> None:
        super().__init__(dag, config, seed, policy)
        self.target = frozen_copy(self.policy, dag)
        self.transitions = PrioritizedTransitions(dag, self.config.replay_capacity, self.config.per_alpha)

    @property
    def coefficient(self) -> float:
        """The entropy coefficient lambda."""
        return 1.0

    @property
    def log_z(self) -> float:
        """The soft value of s0."""
        with torch.inference_mode():
            q, legal = self.q_values(self.policy, self.dag.source(1))
            return soft_value(q, legal, self.coefficient).item()

    def q_values(self, network: Policy, states: IntArray) -> tuple[Tensor, Tensor]:
        """Q and the mask of legal actions of non-terminal states, both (n, num_actions)."""
        legal = torch.from_numpy(self.dag.forward_mask(states)).to(self.device)
        return self.coefficient * network(states).forward_logits, legal

    def update(self) -> dict[str, Any]:
        """One iteration: add sampled trajectories to the replay buffer, and learn from transitions drawn from it.

        Raises:
            FloatingPointError: the loss or the logits are NaN or infinite. Parameters keep their last finite values.
        """
        batch = self.sample_batch()
        self.transitions.add(transitions(batch, self.dag.uniform_log_pb(batch.states[batch.targets])))
        drawn, weights, indices = self.transitions.sample(
            self.config.replay_batch_size, self.rng, self.config.per_beta(self.iteration)
        )
        errors = self.errors(drawn)
        loss = (torch.from_numpy(weights).to(errors) * penalty(errors, self.config.loss, self.config.clamp_loss)).mean()
        value = loss.item()
        if not np.isfinite(value):
            raise FloatingPointError(f"iteration {self.iteration}: the loss is {value}; try a lower learning rate")
        self.step_optimizer(loss)
        follow(self.target, self.policy, self.config.polyak)
        self.transitions.update_priorities(indices, errors.detach().double().cpu().numpy())
        self.iteration += 1
        return {
            "loss": value,
            "log_z": self.log_z,
            "transitions": batch.num_edges,
            "mean_log_reward": float(batch.log_reward.mean()),
        }

    def errors(self, drawn: Transitions) -> Tensor:
        """Temporal differences Q(s, a) - y, (n,)."""
        unique, inverse = distinct(drawn.states)
        rows, actions = torch.from_numpy(inverse).to(self.device), torch.from_numpy(drawn.actions).to(self.device)
        q, legal = self.q_values(self.policy, unique)
        with torch.no_grad():
            target = self.targets(drawn, unique, rows, actions, legal).to(q)
        return q[rows, actions] - target

    def targets(self, drawn: Transitions, unique: IntArray, rows: Tensor, actions: Tensor, legal: Tensor) -> Tensor:
        """y of each transition, (n,); ``unique`` are the distinct sources, and ``rows`` their indices."""
        log_pb, log_reward, terminal = (
            torch.from_numpy(array).to(self.device) for array in (drawn.log_pb, drawn.log_reward, drawn.terminal)
        )
        next_value = torch.zeros_like(log_pb)
        going = np.flatnonzero(~drawn.terminal)
        if len(going):
            children, inverse = distinct(drawn.next_states[going])
            value = soft_value(*self.q_values(self.target, children), self.coefficient)
            next_value[torch.from_numpy(going).to(self.device)] = value[torch.from_numpy(inverse).to(self.device)].to(
                next_value
            )
        return soft_target(log_pb, log_reward, terminal, next_value)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "target": self.target.state_dict(),
            "transitions": self.transitions.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.transitions.load_state_dict(state["transitions"])  # First, because it may raise.
        super().load_state_dict(state)
        self.target.load_state_dict(state["target"])


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, share: float) -> None:
    """Polyak averaging: slow <- (1 - share) slow + share fast, parameter by parameter."""
    for old, new in zip(slow.parameters(), fast.parameters(), strict=True):
        old.lerp_(new, share)
