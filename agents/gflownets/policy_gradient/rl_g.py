"""Policy gradients with a backward policy that learns a guided reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from agents.config_checks import require_at_least
from agents.gflownets.policy_gradient.guides import Parts, find_guide
from agents.gflownets.policy_gradient.rl_b import RLB, RLBConfig
from agents.policies.policy import Policy
from agents.replay.objects import ReplayBuffer
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


@dataclass(frozen=True)
class RLGConfig(RLBConfig):
    """Settings of RL-G."""

    guide: Literal["paper", "stop", "low-reward", "conditional", "agreement"] = "paper"
    """P_G: the paper's choice for the environment; P_F that hardly stops where the reward is lowest (stop), or low
    (low-reward); or the mean reward of the objects seen that a child can become, over the children that lead to x
    (conditional), or over all children (agreement)."""
    guide_threshold: float = 75.0
    """Low-reward guide: an object is low unless its log R exceeds that of stopping in s0 by this much."""
    replay_capacity: int = 100_000
    """Maximum number of objects stored for the conditional and the agreement guide."""
    guide_objects: int = 1000
    """Objects drawn per iteration from all objects seen, for the agreement guide, and for the conditional guide if
    objects have more than 4,096 parts on average."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "guide_objects", "replay_capacity")


class RLG(RLB):
    """Policy gradients (RL-G): P_B learns a guided reference that avoids low rewards.

    Raises:
        UnsupportedError: :func:`find_guide` has no guide for the environment.
    """

    name = "rl-g"
    config_class = RLGConfig
    config: RLGConfig

    def __init__(self, dag: Dag, config: Any = None, seed: int = 0, policy: Policy | None = None):
        chosen = RLGConfig() if config is None else config
        self.guide = find_guide(dag, chosen.guide)
        super().__init__(dag, config, seed, policy)
        self.seen = ReplayBuffer(dag, self.config.replay_capacity, "uniform")
        self.parts = Parts(dag)

    def step_backward(self, batch: Trajectories) -> dict[str, float]:
        known = batch.terminal_states, batch.log_reward / self.beta
        self.seen.add(*known)
        if self.config.guide in ("paper", "conditional") and self.dag.has("contains"):
            self.parts.add(*known)
        return super().step_backward(batch)

    def log_reference(self, trajectories: Trajectories, log_pf: Tensor) -> Tensor:
        """log P_G of the edges, (e,), detached."""
        with torch.no_grad():
            return self.guide(self, trajectories, log_pf)

    def listed(self) -> tuple[IntArray, FloatArray]:
        """Objects drawn from those seen, and log R."""
        return self.seen.sample(self.config.guide_objects, self.rng)

    def state_dict(self) -> dict[str, Any]:
        sums = None if self.parts.sums is None else self.parts.sums.state_dict()
        return super().state_dict() | {"seen": self.seen.state_dict(), "parts": sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen.load_state_dict(state["seen"])  # First, because it may raise.
        super().load_state_dict(state)
        self.parts = Parts(self.dag)
        if "parts" not in state:  # Older checkpoints; the sums follow from the objects.
            self.parts.add(self.seen.objects, self.seen.log_reward)
        elif state["parts"] is None:
            self.parts.sums = None
        elif self.parts.sums is not None:
            self.parts.sums.load_state_dict(state["parts"])
