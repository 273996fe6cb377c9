"""Munchausen deep Q-network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agents.baselines.soft_dqn import SoftDQN, SoftDQNConfig
from agents.config_checks import require
from agents.losses.soft_rl import munchausen_bonus
from agents.replay.transitions import Transitions
from gfn_envs.arrays import IntArray


@dataclass(frozen=True)
class MunchausenDQNConfig(SoftDQNConfig):
    """Settings of Munchausen deep Q-networks; the defaults are those of Tiapkin et al. 2024."""

    munchausen_alpha: float = 0.15
    """alpha: weight of the log-policy in the reward. 0 is soft-dqn."""
    munchausen_lowest: float = -100.0
    """l0: lower bound of the log-policy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.munchausen_alpha < 1, "munchausen_alpha must lie in [0, 1)", self.munchausen_alpha)
        require(self.munchausen_lowest < 0, "munchausen_lowest must be < 0", self.munchausen_lowest)


class MunchausenDQN(SoftDQN):
    """Munchausen DQN: soft-dqn with alpha times the log-policy added to the reward.

    The optimal policy of this target has entropy coefficient (1 - alpha) lambda, so lambda = 1 / (1 - alpha). Its soft
    value equals that of soft-dqn.
    """

    name = "munchausen-dqn"
    config_class = MunchausenDQNConfig
    config: MunchausenDQNConfig

    @property
    def coefficient(self) -> float:
        """lambda = 1 / (1 - alpha)."""
        return 1.0 / (1.0 - self.config.munchausen_alpha)

    def targets(self, drawn: Transitions, unique: IntArray, rows: Tensor, actions: Tensor, legal: Tensor) -> Tensor:
        """y of soft-dqn plus the bonus, by the policy of the target network."""
        target = super().targets(drawn, unique, rows, actions, legal)
        q, _ = self.q_values(self.target, unique)
        bonus = munchausen_bonus(
            q.index_select(0, rows),
            legal.index_select(0, rows),
            actions,
            self.config.munchausen_alpha,
            self.coefficient,
            self.config.munchausen_lowest,
        )
        return target + torch.as_tensor(bonus).to(target)
