"""Intervals of sampled metrics: mean ± 2 standard errors covers the exact value in at least 90 of 100 repetitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
from agents.evaluation import correlations, estimates, metrics
from agents.evaluation import evaluate as evaluation
from gfn_envs import exact
from gfn_envs.enumeration import EnumerationError, state_graph
from tests.helpers import small_dag

REPETITIONS, ENOUGH = 100, 90

CASES = [
    ("GFN/HyperGrid-v0", {"ndim": 2, "side": 6}),
    ("GFN/BitSequence-v0", {"n": 8, "word_size": 2, "num_modes": 2, "construction": "non_autoregressive"}),
    ("GFN/Bag-v0", {"num_letters": 3, "capacity": 5, "repeats": 3}),
    ("GFN/BayesNet-v0", {"num_nodes": 3, "num_samples": 5}),
]


def untrained(env_id: str, kwargs: dict[str, Any]) -> Any:
    return agents.make_agent("tb", small_dag(env_id, kwargs), hidden=(16,), backward="uniform", engine="torch")


def exact_values(agent: Any) -> dict[str, float]:
    """Exact values of the sampled metrics, from all edges."""
    dag = agent.dag
    graph, log_pb, target = state_graph(dag), exact.uniform_log_pb(dag), evaluation.target_of(dag)
    pf = exact.edge_probabilities(dag, agent.probabilities)
    reach = exact.state_probabilities(dag, pf)
    learned = reach[graph.terminal]
    with np.errstate(divide="ignore"):
        ratio = log_pb - np.log(pf)
    flow = np.exp(exact.log_flows(dag) - target.log_z)
    mean, unit = float(learned @ target.scaled_reward), np.exp(target.log_unit)
    return {
        "sampled_mean_reward": mean * unit,
        "elbo": float(reach[graph.source] * pf @ ratio + learned @ target.log_reward),
        "eubo": float(flow[graph.target] * np.exp(log_pb) @ ratio + target.probabilities @ target.log_reward),
        "percent_of_target_mean": 100 * mean / target.scaled_mean,
        "sampled_mean_reward_error": abs(mean - target.scaled_mean) / target.scaled_mean,
    }


@pytest.mark.parametrize(("env_id", "kwargs"), CASES)
def test_two_standard_errors_cover_the_exact_value(env_id: str, kwargs: dict[str, Any]) -> None:
    agent = untrained(env_id, kwargs)
    expected, covered = exact_values(agent), dict.fromkeys(exact_values(agent), 0)
    for seed in range(REPETITIONS):
        found = agents.full_evaluation(agent, 400, seed=seed)
        for name, value in expected.items():
            covered[name] += abs(found[name] - value) <= 2 * found[f"{name}_se"]
    assert min(covered.values()) >= ENOUGH, covered
    assert min(covered.values()) < REPETITIONS, "errors are too large"


@pytest.mark.parametrize(
    ("env_id", "kwargs", "num_trajectories"),
    [("GFN/BayesNet-v0", {"num_nodes": 4, "num_samples": 10}, None), (CASES[1][0], CASES[1][1], 10)],
)
def test_errors_of_correlations_cover_those_of_the_population(
    env_id: str, kwargs: dict[str, Any], num_trajectories: int | None
) -> None:
    """Test objects drawn from all objects, with exact log p, or log p from K backward trajectories less its bias."""
    agent = untrained(env_id, kwargs)
    dag = agent.dag
    objects, log_reward = dag.terminal_states(), exact.log_rewards(dag)
    log_p = np.log(evaluation.exact_distribution(agent))
    expected = correlations.correlations(log_reward, log_p)
    covered = np.zeros(2)
    for seed in range(REPETITIONS):
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(objects), size=150)
        estimate, bias = log_p[rows], (0.0, 0.0)
        if num_trajectories is not None:
            weights = estimates.path_log_weights(agent, objects[rows], rng, num_trajectories)
            estimate = metrics.log_mean_exp(weights)
            bias = correlations.correlation_biases(log_reward[rows], weights)
        found = correlations.correlations(log_reward[rows], estimate)
        errors = correlations.correlation_errors(log_reward[rows], estimate, rng, resamples=60)
        covered += np.abs(np.array(found) - bias - expected) <= 2 * np.array(errors)
    assert (covered >= ENOUGH - 3).all(), covered  # 60 resamples estimate an error to a tenth


def test_noise_of_log_p_biases_correlations_and_the_estimate_of_it_says_so() -> None:
    """Normal log p with log-normal weights of variance 1: the expected correlation is known by simulation."""
    rng = np.random.default_rng(0)
    log_p = rng.normal(size=20_000)
    log_reward = log_p + 0.5 * rng.normal(size=len(log_p))
    weights = log_p[:, None] - 0.5 + rng.normal(size=(len(log_p), 10))
    truth = correlations.correlations(log_reward, log_p)
    found = correlations.correlations(log_reward, metrics.log_mean_exp(weights))
    bias = correlations.correlation_biases(log_reward, weights)
    error = correlations.correlation_errors(log_reward, log_p, rng, resamples=50)
    for k in range(2):
        assert truth[k] - found[k] > 15 * error[k]  # K = 10 is wrong by many standard errors
        assert abs(found[k] - bias[k] - truth[k]) < 0.35 * (truth[k] - found[k])
    many = rng.normal(size=(len(log_p), 100)) + log_p[:, None] - 0.5
    assert abs(correlations.correlation_biases(log_reward, many)[0]) < abs(bias[0]) / 5


def test_log_mean_exp_of_any_weights() -> None:
    weights = np.array([[0.0, 0.0], [-5000.0, -5001.0], [900.0, -np.inf], [-np.inf, -np.inf]])
    expected = [0.0, -5000 + np.log((1 + np.exp(-1)) / 2), 900 - np.log(2), -np.inf]
    np.testing.assert_allclose(metrics.log_mean_exp(weights), expected, rtol=1e-15)


def test_the_full_set_reports_bias_only_if_log_p_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.evaluation import full

    agent = untrained(*CASES[0])
    objects = agent.dag.terminal_states()
    exact_found = full.full_evaluation(agent, 50, test_objects=objects)
    monkeypatch.setattr(full, "is_enumerable", lambda *_: False)
    ancestors = full.full_evaluation(agent, 50, test_objects=objects)
    monkeypatch.setattr(full.estimates, "ancestor_log_p", _too_large)
    estimated = full.full_evaluation(agent, 50, test_objects=objects, num_backward=40)
    assert [f["log_p_source"] for f in (exact_found, ancestors, estimated)] == ["exact", "ancestors", "estimated"]
    assert (exact_found["pearson_bias"], ancestors["spearman_bias"]) == (None, None)
    for name in ("pearson", "spearman"):
        assert ancestors[name] == pytest.approx(exact_found[name], rel=1e-6)
        distance = abs(estimated[name] - estimated[f"{name}_bias"] - exact_found[name])
        assert distance < 2 * estimated[f"{name}_se"]


def _too_large(*_: Any) -> None:
    raise EnumerationError("too large")
