"""Flow matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agents.config import GFlowNetConfig
from agents.config_checks import require
from agents.gflownets.gflownet import GFlowNet
from agents.losses.flow_matching import flow_matching
from agents.losses.segments import segment_logsumexp
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct


@dataclass(frozen=True)
class FMConfig(GFlowNetConfig):
    """Settings of flow matching."""

    terminal_weight: float = 1.0
    """Weight of the residuals of terminal states; those of other states have weight 1."""
    eps: float = 0.0
    """Added to inflows and outflows before taking logarithms, so that tiny flows weigh little (equation 12)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.terminal_weight > 0, "terminal_weight must be > 0", self.terminal_weight)
        require(0 <= self.eps < float("inf"), "eps must be finite and >= 0", self.eps)


class FM(GFlowNet):
    """Flow matching: inflow equals outflow in every state, with learned edge flows.

    There is no backward policy. Evaluation uses the uniform one.
    """

    name = "fm"
    paper = "Bengio et al. 2021"
    config_class = FMConfig
    config: FMConfig

    @property
    def log_z(self) -> float:
        """Log of the flow out of s0."""
        with torch.inference_mode():
            return float(np.logaddexp.reduce(self._legal_logits(self.dag.source(1))[0].double().cpu().numpy()))

    def _legal_logits(self, states: np.ndarray) -> Tensor:
        """Log edge flows, (n, num_actions); -inf if illegal."""
        illegal = torch.from_numpy(~self.dag.forward_mask(states)).to(self.device)
        return self.policy(states).forward_logits.masked_fill(illegal, -torch.inf)

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Mean squared residual of equation 12 over the states visited, except s0."""
        dag = self.dag
        targets = trajectories.states[trajectories.targets]
        row, parents, actions = dag.parents(targets)
        inner = np.flatnonzero(~dag.is_terminal(targets))
        unique, index = distinct(np.concatenate([parents, targets[inner]]))
        log_flow = self._legal_logits(unique)
        edge = torch.from_numpy(index[: len(parents)] * dag.num_actions + actions).to(self.device)
        rows = torch.from_numpy(row).to(self.device)
        log_in = segment_logsumexp(log_flow.reshape(-1).index_select(0, edge), rows, len(targets))
        log_out = torch.zeros(len(targets), dtype=log_in.dtype, device=self.device)
        log_out[torch.from_numpy(trajectories.edge_offsets[1:] - 1).to(self.device)] = torch.from_numpy(
            trajectories.log_reward
        ).to(log_in)
        outflow = log_flow.index_select(0, torch.from_numpy(index[len(parents) :]).to(self.device)).logsumexp(1)
        log_out = log_out.index_copy(0, torch.from_numpy(inner).to(self.device), outflow)
        weight = torch.full_like(log_in, self.config.terminal_weight)
        weight[torch.from_numpy(inner).to(self.device)] = 1.0
        return (weight * self.penalty(flow_matching(log_in, log_out, self.config.eps))).mean()
