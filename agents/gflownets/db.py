"""Detailed balance."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from agents.agent import Agent
from agents.config import Config, FlowConfig
from agents.log_probs import EdgeTerms
from agents.losses import balance as objectives
from agents.trajectories import Trajectories


class FlowAgent(Agent):
    """Agents that learn log F(s), whose value at s0 is their estimate of log Z."""

    learns_flow = True
    config_class: ClassVar[type[Config]] = FlowConfig

    @property
    def log_z(self) -> float:
        """log F(s0)."""
        with torch.inference_mode():
            return self.policy(self.dag.source(1)).log_flow.item()


class DB(FlowAgent):
    """Detailed balance: one residual an edge, with learned state flows."""

    name = "db"
    paper = "Bengio et al. 2023"

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Mean over trajectories of the mean penalty of the residual of equation 15 over their edges."""
        assert terms.log_flow is not None
        sources, targets = (torch.from_numpy(i).to(self.device) for i in (trajectories.sources, trajectories.targets))
        residual = objectives.detailed_balance(
            terms.log_pf, terms.log_pb, terms.log_flow.index_select(0, sources), terms.log_flow.index_select(0, targets)
        )
        lengths = trajectories.lengths
        weight = torch.from_numpy(np.repeat(1.0 / (lengths * len(lengths)), lengths)).to(residual)
        return weight @ self.penalty(residual)
