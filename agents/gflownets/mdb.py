"""Modified detailed balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.config_checks import require
from agents.errors import UnsupportedError
from agents.gflownets.gflownet import BalanceConfig, BalanceGFlowNet
from agents.log_probs import LogProbs
from agents.losses.balance import EDGES_BEFORE_STOP, Balance
from agents.losses.penalty import Kind
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import Policy, frozen_copy
from agents.schedules import Schedule
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class MDBConfig(BalanceConfig):
    """Settings of modified detailed balance."""

    loss: Kind = "huber"
    """Penalty on residuals. The paper uses huber."""
    target_every: int = 0
    """Iterations between copies of the network to a target network, which evaluates the stop at s'. 0: no target
    network, and gradients flow through both stops. The paper's code uses 1000, in runs of 100,000 iterations; on steep
    posteriors and in short runs such a copy lags behind, and the policy follows its errors."""
    epsilon: Schedule = Schedule(0.1, 0.1, 1)
    """Probability, at each step, of a uniformly random legal action: a number or start,end,steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.target_every >= 0, "target_every must not be negative", self.target_every)


class MDB(BalanceGFlowNet):
    """Modified detailed balance: every state can stop, so rewards replace flows.

    log R(s') + log P_B(s|s') + log P_F(stop|s) - log R(s) - log P_F(s'|s) - log P_F(stop|s') for every edge that does
    not stop (Deleu et al. 2022, equation 6): log F(s) is log R(s) - log P_F(stop|s).
    """

    name = "mdb"
    paper = "Deleu et al. 2022"
    config_class = MDBConfig
    config: MDBConfig
    balance = Balance(EDGES_BEFORE_STOP, flow="stop")

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        self.target = frozen_copy(self.policy, dag) if self.config.target_every else None

    def check(self) -> None:
        if self.dag.on_error == "skip":
            raise UnsupportedError(
                "agent 'mdb' needs the reward of every state that it visits: use on_error='floor' or a number > 0 "
                f"instead of 'skip', got {self.dag!r}"
            )
        if not self.dag.can_stop_anywhere:
            raise UnsupportedError(
                f"agent 'mdb' needs a DAG where every state can stop (can_stop_anywhere), got {self.dag!r}"
            )

    @property
    def log_z(self) -> float:
        """log R(s0) - log P_F(stop|s0), because F(s0) P_F(stop|s0) = R(s0)."""
        source = self.dag.source(1)
        with torch.inference_mode():
            return float(self.stopped_log_reward(source)[0]) - self.log_stop(self.policy, source).item()

    def log_stop(self, policy: Policy, states: IntArray, legal: BoolArray | None = None) -> Tensor:
        """log P_F(stop|s) of states that have not stopped (n,); with their legal actions, if those are known."""
        legal = self.dag.forward_mask(states) if legal is None else legal
        return masked_log_softmax(policy(states).forward_logits, legal).select(1, -1)

    def stopped_log_reward(self, states: IntArray) -> FloatArray:
        """log R^beta of the objects that result from stopping in ``states`` (n,)."""
        return (self.beta or 1.0) * log_rewards(
            self.dag, self.dag.step(states, np.full(len(states), self.dag.num_actions - 1))
        )

    def log_flow(self, balance: Balance, found: LogProbs, trajectories: Trajectories) -> tuple[Tensor, Tensor | None]:
        """log R(s stopped) - log P_F(stop|s) of the states that have not stopped, 0 elsewhere; and the same with P_F of
        the target network, if there is one."""
        # An edge that leaves the state of each row of log_policy; any edge for a state that none leaves.
        edge = np.zeros(len(found.log_policy), dtype=np.int64)
        edge[found.rows] = np.arange(len(found.rows))
        states = trajectories.states[trajectories.sources[edge]]
        log_reward = torch.from_numpy(self.stopped_log_reward(states)).to(found.log_pf)
        rows, place = (torch.from_numpy(i).to(self.device) for i in (found.rows, trajectories.sources))
        zeros = torch.zeros(len(trajectories.states), dtype=found.log_pf.dtype, device=self.device)

        def flow(log_stop: Tensor) -> Tensor:
            return zeros.index_copy(0, place, (log_reward - log_stop).index_select(0, rows))

        own = flow(found.log_policy.select(1, -1))
        return own, None if self.target is None else flow(self.log_stop(self.target, states, found.legal))

    def update(self) -> dict[str, Any]:
        info = super().update()
        if self.target is not None and self.iteration % self.config.target_every == 0:
            self.target.load_state_dict(self.policy.state_dict())
        return info

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"target": None if self.target is None else self.target.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        if self.target is not None:
            self.target.load_state_dict(state["target"])
