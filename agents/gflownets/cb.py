"""Contrastive balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agents.config_checks import require_two_trajectories
from agents.gflownets.gflownet import BalanceGFlowNet, LogZConfig
from agents.losses.segments import segment_sum
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray


@dataclass(frozen=True)
class CBConfig(LogZConfig):
    """Settings of contrastive balance."""

    pairs: Literal["halves", "all"] = "halves"
    """Pairs of trajectories: each of the first half of a batch with one of the second, or all pairs. With the squared
    penalty, all pairs are vargrad times 2 n / (n - 1)."""


class CB(BalanceGFlowNet):
    """Contrastive balance: one residual per pair of trajectories, without log Z.

    With S(tau) = log P_F(tau) - log P_B(tau|x) - log R(x), the residual of tau and tau' is S(tau) - S(tau') (da Silva
    et al. 2024, Embarrassingly parallel GFlowNets, contrastive balance): the difference of two residuals of trajectory
    balance, so that log Z cancels. As in vargrad, a parameter log Z is fitted to the batch for reporting only.
    """

    name = "cb"
    paper = "da Silva et al. 2024"
    config_class = CBConfig
    config: CBConfig

    def check(self) -> None:
        require_two_trajectories(self.config, "a pair")

    def scores(self, trajectories: Trajectories) -> Tensor:
        """log P_F - log P_B - log R of each trajectory, (n,)."""
        found = self.log_probs(trajectories)
        offsets = torch.from_numpy(trajectories.edge_offsets).to(self.device)
        score = segment_sum(found.log_pf - found.log_pb + self.log_odds, offsets)
        return score - torch.from_numpy(trajectories.log_reward).to(score)

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Mean penalty of the pairs, 0 if there is one trajectory only; and the fit of log Z."""
        score, n = self.scores(trajectories), len(trajectories)
        if self.config.pairs == "all":
            first, second = torch.triu_indices(n, n, 1, device=self.device)
        else:
            first = torch.arange(n // 2, device=self.device)
            second = first + n // 2
        residual = score.index_select(0, first) - score.index_select(0, second)
        fit = (self.log_z_parameter + score.detach().mean()).square()
        return self.penalty(residual).sum() / max(1, len(residual)) + fit

    def trajectory_losses(self, trajectories: Trajectories) -> FloatArray:
        """Penalty of each trajectory against the mean of the batch, float64 (n,)."""
        score = self.scores(trajectories)
        return np.asarray(self.penalty(score - score.mean()).double().cpu().numpy())
