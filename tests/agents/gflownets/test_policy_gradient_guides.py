"""Guides of the policy gradients: probabilities edge by edge, losses, and environments without a guide."""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.errors import UnsupportedError
from agents.gflownets.policy_gradient.guides import find_guide
from agents.losses import policy_gradient as pg
from tests.agents.losses import papers
from tests.agents.losses.enumerated import tensor
from tests.helpers import small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})
STRINGS = ("GFN/TFBind8-v0", {"length": 3, "table": [1.0 + i % 7 for i in range(64)], "construction": "fill"})


def test_stopping_is_capped_where_rewards_are_low():
    log_p = tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]).clamp(min=1e-300).log()
    given = pg.capped_stop(log_p, torch.tensor([True, False, False]), np.log(1e-5)).exp()
    expected = tensor([[0.5, 0.25, 1e-5], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(given, expected / expected.sum(1, keepdim=True))


def test_guide_of_hypergrid_edge_by_edge():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16)
    batch = agent.sample_trajectories(16)
    given = agent.log_reference(batch, None)
    sources = batch.states[batch.sources]
    probability = agent.probabilities(sources)
    for edge, (state, action) in enumerate(zip(sources, batch.actions, strict=True)):
        p = probability[edge].copy()
        if dag.reward(state[None, :-1])[0] <= 0.1:
            p[-1] = min(p[-1], 1e-5)
        assert given[edge].item() == pytest.approx(np.log(p[action] / p.sum()), abs=1e-4)
    assert not given.requires_grad


@pytest.mark.parametrize("sums", [True, False])
def test_guide_of_strings_edge_by_edge(sums):
    """Niu et al. 2024: over the children that lead to x, by mean rewards of all objects seen."""
    dag = small_dag(*STRINGS)
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16)
    for _ in range(2):
        agent.update()
    if not sums:
        agent.parts.sums = None
    batch = agent.sample_trajectories(12)
    agent.seen.add(batch.terminal_states, batch.log_reward)
    agent.parts.add(batch.terminal_states, batch.log_reward)
    given = agent.log_reference(batch, torch.zeros(batch.num_edges))
    reward = np.exp(agent.seen.log_reward)
    ends = np.repeat(batch.terminal_states, batch.lengths, axis=0)
    for edge, (state, action, end) in enumerate(zip(batch.states[batch.sources], batch.actions, ends, strict=True)):
        _, children, actions = dag.children(state[None])
        inside = dag.contains(children, end[None])[:, 0]
        scores = [reward[dag.contains(child[None], agent.seen.objects)[0]].mean() for child in children[inside]]
        expected = scores[actions[inside].tolist().index(action)] / sum(scores)
        assert given[edge].item() == pytest.approx(np.log(expected), abs=1e-5)
    assert agents.make_agent("rl-g", dag, guide="agreement").guide is not agent.guide


def test_guide_of_bayesian_networks_edge_by_edge():
    dag = small_dag("GFN/BayesNet-v0", {"num_nodes": 3, "num_samples": 20})
    threshold = 2.0
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16, guide_threshold=threshold)
    batch = agent.sample_trajectories(30)
    given = agent.log_reference(batch, None)
    sources = batch.states[batch.sources]
    probability, low = agent.probabilities(sources), 0
    for edge, (state, action) in enumerate(zip(sources, batch.actions, strict=True)):
        p = probability[edge].copy()
        if dag.log_reward(dag.step(state[None], np.array([dag.num_actions - 1])))[0] <= threshold and p[:-1].any():
            p[-1], low = min(p[-1], 1e-10), low + 1
        assert given[edge].item() == pytest.approx(np.log(p[action] / p.sum()), abs=1e-4)
    assert 0 < low < batch.num_edges
    info = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=8, backward_loss="squared").update()
    assert info["backward_loss"] > 0


def test_the_squared_loss_of_p_b_is_trajectory_balance_with_the_reference():
    agent = agents.make_agent("rl-b", small_dag(*GRID), hidden=(8,), batch_size=8, backward_loss="squared", lr=0.0)
    batch = agent.sample_trajectories(8)
    state = agent.rng.bit_generator.state
    value = agent.step_backward(batch)["backward_loss"]
    agent.rng.bit_generator.state = state
    mirrored = agent.sample_backward(batch.terminal_states, batch.log_reward)
    found = agent.log_probs(mirrored)
    residual = papers.trajectory_balance(
        found.log_pf, found.log_pb, agent.log_z_parameter, torch.from_numpy(mirrored.log_reward),
        torch.from_numpy(mirrored.edge_offsets),
    )  # fmt: skip
    assert value == pytest.approx(residual.square().mean().item(), rel=1e-5)


def test_rl_g_resumes_with_its_guide():
    dag = small_dag(*STRINGS)
    agent, other = (agents.make_agent("rl-g", dag, hidden=(8,), batch_size=4, seed=seed) for seed in (0, 1))
    agent.update()
    other.load_state_dict(agent.state_dict())
    assert other.update() == agent.update()
    old = {key: value for key, value in agent.state_dict().items() if key != "parts"}
    other.load_state_dict(old)
    assert other.update() == agent.update()


class BagWithoutContainment(gfn_envs.Bag):
    contains = gfn_envs.Dag.contains


def test_environments_without_a_guide_are_refused():
    with pytest.raises(UnsupportedError, match=r"BagWithoutContainment.* has none.*HyperGrid"):
        find_guide(BagWithoutContainment())
    with pytest.raises(UnsupportedError, match=r"HyperGrid.*sparse.* has none.*R0"):
        find_guide(gfn_envs.make_dag("GFN/HyperGrid-v0", reward="sparse"))
    for reward in ("standard", "hard", "cosine", "deceptive", "bitwise_xor"):
        find_guide(gfn_envs.make_dag("GFN/HyperGrid-v0", reward=reward))
