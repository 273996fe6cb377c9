"""Trajectory balance."""

from __future__ import annotations

from agents.gflownets.gflownet import BalanceGFlowNet, LogZConfig
from agents.losses.balance import COMPLETE, Balance


class TB(BalanceGFlowNet):
    """Trajectory balance: one residual per trajectory, with a learned log Z.

    log Z + sum_t log P_F(s_{t+1}|s_t) - log R(x) - sum_t log P_B(s_t|s_{t+1}) (Malkin et al. 2022, equation 14).
    """

    name = "tb"
    paper = "Malkin et al. 2022"
    config_class = LogZConfig
    balance = Balance(COMPLETE, flow="log_z")
