"""Sub-trajectory balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from agents.config import Config
from agents.config_checks import require
from agents.gflownets.gflownet import BalanceGFlowNet, FlowConfig
from agents.losses.balance import Balance, sub_trajectories


@dataclass(frozen=True)
class SubTBSettings(Config):
    """Weights of sub-trajectories."""

    lamda: float = 0.9
    """Weight lambda^length of a sub-trajectory. The limit 0 is detailed balance, infinity is trajectory balance."""
    weighting: Literal["trajectory", "batch"] = "trajectory"
    """Normalize weights within each trajectory or within the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.lamda < float("inf"), "lamda must be finite and > 0", self.lamda)


@dataclass(frozen=True)
class SubTBConfig(SubTBSettings, FlowConfig):
    """Settings of sub-trajectory balance."""


class SubTB(BalanceGFlowNet):
    """Sub-trajectory balance SubTB(lambda): one residual per sub-trajectory, with learned state flows.

    The residual from step i to step j > i is log F(s_i) + sum log P_F - log F(s_j) - sum log P_B, with weight
    lambda^(j - i) (Madan et al. 2023, equation 10).
    """

    name = "subtb"
    paper = "Madan et al. 2023"
    learns_flow = True
    config_class: ClassVar[type[Any]] = SubTBConfig
    config: Any

    @property
    def balance(self) -> Balance:
        return Balance(sub_trajectories(self.config.lamda, self.config.weighting), flow="network")
