"""Base of the policy-gradient agents: costs, advantages, value networks and the training iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import ExplorationSettings, LogZSettings, NetworkSettings, OptimizerSettings, TemperingSettings
from agents.config_checks import require_value_network
from agents.engines.adam import Adam, minimize
from agents.log_probs import LogProbs
from agents.losses import policy_gradient as pg
from agents.policies.masking import masked_log_softmax
from agents.policies.mlp import MLP
from agents.policies.policy import Policy
from agents.policies.seeding import OwnGenerator
from agents.schedules import Schedule
from agents.tempered_agent import TemperedAgent
from agents.trajectories import Trajectories
from gfn_envs.arrays import IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class PolicyGradientConfig(LogZSettings, ExplorationSettings, TemperingSettings, NetworkSettings):
    """Settings of the policy-gradient agents; the defaults are those of Niu et al. 2024.

    Gradients assume trajectories sampled from P_F: exploration (``epsilon``, ``temperature``) biases them.
    """

    batch_size: int = 128
    """Trajectories per iteration."""
    hidden: tuple[int, ...] = (256, 256, 256, 256)
    """Widths of the hidden layers of P_F and P_B."""
    shared: bool = False
    """P_F and P_B are updated one after the other, so each has its own network."""
    lamda: float = 0.99
    """lambda of generalized advantage estimation: 0 relies on the value network, 1 on the sampled costs."""
    value_hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of the value networks."""
    lr_value: Schedule = Schedule(5e-3, 5e-3, 1)
    """Learning rate of the value networks (Adam)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_value_network(self)


@dataclass(frozen=True)
class AdamPolicyGradientConfig(PolicyGradientConfig, OptimizerSettings):
    """Settings of policy gradients that train P_F with Adam."""


class PolicyGradient(TemperedAgent):
    """Policy gradient descent on KL(P_F || P_B R / Z).

    An iteration samples trajectories, computes advantages with the current value network, and takes gradient steps on
    that network, on P_F and log Z, and on P_B if it is learned (Niu et al. 2024).
    """

    paper = "Niu et al. 2024"
    config_class: ClassVar[type[Any]] = AdamPolicyGradientConfig
    config: Any

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        names = ["P_F", "P_B"] if self.backward.learned else ["P_F"]
        sizes = [dag.num_features + 1, *self.config.value_hidden, 1]
        with OwnGenerator(seed + 1):
            self.values = nn.ModuleDict({name: MLP(sizes) for name in names}).to(self.device)
        self.value_optimizer = Adam(self.values.parameters(), lr=1e-3, fused=True)

    # ------------------------------------------------------------------ training iteration

    def update(self) -> dict[str, Any]:
        """One iteration.

        Returns:
            ``loss``, the mean sum of costs, an estimate of KL(P_F || P_B R / Z) + log Z - log sum R for the agent's Z;
            ``log_z``, ``transitions``, ``mean_log_reward``; and metrics of the subclass.

        Raises:
            FloatingPointError: logits, costs or values are NaN or infinite. The parameters keep their last finite
                values.
        """
        sampled = self.sample_batch()
        batch = self.tempered(sampled)
        if "P_B" in self.values:
            # P_B is updated last. Non-finite values must raise before P_F is updated.
            with torch.inference_mode():
                self.finite(self.evaluate("P_B", batch.states[batch.targets]), "value of P_B")
        found = self.log_probs(batch)
        costs = self.costs(found, batch)
        advantages = self.advantages("P_F", batch, costs)
        gap = costs.sum() / len(batch)
        info = self.step_forward(batch, found, advantages, gap) | self.step_backward(batch)
        self.iteration += 1
        return {
            "loss": gap.item(),
            "log_z": self.log_z,
            "transitions": batch.num_edges,
            "mean_log_reward": float(sampled.log_reward.sum()) / len(sampled),
            **info,
        } | self.beta_info()

    def costs(self, found: LogProbs, batch: Trajectories) -> Tensor:
        """Cost of each edge in the forward problem, (e,)."""
        log_reward, offsets = torch.from_numpy(batch.log_reward).to(found.log_pf), self.edge_offsets(batch)
        assert self.log_z_parameter is not None
        return pg.forward_costs(found.log_pf, found.log_pb, log_reward, self.log_z_parameter, offsets)

    def loss(self, trajectories: Trajectories) -> Tensor:
        """A scalar whose gradient in P_F and log Z is that of the KL, with full returns instead of advantages."""
        found = self.log_probs(trajectories)
        costs = self.costs(found, trajectories)
        returns = pg.suffix_sums(costs, self.edge_offsets(trajectories))
        gap = costs.sum() / len(trajectories)
        return pg.policy_loss(found.log_pf, returns, len(trajectories)) + self.log_z_parameter * gap

    def step_forward(self, batch: Trajectories, found: LogProbs, advantages: Tensor, gap: Tensor) -> dict[str, float]:
        """Update P_F and log Z. ``gap``, the mean sum of costs, is the gradient of log Z."""
        loss = pg.policy_loss(found.log_pf, advantages, len(batch))
        self.step_optimizer(self.finite(loss, "policy loss") + self.log_z_parameter * gap)
        return {}

    def step_backward(self, batch: Trajectories) -> dict[str, float]:
        """Update P_B if it is learned."""
        return {}

    # ------------------------------------------------------------------ advantages

    def advantages(self, policy: Literal["P_F", "P_B"], batch: Trajectories, costs: Tensor) -> Tensor:
        """Centered advantages of the edges, (e,), by the current value network, which is updated afterwards."""
        offsets = self.edge_offsets(batch)
        states = batch.states[batch.sources if policy == "P_F" else batch.targets]
        values = self.evaluate(policy, states)
        if policy == "P_B":
            costs, _ = pg.mirrored(costs, offsets)
            values, offsets = pg.mirrored(values, offsets)
        self.finite(costs, f"cost of {policy}")
        lamda = self.config.lamda if policy == "P_F" else self.config.lamda_backward
        advantages = pg.generalized_advantages(costs, values.detach(), offsets, lamda)
        self.finite(advantages, f"advantage of {policy}")
        error = (values - pg.suffix_sums(costs, offsets)).square().mean()
        self.value_optimizer.param_groups[0]["lr"] = self.config.lr_value(self.iteration)
        minimize(error, self.value_optimizer)
        advantages = advantages - advantages.mean()
        return advantages if policy == "P_F" else advantages.flip(0)

    def evaluate(self, policy: str, states: IntArray) -> Tensor:
        """V(s), the expected sum of the remaining costs, (n,)."""
        unique, inverse = distinct(states)
        # A stopped state may have the same features as the state before the stop, but another value.
        features = np.column_stack([self.dag.encode(unique), self.dag.is_terminal(unique)]).astype(np.float32)
        values = self.values[policy](torch.from_numpy(features).to(self.device)).squeeze(1)
        return values.index_select(0, torch.from_numpy(inverse).to(self.device))

    def log_pf_table(self, states: IntArray) -> Tensor:
        """log P_F of all actions of non-terminal states, (n, num_actions)."""
        heads = self.policy(states)
        return masked_log_softmax(heads.forward_logits, self.dag.forward_mask(states))

    def edge_offsets(self, batch: Trajectories) -> Tensor:
        return torch.from_numpy(batch.edge_offsets).to(self.device)

    def finite(self, values: Tensor, what: str) -> Tensor:
        """Return ``values``. Raises FloatingPointError if one is NaN or infinite."""
        if not torch.isfinite(values).all():
            raise FloatingPointError(
                f"iteration {self.iteration}: {what} is NaN or infinite; try a lower learning rate"
            )
        return values

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "values": self.values.state_dict(),
            "value_optimizer": self.value_optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.values.load_state_dict(state["values"])
        self.value_optimizer.load_state_dict(state["value_optimizer"])
