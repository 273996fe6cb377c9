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
    """Normalize weights within each trajectory, or over the batch as Madan et al. 2023 do. Without truncation, the two
    differ only if lengths differ."""
    longest: int | None = None
    """Only sub-trajectories of at most this many steps; None: all. 1 is detailed balance."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.lamda < float("inf"), "lamda must be finite and > 0", self.lamda)
        require(self.longest is None or self.longest >= 1, "longest must be at least 1", self.longest)


@dataclass(frozen=True)
class SubTBConfig(SubTBSettings, FlowConfig):
    """Settings of sub-trajectory balance."""


class SubTB(BalanceGFlowNet):
    """Sub-trajectory balance SubTB(lambda): one residual per sub-trajectory, with learned state flows.

    The residual from step i to step j > i is log F(s_i) + sum log P_F - log F(s_j) - sum log P_B, with weight
    lambda^(j - i) (Madan et al. 2023, equation 11).
    """

    name = "subtb"
    paper = "Madan et al. 2023"
    learns_flow = True
    config_class: ClassVar[type[Any]] = SubTBConfig
    config: Any

    @property
    def balance(self) -> Balance:
        pairs = sub_trajectories(self.config.lamda, self.config.weighting, self.config.longest)
        return Balance(pairs, flow="network")
