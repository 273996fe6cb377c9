"""db and subtb with log F(s0) as a separate parameter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import agents
import gfn_envs

GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)


def make(name, **settings):
    return agents.make_agent(name, GRID, seed=1, **{"hidden": (16,), "engine": "torch", "lr_log_z": 0.05, **settings})


def test_subtb_of_long_parts_is_trajectory_balance():
    """As lambda grows, only (s0, x) counts, and log F(s0) = log Z (Madan et al. 2023, section 2.3)."""
    subtb, tb = make("subtb", lamda=1e12), make("tb", track_log_z=False)
    batch = tb.sample_trajectories(8)
    with torch.no_grad():
        subtb.log_z_parameter.fill_(0.3)
        tb.log_z_parameter.fill_(0.3)
    found = tb.log_probs(batch)
    flows = found._replace(log_flow=torch.zeros(len(batch.states)))
    flows.log_flow[batch.last] = torch.from_numpy(batch.log_reward).float()
    losses = [agent.balance_loss(agent.balance, value, batch) for agent, value in ((subtb, flows), (tb, found))]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    slopes = [
        torch.autograd.grad(loss, agent.log_z_parameter)[0] for loss, agent in zip(losses, (subtb, tb), strict=True)
    ]
    assert slopes[0].item() == pytest.approx(slopes[1].item(), rel=1e-4)


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_log_z_has_its_own_rate(engine):
    agent = make("db", engine=engine, lr_log_z=0.25, lr=0.0, track_log_z=False)
    assert agent.log_z == 0.0
    network = [p.clone() for p in agent.policy.parameters()]
    agent.update()
    assert abs(agent.log_z) == pytest.approx(0.25, rel=1e-3)  # Adam's first step.
    assert all(torch.equal(a, b) for a, b in zip(network, agent.policy.parameters(), strict=True))


@pytest.mark.parametrize("name", ["db", "subtb"])
def test_it_learns_the_target_and_resumes(name):
    agent = make(name, lr=1e-2, engine="numba", hidden=(32, 32))
    for _ in range(300):
        agent.update()
    assert agents.evaluate(agent, num_samples=2)["tv"] < 0.05
    assert agent.log_z == pytest.approx(np.log(np.exp(GRID.log_reward(GRID.terminal_states())).sum()), abs=0.05)
    other = make(name, lr=1e-2, engine="numba", hidden=(32, 32))
    other.load_state_dict(agent.state_dict())
    assert other.update() == agent.update()
    assert other.log_z == agent.log_z


def test_by_default_log_z_is_the_flow_of_the_network():
    agent = make("subtb", lr_log_z=None)
    assert agent.log_z_parameter is None
    assert agent.log_z == agent.policy(GRID.source(1)).log_flow.item()
