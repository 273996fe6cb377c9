"""Detailed balance."""

from __future__ import annotations

from typing import Any, ClassVar

from agents.gflownets.gflownet import BalanceGFlowNet, FlowConfig
from agents.losses.balance import EDGES, Balance


class DB(BalanceGFlowNet):
    """Detailed balance: one residual per edge, with learned state flows.

    log F(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'), with log R(x) for log F at terminal states (Bengio et al.
    2023, GFlowNet Foundations, equation 15).
    """

    name = "db"
    paper = "Bengio et al. 2023"
    learns_flow = True
    config_class: ClassVar[type[Any]] = FlowConfig
    balance = Balance(EDGES, flow="network")
