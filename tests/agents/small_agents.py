"""Small agents on a small grid, and what they have learned."""

import torch

import agents
from agents import registry
from agents.registry import GFLOWNETS
from tests.helpers import small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})

SETTINGS = {"hidden": (12,), "width": 8, "layers": 1, "heads": 2, "batch_size": 4}

FLOW = [name for name, agent in GFLOWNETS.items() if agent.learns_flow]


def make(name="tb", dag=None, **settings):
    return agents.make_agent(name, dag or small_dag(*GRID), seed=1, **SETTINGS | settings)


def with_policy(name, policy, **settings):
    chosen = registry.agent_class(name)
    return chosen(small_dag(*GRID), chosen.config_class(**settings), policy=policy)


def parameters(agent):
    """A copy of all that is learned."""
    networks = [agent.policy, *(getattr(agent, part) for part in ("values", "target") if getattr(agent, part, None))]
    learned = [*(q for n in networks for q in n.parameters()), agent.log_z_parameter]
    return [p.detach().clone() for p in learned if p is not None]


def assert_unharmed(agent, before, iteration=0):
    assert all(
        torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(before, parameters(agent), strict=True)
    )
    assert agent.iteration == iteration
