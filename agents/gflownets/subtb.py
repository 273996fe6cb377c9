"""Sub-trajectory balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from agents.config import FlowConfig, require
from agents.gflownets.db import FlowAgent
from agents.log_probs import EdgeTerms
from agents.losses import balance as objectives
from agents.trajectories import Trajectories


@dataclass(frozen=True)
class SubTBConfig(FlowConfig):
    """Settings of sub-trajectory balance."""

    lamda: float = 0.9
    """Weight lambda^(length) of a sub-trajectory: towards 0 detailed balance, towards infinity trajectory balance."""
    weighting: Literal["trajectory", "batch"] = "trajectory"
    """Whether weights are normalised over each trajectory or over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.lamda < float("inf"), "lamda must be finite and > 0", self.lamda)


class SubTB(FlowAgent):
    """Sub-trajectory balance SubTB(lambda): a residual for every part of a trajectory, with learned state flows."""

    name = "subtb"
    paper = "Madan et al. 2023"
    config_class = SubTBConfig
    config: SubTBConfig

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Equation 10."""
        assert terms.log_flow is not None
        offsets = torch.from_numpy(trajectories.offsets).to(self.device)
        return objectives.subtrajectory_balance(
            terms.log_pf, terms.log_pb, terms.log_flow, offsets, self.config.lamda, self.config.weighting, self.penalty
        )
