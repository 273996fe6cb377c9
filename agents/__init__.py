"""GFlowNet agents, the training loop around them, and exact evaluation.

import agents, gfn_envs

dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
agent = agents.make_agent("tb", dag, seed=0)
history = agents.train(agent, iterations=2000)
print(agents.evaluate(agent)["tv"])
"""

from agents import plots
from agents.agent import Agent
from agents.config import Config
from agents.evaluation.evaluate import evaluate, exact_distribution
from agents.evaluation.full import full_evaluation
from agents.policies import Policy
from agents.registry import AGENTS, make_agent
from agents.rollout import sample_backward, sample_forward
from agents.runs.directory import RunError, load_agent
from agents.runs.train import train
from agents.schedules import Schedule
from agents.trajectories import Trajectories

__all__ = [
    "AGENTS",
    "Agent",
    "Config",
    "Policy",
    "RunError",
    "Schedule",
    "Trajectories",
    "evaluate",
    "exact_distribution",
    "full_evaluation",
    "load_agent",
    "make_agent",
    "plots",
    "sample_backward",
    "sample_forward",
    "train",
]
