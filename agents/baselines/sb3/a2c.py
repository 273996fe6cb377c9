"""A2C of Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.baselines.sb3.agent import SB3Agent, SB3Config
from agents.schedules import Schedule


@dataclass(frozen=True)
class SB3A2CConfig(SB3Config):
    """Settings of sb3-a2c."""

    lr: Schedule = Schedule(1e-3, 1e-3, 1)
    """Learning rate (RMSprop): a number, or start,end,steps for a linear change."""
    num_steps: int = 8
    """Steps per environment and iteration."""
    entropy_bonus: float = 0.01
    """Weight of the entropy of the policy."""
    illegal_reward: float = -10.0
    """Reward of an illegal action, which ends the episode: this agent is trained without masks."""


class SB3A2C(SB3Agent):
    """A2C of Stable-Baselines3, trained without masks: illegal actions are penalized."""

    name = "sb3-a2c"
    paper = "Mnih et al. 2016"
    config_class = SB3A2CConfig

    def make_model(self) -> Any:
        from stable_baselines3 import A2C

        return A2C(**self.arguments(), n_steps=self.config.num_steps, ent_coef=self.config.entropy_bonus)
