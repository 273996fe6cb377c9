"""Trajectory balance."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.agent import Agent
from agents.log_probs import EdgeTerms
from agents.losses import balance as objectives
from agents.trajectories import Trajectories


class TB(Agent):
    """Trajectory balance: one residual a trajectory, with a learned log Z."""

    name = "tb"
    paper = "Malkin et al. 2022"

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Mean penalty of the residual of equation 14."""
        residual = objectives.trajectory_balance(
            terms.log_pf,
            terms.log_pb,
            self.log_z_parameter,
            torch.from_numpy(trajectories.log_reward).to(terms.log_pf),
            torch.from_numpy(trajectories.edge_offsets).to(self.device),
        )
        return self.penalty(residual).mean()
