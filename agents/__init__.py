"""GFlowNet agents, baselines, training and exact evaluation.

import agents, gfn_envs

dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
agent = agents.make_agent("tb", dag, seed=0)
history = agents.train(agent, iterations=2000)
print(agents.evaluate(agent)["tv"])

Importing this package loads neither torch nor NumPy. Names are loaded at first use, so that the commands of ``gfn``
that concern environments alone run without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agents import deprecated

if TYPE_CHECKING:
    from agents import plots
    from agents.agent import Agent
    from agents.config import Config
    from agents.errors import NoLegalActionError, UnsupportedError
    from agents.evaluation.evaluate import evaluate, exact_distribution
    from agents.evaluation.full import full_evaluation
    from agents.policies import Policy
    from agents.registry import AGENTS, make_agent, register
    from agents.rollout import sample_backward, sample_forward
    from agents.runs.callbacks import Callback
    from agents.runs.directory import load_agent
    from agents.runs.errors import RunError
    from agents.runs.train import train
    from agents.schedules import Schedule
    from agents.trajectories import Trajectories

__all__ = [
    "AGENTS",
    "Agent",
    "Callback",
    "Config",
    "NoLegalActionError",
    "Policy",
    "RunError",
    "Schedule",
    "Trajectories",
    "UnsupportedError",
    "evaluate",
    "exact_distribution",
    "full_evaluation",
    "load_agent",
    "make_agent",
    "plots",
    "register",
    "sample_backward",
    "sample_forward",
    "train",
]

#: Public name -> module that defines it.
_DEFINED_IN = {
    "AGENTS": "agents.registry",
    "Agent": "agents.agent",
    "Callback": "agents.runs.callbacks",
    "Config": "agents.config",
    "NoLegalActionError": "agents.errors",
    "Policy": "agents.policies",
    "RunError": "agents.runs.errors",
    "Schedule": "agents.schedules",
    "Trajectories": "agents.trajectories",
    "UnsupportedError": "agents.errors",
    "evaluate": "agents.evaluation.evaluate",
    "exact_distribution": "agents.evaluation.evaluate",
    "full_evaluation": "agents.evaluation.full",
    "load_agent": "agents.runs.directory",
    "make_agent": "agents.registry",
    "register": "agents.registry",
    "sample_backward": "agents.rollout",
    "sample_forward": "agents.rollout",
    "train": "agents.runs.train",
}

deprecated.install()


def __getattr__(name: str) -> Any:
    """Load a public name, or a module of this package, at first use."""
    if name in _DEFINED_IN:
        value = getattr(importlib.import_module(_DEFINED_IN[name]), name)
        globals()[name] = value
        return value
    if not name.startswith("_"):
        try:
            return importlib.import_module(f"agents.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"agents.{name}":
                raise
    raise AttributeError(f"module 'agents' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
