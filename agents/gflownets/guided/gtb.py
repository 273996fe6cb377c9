"""Guided trajectory balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.config import GFlowNetConfig, LogZSettings
from agents.config_checks import require
from agents.errors import UnsupportedError
from agents.gflownets.gflownet import BalanceGFlowNet
from agents.gflownets.guided.guide import log_guide, log_guide_of_scores
from agents.gflownets.guided.substructures import Substructures, TooManyPartsError
from agents.losses.balance import COMPLETE, Balance
from agents.losses.segments import segment_sum
from agents.policies.policy import Policy
from agents.replay.objects import ReplayBuffer
from agents.trajectories import Trajectories
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class GTBConfig(LogZSettings, GFlowNetConfig):
    """Settings of guided trajectory balance."""

    alpha: float = 1.0
    """Weight of the guide in the target of P_F. P_B has weight 1 - alpha."""
    guide_temperature: float = 1.0
    """Exponent T of the guide: 0 is uniform over the parts of x. Larger values are greedier."""
    guide_objects: int = 1000
    """Objects drawn per iteration for the guide if objects have more than 4,096 parts on average. Otherwise the guide
    uses all objects seen. Few objects make a poor guide (see GTB)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.alpha <= 1, "alpha must lie in [0, 1]", self.alpha)
        require(0 <= self.guide_temperature < float("inf"), "guide_temperature must be >= 0", self.guide_temperature)
        require(self.guide_objects >= 1, "guide_objects must be at least 1", self.guide_objects)


class GTB(BalanceGFlowNet):
    """Guided trajectory balance: credit is assigned to substructures that high-reward objects share.

    The guide needs all objects seen. The objects of a small sample hardly share any larger substructures. Most scores
    are then 0, and the guide prefers one child over another by chance, at odds of 1e-5^T (the floor). P_F learns this
    and moves away from R / Z. If objects have too many parts to store sums, as proteins do, the guide compares every
    child of every state with a sample of the objects, and an iteration takes seconds.
    """

    name = "gtb"
    paper = "Shen et al. 2023"
    config_class = GTBConfig
    config: GTBConfig
    fixed_backward = "learned"

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        super().__init__(dag, config, seed, policy)
        self.seen = ReplayBuffer(dag, self.config.replay_capacity, "uniform")
        #: Sums over all objects seen; None if there would be too many.
        self.parts: Substructures | None = Substructures(dag)

    def check(self) -> None:
        try:
            self.dag.contains(self.dag.source(1), self.dag.source(0))
        except NotImplementedError as error:
            raise UnsupportedError(f"agent 'gtb' needs to know which objects contain a state: {error}") from None

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Trajectory balance of P_F with target log R + alpha log p_guide + (1 - alpha) log P_B, plus the loss of P_B,
        (sum log P_B - log p_guide)^2 (section 5)."""
        found, alpha = self.log_probs(trajectories), self.config.alpha
        guide = torch.from_numpy(self.log_guide(trajectories)).to(found.log_pb)
        target = found._replace(log_pb=alpha * guide + (1 - alpha) * found.log_pb.detach())
        forward = self.balance_loss(Balance(COMPLETE, flow="log_z"), target, trajectories)
        offsets = torch.from_numpy(trajectories.edge_offsets).to(self.device)
        return forward + self.penalty(segment_sum(found.log_pb - guide, offsets)).mean()

    def log_guide(self, trajectories: Trajectories) -> np.ndarray:
        """log p_guide of the edges (e,), from the objects seen so far, including those of ``trajectories``."""
        temperature = self.config.guide_temperature
        known = trajectories.terminal_states, trajectories.log_reward / self.beta
        self.seen.add(*known)
        if self.parts is not None:
            try:
                self.parts.add(*known)
                return log_guide_of_scores(self.dag, trajectories, self.parts.log_mean_reward, temperature)
            except TooManyPartsError:
                self.parts = None
        objects, log_reward = self.seen.sample(self.config.guide_objects, self.rng)
        return log_guide(self.dag, trajectories, objects, log_reward, temperature)

    def state_dict(self) -> dict[str, Any]:
        parts = None if self.parts is None else self.parts.state_dict()
        return super().state_dict() | {"seen": self.seen.state_dict(), "parts": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen.load_state_dict(state["seen"])  # First, because it may raise.
        super().load_state_dict(state)
        self.parts = None if state["parts"] is None else Substructures(self.dag)
        if self.parts is not None:
            self.parts.load_state_dict(state["parts"])
