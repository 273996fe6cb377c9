"""Modified detailed balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import Config, FlowConfig, require
from agents.errors import UnsupportedError
from agents.losses import balance as objectives
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import Policy, frozen_copy
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class MDBConfig(FlowConfig):
    """Settings of modified detailed balance."""

    loss: Literal["squared", "huber", "log-cosh"] = "huber"
    """Penalty on residuals; the paper's is huber."""
    target_every: int = 100
    """Iterations between copies of the network to the one that rates stopping at s'; 0: no such copy, gradients flow
    through both stops. The paper's implementation takes 1000, for runs of 100,000."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.target_every >= 0, "target_every must not be negative", self.target_every)


class MDB(Agent):
    """Modified detailed balance: every state can stop, so rewards take the place of flows."""

    name = "mdb"
    paper = "Deleu et al. 2022"
    config_class = MDBConfig
    config: MDBConfig

    def __init__(self, dag: Dag, config: Config | None = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        self.target = frozen_copy(self.policy, dag) if self.config.target_every else None

    def check(self) -> None:
        if not self.dag.can_stop_anywhere:
            raise UnsupportedError(
                f"agent 'mdb' needs a DAG where every state can stop (can_stop_anywhere), got {self.dag!r}"
            )

    @property
    def log_z(self) -> float:
        """log R(s0) - log P_F(stop|s0), as F(s0) P_F(stop|s0) = R(s0)."""
        source = self.dag.source(1)
        with torch.inference_mode():
            return float(self.stopped_log_reward(source)[0]) - self.log_stop(self.policy, source).item()

    def log_stop(self, policy: Policy, states: IntArray) -> Tensor:
        """log P_F(stop|s) of states that have not stopped (n,)."""
        return masked_log_softmax(policy(states).forward_logits, self.dag.forward_mask(states))[:, -1]

    def stopped_log_reward(self, states: IntArray) -> FloatArray:
        """log R of the objects that states stop in (n,)."""
        return self.dag.log_reward(self.dag.step(states, np.full(len(states), self.dag.num_actions - 1)))

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Mean penalty over the edges that do not stop, equation 6; 0 where all trajectories stop at once."""
        terms = self.terms(trajectories)
        edges = np.flatnonzero(trajectories.actions != self.dag.num_actions - 1)
        states, row = distinct(trajectories.states[trajectories.sources])
        log_reward = torch.from_numpy(self.stopped_log_reward(states)).to(terms.log_pf)
        log_stop = terms.log_policy[:, -1]
        # Trajectories end with a stop: the state that another edge enters is the one that the next edge leaves.
        sources, targets, edge, own_sources, own_targets = (
            torch.from_numpy(i).to(self.device)
            for i in (row[edges], row[edges + 1], edges, terms.rows[edges], terms.rows[edges + 1])
        )
        residual = objectives.modified_detailed_balance(
            terms.log_pf[edge],
            terms.log_pb[edge],
            log_reward.index_select(0, sources),
            log_reward.index_select(0, targets),
            log_stop.index_select(0, own_sources),
            log_stop.index_select(0, own_targets)
            if self.target is None
            else self.log_stop(self.target, states).index_select(0, targets),
        )
        # The sum, not the mean: a batch whose trajectories all stop at once has no residual.
        return self.penalty(residual).sum() / max(len(edges), 1)

    def update(self) -> dict[str, float]:
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
