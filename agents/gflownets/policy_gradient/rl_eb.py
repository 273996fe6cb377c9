"""Policy gradients whose value network balances sub-trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from agents.config_checks import require
from agents.engines.adam import minimize
from agents.gflownets.policy_gradient.base import AdamPolicyGradientConfig, PolicyGradient
from agents.losses import policy_gradient as pg
from agents.losses.balance import Balance, balance_loss, sub_trajectories
from agents.trajectories import Trajectories


@dataclass(frozen=True)
class EvaluationSettings(AdamPolicyGradientConfig):
    """Settings of sub-trajectory evaluation balance."""

    eval_lamda: float = 0.9
    """Weight lambda^length of a sub-trajectory in the loss of the value network (Sub-EB)."""
    eval_weighting: Literal["trajectory", "batch"] = "trajectory"
    """Normalize these weights within each trajectory or within the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.eval_lamda < float("inf"), "eval_lamda must be finite and > 0", self.eval_lamda)


def evaluation_balance(values: Tensor, costs: Tensor, batch: Trajectories, lamda: float, weighting: Any) -> Tensor:
    """Sub-EB, a scalar: squares of V(s_i) - V(s_j) - the costs from s_i to s_j, weighted by lambda^(j - i).

    The flows of sub-trajectory balance are replaced by values and its log-ratios by costs; V is 0 at terminal states
    (Niu et al. 2026, Evaluating GFlowNet from partial episodes). Where P_F and the values are both exact, it is 0.

    Args:
        values: V of the state that each edge leaves (e,).
        costs: of the edges, constants (e,).
        batch: the trajectories.
        lamda, weighting: as in :func:`agents.losses.balance.sub_trajectories`.
    """
    at_states = torch.zeros(len(batch.states), dtype=values.dtype, device=values.device)
    at_states = at_states.index_copy(0, torch.from_numpy(batch.sources).to(values.device), values)
    balance = Balance(sub_trajectories(lamda, weighting), flow="network")
    return balance_loss(-costs.detach(), torch.zeros_like(costs), at_states, batch.offsets, balance)[0]


class RLEB(PolicyGradient):
    """Sub-EB: policy gradients (RL-U) whose value network is fitted by sub-trajectory evaluation balance.

    The residual from step i to step j is V(s_i) - V(s_j) - sum c with the costs c of P_F, weighted by lambda^(j - i),
    instead of V minus the sampled return. Advantages use the values before their step, as in the authors' code
    (niupuhua1234/Sub-EB).

    Departures: their code trains log Z on the squared sum of costs, this on its mean, the gradient of the KL. P_B is
    uniform; their option to train it on the same balance is missing.
    """

    name = "rl-eb"
    paper = "Niu et al. 2026"
    config_class: ClassVar[type[Any]] = EvaluationSettings

    def advantages(self, policy: Literal["P_F", "P_B"], batch: Trajectories, costs: Tensor) -> Tensor:
        """Centered generalized advantages of the edges, (e,), by the value network, which is updated afterwards."""
        values = self.evaluate(policy, batch.states[batch.sources])
        self.finite(costs, "cost of P_F")
        advantages = pg.generalized_advantages(costs, values.detach(), self.edge_offsets(batch), self.config.lamda)
        self.finite(advantages, "advantage of P_F")
        self.value_optimizer.param_groups[0]["lr"] = self.config.lr_value(self.iteration)
        minimize(self.value_loss(values, costs, batch), self.value_optimizer)
        return advantages - advantages.mean()

    def value_loss(self, values: Tensor, costs: Tensor, batch: Trajectories) -> Tensor:
        """Loss of the value network, a scalar."""
        return evaluation_balance(values, costs, batch, self.config.eval_lamda, self.config.eval_weighting)
