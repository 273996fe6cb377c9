"""Guided trajectory balance."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from agents.config import GFlowNetConfig, LogZSettings
from agents.config_checks import require
from agents.errors import UnsupportedError
from agents.gflownets.gflownet import BalanceGFlowNet
from agents.gflownets.guided.guide import LogPhi, log_guide_of_scores, log_phi_of, sample_guide
from agents.gflownets.guided.substructures import Substructures, TooManyPartsError
from agents.log_probs import LogProbs
from agents.losses.balance import COMPLETE, Balance
from agents.losses.segments import segment_sum
from agents.policies.frozen_backward import Frozen
from agents.policies.policy import Policy
from agents.replay.objects import ReplayBuffer
from agents.rollout import Logits
from agents.trajectories import Trajectories
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class GTBConfig(LogZSettings, GFlowNetConfig):
    """Settings of guided trajectory balance."""

    alpha: float = 1.0
    """Weight of the guide in the target of P_F. P_B has weight 1 - alpha. 1 is the choice of Shen et al. 2023; their
    code has 0.5 or 0.75. Only with 0 can P_F become exact: R / Z times the guide is not Markov."""
    guide_paths: Literal["none", "sampled", "all"] = "none"
    """Objects whose trajectories are resampled from the guide before learning: none, those that P_F sampled, or also
    the replayed ones. The authors' code has "all", or "sampled" on TFBind8 and PHO4."""
    freeze_after: int | None = None
    """Two-stage training (Shen et al. 2023, section 6): after this many iterations P_B is frozen, and P_F learns by
    trajectory balance with it, whose optimum is exact. None: P_B and P_F learn alternately to the end."""
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
        require(self.freeze_after is None or self.freeze_after >= 1, "freeze_after must be >= 1", self.freeze_after)


class GTB(BalanceGFlowNet):
    """Guided trajectory balance: credit is assigned to substructures that high-reward objects share.

    The guide needs all objects seen. The objects of a small sample hardly share any larger substructures. Most scores
    are then 0, and the guide prefers one child over another by chance, at odds of 1e-5^T (the floor). P_F learns this
    and moves away from R / Z. If objects have too many parts to store sums, as proteins do, the guide compares every
    child of every state with a sample of the objects, and an iteration takes seconds.

    The guide depends on x, so it is not a Markov backward policy: for alpha > 0, no P_F makes all residuals zero until
    P_B is frozen (``freeze_after``). The loss of P_B is that of the paper, (sum log P_B - log p_guide)^2. The authors'
    code adds log R to sum log P_B, so that the target of P_F depends on R^alpha instead of R if P_B converges.
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
        #: P_B once it is frozen.
        self.frozen: Frozen | None = None

    def check(self) -> None:
        try:
            self.dag.contains(self.dag.source(1), self.dag.source(0))
        except NotImplementedError as error:
            raise UnsupportedError(f"agent 'gtb' needs to know which objects contain a state: {error}") from None

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Trajectory balance of P_F with target log R + alpha log p_guide + (1 - alpha) log P_B, plus the loss of P_B,
        (sum log P_B - log p_guide)^2 (section 6). Once P_B is frozen: trajectory balance."""
        found, alpha = self.log_probs(trajectories), self.config.alpha
        if self.frozen is not None:
            return self.balance_loss(Balance(COMPLETE, flow="log_z"), found, trajectories)
        guide = torch.from_numpy(self.log_guide(trajectories)).to(found.log_pb)
        target = found._replace(log_pb=alpha * guide + (1 - alpha) * found.log_pb.detach())
        forward = self.balance_loss(Balance(COMPLETE, flow="log_z"), target, trajectories)
        offsets = torch.from_numpy(trajectories.edge_offsets).to(self.device)
        return forward + self.penalty(segment_sum(found.log_pb - guide, offsets)).mean()

    def log_guide(self, trajectories: Trajectories) -> np.ndarray:
        """log p_guide of the edges (e,), from the objects seen so far, including those of ``trajectories``."""
        return log_guide_of_scores(self.dag, trajectories, self.log_phi(trajectories), self.config.guide_temperature)

    def log_phi(self, trajectories: Trajectories) -> LogPhi:
        """The score of states, from the objects seen so far, including those of ``trajectories``."""
        known = trajectories.terminal_states, trajectories.log_reward / self.beta
        self.seen.add(*known)
        if self.parts is not None:
            try:
                self.parts.add(*known)
                return self.parts.log_mean_reward
            except TooManyPartsError:
                self.parts = None
        objects, log_reward = self.seen.sample(self.config.guide_objects, self.rng)
        return functools.partial(log_phi_of, self.dag, objects, log_reward)

    # ------------------------------------------------------------------ guide-sampled trajectories, frozen P_B

    def retraced(self, batch: Trajectories, sampled: bool) -> Trajectories:
        which = self.config.guide_paths
        if self.frozen is not None or which == "none" or (which == "sampled" and not sampled):
            return batch
        ends, temperature = batch.terminal_states, self.config.guide_temperature
        return sample_guide(self.dag, ends, batch.log_reward, self.log_phi(batch), temperature, self.rng)

    def update(self) -> dict[str, Any]:
        if self.frozen is None and self.config.freeze_after is not None and self.iteration >= self.config.freeze_after:
            self.frozen = Frozen(self.policy, self.dag)
        return super().update()

    def log_probs(self, trajectories: Trajectories) -> LogProbs:
        found = super().log_probs(trajectories)
        if self.frozen is None:
            return found
        return found._replace(log_pb=torch.from_numpy(self.frozen.log_probs(self.dag, trajectories)).to(found.log_pf))

    def backward_logits(self) -> Logits | None:
        return super().backward_logits() if self.frozen is None else self.frozen.sampler(self.dag, self.policy)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        parts = None if self.parts is None else self.parts.state_dict()
        frozen = None if self.frozen is None else self.frozen.policy.state_dict()
        return super().state_dict() | {"seen": self.seen.state_dict(), "parts": parts, "frozen": frozen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen.load_state_dict(state["seen"])  # First, because it may raise.
        super().load_state_dict(state)
        self.frozen = None
        if state.get("frozen") is not None:  # Older checkpoints have none.
            self.frozen = Frozen(self.policy, self.dag)
            self.frozen.policy.load_state_dict(state["frozen"])
        self.parts = None if state["parts"] is None else Substructures(self.dag)
        if self.parts is not None:
            self.parts.load_state_dict(state["parts"])
