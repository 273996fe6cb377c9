"""Path consistency learning."""

from __future__ import annotations

from dataclasses import dataclass

from agents.config import Config, EngineSettings, GFlowNetConfig
from agents.config_checks import require
from agents.gflownets.gflownet import BalanceGFlowNet
from agents.losses.balance import Balance, paths


@dataclass(frozen=True)
class PathSettings(Config):
    """Paths whose residuals are learned from."""

    steps: int | None = None
    """d: number of steps per path, fewer at the end of a trajectory; None: to the end of the trajectory."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps is None or self.steps >= 1, "steps must be at least 1 or None", self.steps)


@dataclass(frozen=True)
class PCLConfig(PathSettings, EngineSettings, GFlowNetConfig):
    """Settings of path consistency learning."""


class PCL(BalanceGFlowNet):
    """Path consistency learning: SubTB on paths of d steps or to the end, with the soft value V = log F.

    The residual of the path from s_i is V(s_i) - V(s_j) + sum_{i<=t<j} (log pi(a_t|s_t) - r_t), where j is i + d or the
    end, whichever comes first: minus equation 14 of Nachum et al. 2017 with discount 1 and entropy coefficient 1. The
    reward r is log P_B on every edge. log R on the last edge is here the value of the terminal state.
    """

    name = "pcl"
    paper = "Nachum et al. 2017"
    learns_flow = True
    config_class = PCLConfig
    config: PCLConfig

    @property
    def balance(self) -> Balance:
        return Balance(paths(self.config.steps), flow="network")
