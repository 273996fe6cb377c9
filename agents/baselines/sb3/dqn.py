"""DQN of Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from agents.baselines.sb3.agent import SB3Agent, SB3Config
from agents.config_checks import require, require_at_least
from agents.schedules import Schedule

#: Arrays of the replay buffer of the library.
BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@dataclass(frozen=True)
class SB3DQNConfig(SB3Config):
    """Settings of sb3-dqn."""

    num_steps: int = 4
    """Steps per environment and iteration."""
    epsilon: Schedule = Schedule(1.0, 0.05, 1000)
    """Probability, at each step, of a uniformly random action: a number or start,end,steps."""
    illegal_reward: float = -10.0
    """Reward of an illegal action, which ends the episode: this agent is trained without masks."""
    gradient_steps: int = 4
    """Gradient steps per iteration."""
    minibatch_size: int = 128
    """Transitions per gradient step."""
    buffer_size: int = 50_000
    """Capacity of the replay buffer, in transitions."""
    target_update_interval: int = 1000
    """Transitions between updates of the target network."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, 1, "gradient_steps", "minibatch_size", "buffer_size", "target_update_interval")
        low, high = sorted((self.epsilon.start, self.epsilon.end))
        require(0 <= low <= high <= 1, "epsilon must lie in [0, 1]", self.epsilon)


class SB3DQN(SB3Agent):
    """DQN of Stable-Baselines3, trained without masks; its policy is the best legal action."""

    name = "sb3-dqn"
    paper = "Mnih et al. 2015"
    config_class = SB3DQNConfig
    counters = (*SB3Agent.counters, "_n_calls")
    greedy = True

    def make_model(self) -> Any:
        from stable_baselines3 import DQN

        return DQN(
            **self.arguments(),
            buffer_size=self.config.buffer_size,
            learning_starts=0,
            batch_size=self.config.minibatch_size,
            train_freq=self.config.num_steps,
            gradient_steps=self.config.gradient_steps,
            target_update_interval=self.config.target_update_interval,
        )

    def prepare(self) -> None:
        epsilon = self.config.epsilon(self.iteration)
        self.model.exploration_schedule = lambda _: epsilon
        self.model.exploration_rate = epsilon

    def update(self) -> dict[str, Any]:
        buffer = self.model.replay_buffer
        rows = (buffer.pos + np.arange(self.config.num_steps)) % buffer.buffer_size
        overwritten, pos, full = {name: getattr(buffer, name)[rows] for name in BUFFER}, buffer.pos, buffer.full
        try:
            return super().update()
        except BaseException:
            for name, array in overwritten.items():
                getattr(buffer, name)[rows] = array
            buffer.pos, buffer.full = pos, full
            raise

    def state_dict(self) -> dict[str, Any]:
        buffer = self.model.replay_buffer
        size = buffer.buffer_size if buffer.full else buffer.pos
        arrays = {name: torch.from_numpy(getattr(buffer, name)[:size].copy()) for name in BUFFER}
        return super().state_dict() | {"buffer": arrays, "buffer_pos": buffer.pos, "buffer_full": buffer.full}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        buffer = self.model.replay_buffer
        for name, array in state["buffer"].items():
            getattr(buffer, name)[: len(array)] = array.cpu().numpy()
        buffer.pos, buffer.full = state["buffer_pos"], state["buffer_full"]
