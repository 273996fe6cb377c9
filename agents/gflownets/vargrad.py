"""Log-partition variance (VarGrad)."""

from __future__ import annotations

from agents.config_checks import require_two_trajectories
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
        require_two_trajectories(self.config, "a variance")
