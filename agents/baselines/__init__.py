"""Baselines: reinforcement learning, Markov chain Monte Carlo and the uniform policy, one per file."""

from agents.baselines.a2c_er import A2CER
from agents.baselines.mcmc import MCMC
from agents.baselines.munchausen_dqn import MunchausenDQN
from agents.baselines.pcl import PCL
from agents.baselines.ppo import PPO
from agents.baselines.random import Random
from agents.baselines.reinforce import Reinforce
from agents.baselines.rtb import RTB, TrustPCL
from agents.baselines.sac import SAC
from agents.baselines.sb3 import SB3A2C, SB3DQN, SB3PPO
from agents.baselines.soft_dqn import SoftDQN

__all__ = [
    "A2CER",
    "MCMC",
    "PCL",
    "PPO",
    "RTB",
    "SAC",
    "SB3A2C",
    "SB3DQN",
    "SB3PPO",
    "MunchausenDQN",
    "Random",
    "Reinforce",
    "SoftDQN",
    "TrustPCL",
]
