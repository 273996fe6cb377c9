"""Log-partition variance (VarGrad)."""

from __future__ import annotations

from agents.config_checks import require
from agents.gflownets.gflownet import BalanceGFlowNet, LogZConfig
from agents.losses.balance import COMPLETE, Balance


class VarGrad(BalanceGFlowNet):
    """Trajectory balance with log Z replaced by its optimal value for the batch.

    The optimal value is the mean of log R + sum log P_B - sum log P_F over the batch (Zhang et al. 2023, Robust
    Scheduling).
    """

    name = "vargrad"
    paper = "Zhang et al. 2023"
    config_class = LogZConfig
    balance = Balance(COMPLETE, flow="none", centered=True)

    def check(self) -> None:
        sizes = {"batch_size": self.config.batch_size}
        if self.config.replay != "none":
            sizes["replay_batch_size"] = self.config.replay_batch_size
        for name, size in sizes.items():
            require(size >= 2, f"a variance needs a {name} of at least 2", size)
