"""Log-partition variance (VarGrad)."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.config import require
from agents.gflownets.tb import TB
from agents.log_probs import EdgeTerms
from agents.losses import balance as objectives
from agents.trajectories import Trajectories


class VarGrad(TB):
    """Trajectory balance without a learned log Z: the batch gives its best value."""

    name = "vargrad"
    paper = "Zhang et al. 2023"

    def check(self) -> None:
        sizes = {"batch_size": self.config.batch_size}
        if self.config.replay != "none":
            sizes["replay_batch_size"] = self.config.replay_batch_size
        for name, size in sizes.items():
            require(size >= 2, f"a variance needs a {name} of at least 2", size)

    def objective(self, terms: EdgeTerms, trajectories: Trajectories) -> Tensor:
        """Variance over the batch of log R + sum log P_B - sum log P_F; log Z follows its mean."""
        log_reward = torch.from_numpy(trajectories.log_reward).to(terms.log_pf)
        offsets = torch.from_numpy(trajectories.edge_offsets).to(self.device)
        residual = objectives.log_partition_variance(terms.log_pf, terms.log_pb, log_reward, offsets)
        # log Z is no part of the objective; it is fitted to the batch so that it can be reported.
        score = objectives.segment_sum(terms.log_pf - terms.log_pb, offsets).detach() - log_reward
        return self.penalty(residual).mean() + (self.log_z_parameter + score.mean()).square()
