"""Agents of Stable-Baselines3. The library is imported when an agent is made."""

from agents.baselines.sb3.a2c import SB3A2C
from agents.baselines.sb3.dqn import SB3DQN
from agents.baselines.sb3.ppo import SB3PPO

__all__ = ["SB3A2C", "SB3DQN", "SB3PPO"]
