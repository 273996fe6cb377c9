"""log p(x) and bounds of log Z against enumerated paths and policies with known flows."""

import numpy as np
import pytest

import agents
from agents import memory
from agents.evaluation import estimates
from agents.evaluation import evaluate as evaluation
from gfn_envs import exact
from gfn_envs.enumeration import EnumerationError
from tests.agents.evaluation.table_agent import paths, table_agent
from tests.helpers import TINY, small_dag


def test_the_exact_flow_policy_meets_both_bounds_without_variance():
    agent = table_agent()
    log_z = exact.log_partition(agent.dag)
    found = agents.full_evaluation(agent, 200)
    assert found["tv"] < 1e-14
    assert found["elbo"] == pytest.approx(log_z, abs=1e-12)
    assert found["eubo"] == pytest.approx(log_z, abs=1e-12)
    assert found["elbo_se"] < 1e-12
    assert found["eubo_se"] < 1e-12
    assert found["pearson"] == pytest.approx(1, abs=1e-12)
    assert found["accuracy"] == pytest.approx(1, abs=1e-12)


def test_bounds_equal_those_of_enumerated_paths_on_both_sides_of_log_z():
    agent = table_agent(noise=1.0)
    log_z, every = exact.log_partition(agent.dag), paths(agent.dag, agent)
    reward = np.exp(agent.dag.log_rewards)
    ratios = np.array([np.log(reward[x] * pb / pf) for x, pf, pb in every])
    elbo = sum(pf * ratio for (_, pf, _), ratio in zip(every, ratios, strict=True))
    eubo = sum(reward[x] * pb * ratio for (x, _, pb), ratio in zip(every, ratios, strict=True)) / np.exp(log_z)
    found = agents.full_evaluation(agent, 20_000)
    assert elbo < log_z - 0.05
    assert eubo > log_z + 0.05
    assert abs(found["elbo"] - elbo) < 4.5 * found["elbo_se"]
    assert abs(found["eubo"] - eubo) < 4.5 * found["eubo_se"]
    assert found["elbo_gap"] == pytest.approx(log_z - found["elbo"])
    assert found["eubo_gap"] == pytest.approx(found["eubo"] - log_z)


def test_ancestors_give_the_exact_probability_of_each_object():
    agent = table_agent(noise=1.0)
    objects = agent.dag.terminal_states()
    every = paths(agent.dag, agent)
    expected = [sum(pf for x, pf, _ in every if x == row[0]) for row in objects]
    np.testing.assert_allclose(np.exp(estimates.ancestor_log_p(agent, objects)), expected, rtol=1e-12)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_ancestors_agree_with_the_dynamic_program_over_the_whole_dag(env_id, kwargs):
    agent = agents.make_agent("tb", small_dag(env_id, kwargs), hidden=(16,))
    objects = agent.dag.terminal_states()[::-3]
    expected = evaluation.exact_distribution(agent)[::-3]
    np.testing.assert_allclose(np.exp(estimates.ancestor_log_p(agent, objects)), expected, rtol=1e-4)
    with pytest.raises(EnumerationError, match="more than 0 ancestors"):
        estimates.ancestor_log_p(agent, objects, max_states=0)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
@pytest.mark.parametrize("backward", ["uniform", "learned"])
def test_the_estimate_of_p_is_unbiased(env_id, kwargs, backward):
    agent = agents.make_agent("tb", small_dag(env_id, kwargs), hidden=(16,), backward=backward)
    objects = agent.dag.terminal_states()[:8]
    expected = evaluation.exact_distribution(agent)[:8]
    rng = np.random.default_rng(0)
    log_p, error = estimates.sampled_log_p(agent, objects, rng, num_trajectories=4000)
    p, se = np.exp(log_p), np.exp(log_p) * error
    assert (np.abs(p - expected) < 5 * se + 1e-5 * expected).all()
    # Few trajectories are as right on average: the mean of p, not of log p.
    few = [np.exp(estimates.sampled_log_p(agent, objects, rng, 2)[0]) for _ in range(200)]
    spread = np.std(few, axis=0, ddof=1) / np.sqrt(len(few))
    assert (np.abs(np.mean(few, axis=0) - expected) < 5 * spread + 1e-5 * expected).all()


def test_chunks_change_no_estimate(monkeypatch):
    agent = table_agent(noise=1.0)
    objects = np.repeat(agent.dag.terminal_states(), 50, axis=0)
    sampled = agent.sample_trajectories(101, rng=np.random.default_rng(1))
    at_once = estimates.log_ratios(agent, sampled)
    monkeypatch.setattr(memory, "CALL_NUMBERS", 300)
    np.testing.assert_allclose(estimates.log_ratios(agent, sampled), at_once, rtol=0, atol=1e-12)
    ratios = estimates.backward_log_ratios(agent, objects, np.random.default_rng(0))
    possible = [np.log(pb / pf) for _, pf, pb in paths(agent.dag, agent)]
    assert ratios.shape == (len(objects),)
    assert np.abs(ratios[:, None] - possible).min(1).max() < 1e-12
    np.testing.assert_allclose(
        np.exp(estimates.ancestor_log_p(agent, agent.dag.terminal_states())),
        evaluation.exact_distribution(agent),
        rtol=1e-12,
    )
