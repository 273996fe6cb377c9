"""Sub-trajectory balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.config import require
from agents.gflownets.gflownet import BalanceConfig, BalanceGFlowNet
from agents.losses.balance import Balance, sub_trajectories


@dataclass(frozen=True)
class SubTBConfig(BalanceConfig):
    """Settings of sub-trajectory balance."""

    lamda: float = 0.9
    """Weight lambda^length of a sub-trajectory. The limit 0 is detailed balance, infinity is trajectory balance."""
    weighting: Literal["trajectory", "batch"] = "trajectory"
    """Normalize weights within each trajectory or within the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.lamda < float("inf"), "lamda must be finite and > 0", self.lamda)


class SubTB(BalanceGFlowNet):
    """Sub-trajectory balance SubTB(lambda): one residual per sub-trajectory, with learned state flows.

    The residual from step i to step j > i is log F(s_i) + sum log P_F - log F(s_j) - sum log P_B, with weight
    lambda^(j - i) (Madan et al. 2023, equation 10).
    """

    name = "subtb"
    paper = "Madan et al. 2023"
    learns_flow = True
    config_class = SubTBConfig
    config: SubTBConfig

    @property
    def balance(self) -> Balance:
        return Balance(sub_trajectories(self.config.lamda, self.config.weighting), flow="network")
