"""Path consistency learning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.baselines.config import BaselineConfig
from agents.config import NO_LOG_Z, require
from agents.gflownets.db import FlowAgent
from agents.log_probs import EdgeTerms
from agents.losses.balance import segment_ids
from agents.trajectories import Trajectories


@dataclass(frozen=True)
class PCLConfig(BaselineConfig):
    """Settings of path consistency learning."""

    steps: int | None = None
    """d: how many steps each path has, fewer where the trajectory ends; None: to the end of the trajectory."""

    unused = NO_LOG_Z

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps is None or self.steps >= 1, "steps must be at least 1 or None", self.steps)


class PCL(FlowAgent):
    """Path consistency learning: policy and soft value agree along paths; SubTB on paths to the end, V = log F."""

    name = "pcl"
    paper = "Nachum et al. 2017"
    config_class = PCLConfig
    config: PCLConfig

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Mean penalty over the paths from every state that is not terminal."""
        assert terms.log_flow is not None
        offsets = torch.from_numpy(trajectories.offsets).to(self.device)
        return self.penalty(
            path_consistency(terms.log_pf, terms.log_pb, terms.log_flow, offsets, self.config.steps)
        ).mean()


def path_consistency(
    log_pf: Tensor, log_pb: Tensor, value: Tensor, offsets: Tensor, steps: int | None = None
) -> Tensor:
    """Residual of the path from each state that is not terminal, (e,).

    V(s_i) - V(s_j) + sum_{i<=t<j} (log pi(a_t|s_t) - r_t) with j = i + d, or the end if that comes first: minus
    equation 14 of Nachum et al. 2017 with discount 1 and entropy coefficient 1. The reward r is log P_B on every edge,
    and log R on the last, which is here the value of the terminal state. So it is the residual of sub-trajectory
    balance with log F = V.

    Args:
        log_pf, log_pb: (e,).
        value: (s,), log R at terminal states.
        offsets: of the states, (n + 1,).
        steps: d; None for the end.
    """
    num_states = len(value)
    trajectory = segment_ids(offsets, num_states)
    last = offsets[1:][trajectory] - 1
    position = torch.arange(num_states, device=value.device)
    start = position[position < last]
    # S_i, the sum of log P_F - log P_B over all edges before state i of the batch: only differences are used.
    before = torch.zeros(num_states, dtype=torch.float64, device=value.device)
    before = before.index_copy(0, start + 1, (log_pf - log_pb).double()).cumsum(0)
    end = last[start] if steps is None else torch.minimum(start + steps, last[start])
    return value[start] - value[end] + (before[end] - before[start]).to(value.dtype)
