"""Exploration of long trajectories: some of them may stop only after a random step."""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from gfn_envs import exact

SHARE = 0.6


def explorer(engine):
    """An agent whose policy prefers some actions, and stops early."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    agent = agents.make_agent("tb", dag, seed=0, hidden=(16,), engine=engine, delay_stop=SHARE, batch_size=100_000)
    with torch.no_grad():
        for p in agent.policy.parameters():
            p *= 3
        agent.policy.networks[0].last_bias[dag.num_actions - 1] += 1
    return agent


def behavior(agent, first_stop):
    """P_F without the stop action before step ``first_stop``. On the grid, the step follows from the coordinates."""

    def policy(states):
        p = agent.probabilities(states)
        early = (states[:, :-1].sum(1) + 1 < first_stop) & (p[:, :-1].sum(1) > 0)
        p[early, -1] = 0
        return p / p.sum(1, keepdims=True)

    return exact.terminal_distribution(agent.dag, policy)


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_delayed_trajectories_stop_at_a_uniform_step_at_the_earliest(engine):
    if engine == "numba":
        pytest.importorskip("numba")
    agent = explorer(engine)
    longest = agent.dag.max_length
    delayed = np.mean([behavior(agent, step) for step in range(1, longest + 1)], axis=0)
    plain = behavior(agent, 1)
    expected = (1 - SHARE) * plain + SHARE * delayed
    objects = agent.sample_batch().terminal_states
    found = np.bincount(agent.dag.terminal_index(objects), minlength=len(expected)) / len(objects)
    assert np.abs(found - expected).sum() / 2 < 0.01
    assert np.abs(plain - expected).sum() / 2 > 0.1
    # Evaluations sample P_F.
    objects = agent.sample(100_000)
    found = np.bincount(agent.dag.terminal_index(objects), minlength=len(expected)) / len(objects)
    assert np.abs(found - plain).sum() / 2 < 0.01


def test_environments_where_states_cannot_stop_refuse_the_setting():
    dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=8, word_size=4, num_modes=2)
    with pytest.raises(ValueError, match="delay_stop needs an environment where every state can stop"):
        agents.make_agent("tb", dag, delay_stop=0.1)


@pytest.mark.parametrize("share", [-0.1, 1.5, "0.5,2,10"])
def test_the_share_lies_between_0_and_1(share):
    with pytest.raises(ValueError, match=r"delay_stop must lie in \[0, 1\]"):
        agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4), delay_stop=share)
