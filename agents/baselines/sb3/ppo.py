"""MaskablePPO of sb3-contrib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.baselines.sb3.agent import SB3Agent, SB3Config


@dataclass(frozen=True)
class SB3PPOConfig(SB3Config):
    """Settings of sb3-ppo."""

    minibatch_size: int = 256
    """Steps per minibatch."""
    epochs: int = 4
    """Passes over the steps of an iteration."""
    entropy_bonus: float = 0.01
    """Weight of the entropy of the policy."""


class SB3PPO(SB3Agent):
    """MaskablePPO of sb3-contrib on the native vector environment."""

    name = "sb3-ppo"
    paper = "Schulman et al. 2017; Huang and Ontañón 2022"
    config_class = SB3PPOConfig

    def make_model(self) -> Any:
        from sb3_contrib import MaskablePPO

        # The advantages of a minibatch are divided by their standard deviation, which one step does not have.
        steps, size = self.config.num_steps * self.config.batch_size, self.config.minibatch_size
        if steps == 1 or size == 1 or steps % size == 1:
            raise ValueError(
                f"sb3-ppo: the last minibatch would have one step, got num_steps {self.config.num_steps} x batch_size "
                f"{self.config.batch_size} = {steps} and minibatch_size {size}; choose another size"
            )
        return MaskablePPO(
            **self.arguments(),
            n_steps=self.config.num_steps,
            batch_size=min(self.config.minibatch_size, self.config.num_steps * self.config.batch_size),
            n_epochs=self.config.epochs,
            ent_coef=self.config.entropy_bonus,
        )
