"""The uniform policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.agent import Agent
from agents.config import Config
from agents.policies.policy import Head, Heads, Policy
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


class UniformPolicy(Policy):
    """All legal actions are equally likely. Nothing is learned."""

    learns_backward = learns_flow = False

    def __init__(self, dag: Dag) -> None:
        super().__init__()
        self.num_actions, self.inputs = dag.num_actions, dag.encode
        # The value of all logits, on their device.
        self.logit = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, states: IntArray) -> Heads:
        return Heads(self.logit.expand(len(states), self.num_actions), None, None)

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        return lambda states: self(states).forward_logits

    def logits(self, head: Head) -> Callable[[IntArray], FloatArray]:
        return lambda states: np.zeros((len(states), self.num_actions), dtype=np.float32)


class Random(Agent):
    """The uniform policy over legal actions; log Z by importance sampling."""

    name = "random"
    paper = "none"
    config_class = Config
    config: Config
    takes_policy = False

    def __init__(self, dag: Dag, config: Config | None = None, seed: int = 0, policy: Policy | None = None) -> None:
        super().__init__(dag, config, seed, policy)
        self.log_weights, self.num_weights = -np.inf, 0

    def make_policy(self) -> Policy:
        return UniformPolicy(self.dag)

    @property
    def log_z(self) -> float | None:
        """log of the mean of R(x) P_B(tau|x) / P_F(tau) over all trajectories sampled; None before the first."""
        return float(self.log_weights - np.log(self.num_weights)) if self.num_weights else None

    def update(self) -> dict[str, Any]:
        """Sample a batch and add its importance weights. ``loss`` is minus their mean logarithm, that is -ELBO."""
        batch = self.sample_trajectories(self.config.batch_size)
        log_ratio = self.dag.uniform_log_pb(batch.states[batch.targets]) + np.log(
            self.dag.forward_mask(batch.states[batch.sources]).sum(1)
        )
        log_weights = batch.log_reward + np.add.reduceat(log_ratio, batch.edge_offsets[:-1])
        self.log_weights = float(np.logaddexp.reduce([self.log_weights, *log_weights]))
        self.num_weights += self.config.batch_size  # A reward that failed and was skipped counts as 0.
        self.iteration += 1
        return {
            "loss": -float(log_weights.mean()),
            "log_z": self.log_z,
            "transitions": batch.num_edges,
            "mean_log_reward": float(batch.log_reward.mean()),
        }

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"log_weights": self.log_weights, "num_weights": self.num_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.log_weights, self.num_weights = state["log_weights"], state["num_weights"]
