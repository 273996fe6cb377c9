"""Guided trajectory balance: trajectories sampled from the guide, and the two stages with a frozen P_B."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

import agents
import gfn_envs
from agents.gflownets.guided.guide import log_guide, log_phi_of, sample_guide
from agents.policies.frozen_backward import Frozen
from agents.replay.trajectories import paths_of
from gfn_envs.envs.bag import Bag
from tests.agents.gflownets.test_guide import DAGS

BAG = Bag(num_letters=3, capacity=4, repeats=3)
SETTINGS = {"hidden": (32,), "lr": 1e-2, "batch_size": 16}


def make(**settings):
    return agents.make_agent("gtb", BAG, seed=0, **{**SETTINGS, **settings})


@pytest.mark.parametrize("name", DAGS)
def test_trajectories_of_the_guide_have_its_probabilities(name):
    dag, rng = DAGS[name], np.random.default_rng(0)
    objects = dag.terminal_states()
    log_reward = rng.normal(size=len(objects))
    ends = np.repeat(objects[-1:], 4000, axis=0)

    def log_phi(*states):
        return log_phi_of(dag, objects, log_reward, *states)

    batch = sample_guide(dag, ends, np.repeat(log_reward[-1], 4000), log_phi, 1.5, rng)
    assert np.array_equal(batch.terminal_states, ends)
    assert np.array_equal(dag.undo(batch.states[batch.targets], batch.backward_actions), batch.states[batch.sources])
    log_p = np.add.reduceat(log_guide(dag, batch, objects, log_reward, 1.5), batch.edge_offsets[:-1])
    found = Counter(tuple(path) for path in paths_of(batch))
    expected = {tuple(path): np.exp(value) for path, value in zip(paths_of(batch), log_p, strict=True)}
    rest = 1 - sum(expected.values())  # Paths that were never drawn are rare.
    assert -1e-9 < rest < 0.02
    often = [path for path in found if 4000 * expected[path] > 5]
    counts = [found[path] for path in often] + [4000 - sum(found[path] for path in often)]
    shares = [expected[path] for path in often] + [1 - sum(expected[path] for path in often)]
    if shares[-1] < 1e-9:
        counts, shares = counts[:-1], shares[:-1]
    if len(counts) > 1:
        assert stats.chisquare(counts, 4000 * np.array(shares) / sum(shares)).pvalue > 1e-4


@pytest.mark.parametrize(
    ("which", "changed"), [("none", (False, False)), ("sampled", (True, False)), ("all", (True,) * 2)]
)
def test_objects_whose_trajectories_the_guide_draws(which, changed, monkeypatch):
    agent = make(guide_paths=which, replay="uniform")
    agent.update()
    batch = agent.sample_trajectories(8)
    for sampled, expected in zip((True, False), changed, strict=True):
        again = agent.retraced(batch, sampled)
        assert (again is not batch) == expected
        assert np.array_equal(again.terminal_states, batch.terminal_states)
        assert np.array_equal(again.log_reward, batch.log_reward)
    agent.update()


def test_after_the_first_stage_p_b_stays_and_the_loss_is_trajectory_balance():
    agent = make(freeze_after=5, alpha=0.5)
    for _ in range(5):
        agent.update()
    assert agent.frozen is None
    states = np.concatenate(list(BAG.levels()))[1:]
    with torch.inference_mode():
        before = agent.policy.logits("backward")(states)
    agent.update()
    for _ in range(3):
        agent.update()
    np.testing.assert_array_equal(agent.frozen.logits(BAG, states), before)
    with torch.inference_mode():
        assert np.abs(agent.policy.logits("backward")(states) - before).max() > 0  # The trunk is shared.
        np.testing.assert_array_equal(agent.backward_logits()(states), before)
    batch = agent.sample_trajectories(6)
    scores = np.where(
        BAG.backward_mask(batch.states[batch.targets]), agent.frozen.logits(BAG, batch.states[batch.targets]), -np.inf
    )
    log_pb = scores[np.arange(len(scores)), batch.backward_actions] - np.logaddexp.reduce(scores, axis=1)
    log_pf = agent.log_probs(batch).log_pf.detach().double().numpy()
    residual = agent.log_z + np.add.reduceat(log_pf - log_pb, batch.edge_offsets[:-1]) - batch.log_reward
    assert agent.loss(batch).item() == pytest.approx((residual**2).mean(), rel=1e-4)


def test_two_stages_learn_the_target_and_the_alternating_method_does_not():
    """Theorem 6.1 needs a guide that some P_F can match. P_B, once frozen, is one."""
    grid = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    rates, distance = {"lr": "1e-2,1e-4,500", "lr_log_z": "1e-1,1e-3,500"}, {}
    for freeze_after in (150, None):
        agent = agents.make_agent("gtb", grid, hidden=(32,), freeze_after=freeze_after, **rates)
        for _ in range(500):
            agent.update()
        distance[freeze_after] = agents.evaluate(agent, num_samples=2)["tv"]
    assert distance[150] < 0.005
    assert distance[None] > 0.02


def test_a_run_resumes_in_both_stages():
    agent = make(freeze_after=3)
    for _ in range(5):
        agent.update()
        other = make(freeze_after=3)
        other.load_state_dict(agent.state_dict())
        assert (other.frozen is None) == (agent.frozen is None)
        first, second = agent.state_dict(), other.state_dict()
        assert agent.update() == other.update()
        agent.load_state_dict(first)
        other.load_state_dict(second)
        agent.update()


def test_a_frozen_backward_policy_serves_every_objective():
    trained = make()
    trained.update()
    agent = agents.make_agent("tb", BAG, seed=1, backward=Frozen(trained.policy, BAG), engine="torch", **SETTINGS)
    batch = agent.sample_trajectories(5)
    expected = trained.log_pb(batch).detach()
    torch.testing.assert_close(agent.log_probs(batch).log_pb, expected, rtol=1e-5, atol=1e-6)
    agent.update()
    torch.testing.assert_close(agent.log_probs(batch).log_pb, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="without backward logits"):
        Frozen(agent.policy, BAG)


@pytest.mark.parametrize("settings", [{"freeze_after": 0}, {"guide_paths": "some"}])
def test_bad_settings(settings):
    with pytest.raises(ValueError, match=r"freeze_after must be >= 1|guide_paths must be"):
        make(**settings)
