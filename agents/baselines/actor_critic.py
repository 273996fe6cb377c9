"""Base of ppo, a2c-er and reinforce: rewards on edges, returns, a value network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import ExplorationSettings, NetworkSettings, OptimizerSettings
from agents.config_checks import require, require_value_network
from agents.engines.adam import Adam, minimize
from agents.policies.masking import masked_log_softmax
from agents.policies.mlp import MLP
from agents.policies.policy import Policy
from agents.policies.seeding import OwnGenerator
from agents.schedules import Schedule
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class ReturnConfig(ExplorationSettings, OptimizerSettings, NetworkSettings):
    """Settings of agents that maximize the expected return.

    Gradients assume trajectories sampled from the policy: exploration (``epsilon``, ``temperature``) biases them.
    """

    reward_mode: Literal["reward", "log_reward", "soft"] = "reward"
    """Return to maximize: R(x), log R(x), or log R(x) + log P_B(tau|x) with uniform P_B; as ``reward_mode`` of the
    Gymnasium environments."""
    entropy_bonus: float = 0.01
    """Weight of the mean entropy of the policy at visited states."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.entropy_bonus >= 0, "entropy_bonus must not be negative", self.entropy_bonus)


@dataclass(frozen=True)
class ActorCriticConfig(ReturnConfig):
    """Settings of agents with a value network."""

    lamda: float = 0.95
    """lambda of generalized advantage estimation: 0 relies on the value network, 1 on the sampled rewards."""
    value_hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of the value network."""
    lr_value: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate of the value network (Adam)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_value_network(self)


class ReturnAgent(Agent):
    """An agent that maximizes the expected return. It does not estimate log Z."""

    config_class = ReturnConfig
    config: Any

    def rewards(self, batch: Trajectories) -> Tensor:
        """Reward of each edge, in single precision (e,)."""
        with np.errstate(over="ignore"):
            rewards = torch.from_numpy(edge_rewards(self.dag, batch, self.config.reward_mode)).float()
        if not torch.isfinite(rewards).all():
            raise FloatingPointError(
                f"iteration {self.iteration}: a reward, log R = {batch.log_reward.max():.4g}, is too large for single "
                "precision; use reward_mode='log_reward' or 'soft'"
            )
        return rewards.to(self.device)

    def log_policy(self, states: IntArray) -> Tensor:
        """log pi of non-terminal states, (n, num_actions)."""
        return masked_log_softmax(self.policy(states).forward_logits, self.dag.forward_mask(states))

    def finite(self, value: Tensor) -> Tensor:
        """Return ``value``. Raises FloatingPointError if it is NaN or infinite."""
        if not torch.isfinite(value).all():
            raise FloatingPointError(f"iteration {self.iteration}: a loss is {value}; try a lower learning rate")
        return value

    def summary(self, batch: Trajectories, loss: float) -> dict[str, Any]:
        """Metrics of an iteration."""
        return {
            "loss": loss,
            "log_z": None,
            "transitions": batch.num_edges,
            "mean_log_reward": float(batch.log_reward.mean()),
            "batch_mean_reward": float(np.exp(batch.log_reward).mean()),
        }


class ActorCritic(ReturnAgent):
    """An agent with a value network V(s) on the features of non-terminal states."""

    config_class = ActorCriticConfig

    def __init__(
        self, dag: Dag, config: ActorCriticConfig | None = None, seed: int = 0, policy: Policy | None = None
    ) -> None:
        super().__init__(dag, config, seed, policy)
        with OwnGenerator(seed + 1):
            self.value = MLP([dag.num_features, *self.config.value_hidden, 1]).to(self.device)
        self.value_optimizer = Adam(self.value.parameters(), lr=1e-3, fused=True)

    def values(self, states: IntArray) -> Tensor:
        """V of non-terminal states, (n,)."""
        unique, inverse = distinct(states)
        seen = torch.from_numpy(self.dag.encode(unique)).to(self.device)
        return self.value(seen).squeeze(1).index_select(0, torch.from_numpy(inverse).to(self.device))

    def step_value(self, loss: Tensor) -> None:
        """A gradient step on the value network."""
        self.value_optimizer.param_groups[0]["lr"] = self.config.lr_value(self.iteration)
        minimize(loss, self.value_optimizer)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "value": self.value.state_dict(),
            "value_optimizer": self.value_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.value.load_state_dict(state["value"])
        self.value_optimizer.load_state_dict(state["value_optimizer"])


def edge_rewards(dag: Dag, batch: Trajectories, reward_mode: str) -> FloatArray:
    """Reward of each edge, float64 (e,), as with ``reward_mode`` of the Gymnasium environments."""
    soft = reward_mode == "soft"
    rewards = dag.uniform_log_pb(batch.states[batch.targets]) if soft else np.zeros(batch.num_edges)
    rewards[batch.edge_offsets[1:] - 1] += np.exp(batch.log_reward) if reward_mode == "reward" else batch.log_reward
    return rewards


def chosen(log_p: Tensor, rows: IntArray, actions: IntArray) -> Tensor:
    """``log_p[rows, actions]`` (k,), from (n, num_actions)."""
    return log_p[torch.from_numpy(rows).to(log_p.device), torch.from_numpy(actions).to(log_p.device)]
