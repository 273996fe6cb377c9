"""Forward-looking detailed balance and sub-trajectory balance."""

from __future__ import annotations

from dataclasses import dataclass

from agents.errors import UnsupportedError
from agents.gflownets.db import DB
from agents.gflownets.gflownet import BalanceConfig, BalanceGFlowNet
from agents.gflownets.subtb import SubTB, SubTBSettings
from agents.losses.balance import EDGES, Balance


@dataclass(frozen=True)
class ForwardLookingConfig(BalanceConfig):
    """Settings of forward-looking objectives."""

    track_log_z: bool = True
    """Fit log flows to the first batch if they are off by more than 10 nats and its trajectories have one length."""


class ForwardLooking(BalanceGFlowNet):
    """State flows are corrections to an intermediate reward: log F(s) = E(s) + f(s) (Pan et al. 2023).

    E is ``dag.partial_log_reward``, 0 at s0 and log R at terminal states; the network predicts f.
    """

    paper = "Pan et al. 2023"

    def check(self) -> None:
        try:
            self.dag.partial_log_reward(self.dag.source(1))
        except NotImplementedError as error:
            raise UnsupportedError(f"agent {self.name!r} needs intermediate rewards: {error}") from None


class FLDB(ForwardLooking, DB):
    """Forward-looking detailed balance: state flows as corrections to intermediate rewards."""

    name = "fldb"
    config_class = ForwardLookingConfig
    balance = Balance(EDGES, flow="network", partial_reward=True)


@dataclass(frozen=True)
class FLSubTBConfig(SubTBSettings, ForwardLookingConfig):
    """Settings of forward-looking sub-trajectory balance."""


class FLSubTB(ForwardLooking, SubTB):
    """Forward-looking sub-trajectory balance: SubTB(lambda) with corrections to intermediate rewards."""

    name = "flsubtb"
    config_class = FLSubTBConfig

    @property
    def balance(self) -> Balance:
        return super().balance._replace(partial_reward=True)
