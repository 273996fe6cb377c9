"""Metrics of rewards and objects against direct formulas."""

import itertools

import numpy as np
import pytest
from scipy import stats

import agents
from agents.evaluation import correlations, metrics
from agents.evaluation.empirical import EmpiricalDistribution
from gfn_envs import exact
from tests.agents.evaluation.table_agent import table_agent
from tests.helpers import UNEVEN_EDGES, TableDag


@pytest.mark.filterwarnings("ignore")
def test_anderson_darling_is_scipys_over_its_five_percent_value():
    rng = np.random.default_rng(0)
    a, b = rng.choice([0.1, 0.5, 2.0], 80), rng.choice([0.1, 0.5, 2.0, 3.0], 60)
    result = stats.anderson_ksamp([a, b])
    assert metrics.anderson_darling(a, b) == result.statistic / result.critical_values[2]
    assert metrics.anderson_darling(a, a[::-1]) < 0
    assert metrics.anderson_darling(a, a + 1) > 1
    assert metrics.anderson_darling(np.ones(5), np.ones(7)) is None


def test_means_against_the_target():
    assert metrics.mean_and_error([1.0, 2.0, 6.0]) == (3.0, pytest.approx(np.sqrt(7 / 3)))
    assert metrics.mean_and_error([2.0]) == (2.0, None)
    assert metrics.relative_error(3.0, 4.0) == metrics.relative_error(5.0, 4.0) == 0.25
    assert [metrics.accuracy(mean, 4.0) for mean in (3.0, 5.0)] == [0.75, 1.0]


def test_correlations_by_their_definitions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.normal(size=30)
    pearson, spearman = correlations.correlations(a, b)
    assert pearson == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert spearman == pytest.approx(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])
    assert correlations.correlations(a, np.full(30, 2.0)) == (None, None)
    b[0] = -np.inf
    assert correlations.correlations(a, b)[0] is None
    assert np.isfinite(correlations.correlations(a, b)[1])


def test_errors_of_correlations_are_those_of_normal_pairs():
    rng, rho, n = np.random.default_rng(0), 0.6, 2000
    a = rng.normal(size=n)
    b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=n)
    pearson, spearman = correlations.correlation_errors(a, b, rng, resamples=1000)
    assert pearson == pytest.approx((1 - rho**2) / np.sqrt(n - 1), rel=0.15)
    assert spearman == pytest.approx(pearson, rel=0.4)
    assert correlations.correlation_errors(a, np.zeros(n), rng) == (None, None)
    assert correlations.correlation_errors(a[:1], b[:1], rng) == (None, None)


def test_only_objects_that_were_chosen_have_an_error_of_their_correlation():
    agent = table_agent(noise=1.0)
    every = agents.full_evaluation(agent, 50)
    assert (every["pearson_se"], every["spearman_se"]) == (None, None)
    some = agents.full_evaluation(agent, 50, test_objects=agent.dag.terminal_states())
    assert some["pearson"] == every["pearson"]
    assert some["pearson_se"] is None or some["pearson_se"] > 0
    assert every["sampled_mean_reward_error_se"] == pytest.approx(every["percent_of_target_mean_se"] / 100)


def test_diversity_and_novelty_by_double_loops():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (7, 11)), rng.integers(0, 3, (9, 11))

    def apart(x, y):
        return sum(int(u != v) for u, v in zip(x, y, strict=True))

    pairs = [apart(x, y) for x, y in itertools.permutations(a, 2)]
    assert metrics.diversity(a) == pytest.approx(sum(pairs) / (7 * 6))
    assert metrics.novelty(a, b) == pytest.approx(np.mean([min(apart(x, y) for y in b) for x in a]))
    assert metrics.novelty(a, np.concatenate([b] * 1000 + [a])) == 0  # the nearest is in the last chunk

    def taxicab(x, y):
        return np.abs(x[:, None] - y[None]).sum(-1)

    pairs = [np.abs(x - y).sum() for x, y in itertools.permutations(a, 2)]
    assert metrics.diversity(a, taxicab) == pytest.approx(sum(pairs) / (7 * 6))


def test_top_k_counts_each_object_once():
    objects = np.array([[3], [1], [3], [2], [1], [5]])
    rewards = np.array([9.0, 4.0, 9.0, 4.0, 4.0, 1.0])
    best, best_rewards = metrics.best_objects(objects, rewards)
    assert best[:, 0].tolist() == [3, 1, 2, 5]  # equal rewards in order of appearance
    assert best_rewards.tolist() == [9.0, 4.0, 4.0, 1.0]
    found = metrics.top_k(objects, np.log(rewards), ks=(2, 3, 5), reference=np.array([[3]]))
    assert found["top_5_reward"] is None
    assert [found["top_2_reward"], found["top_3_reward"]] == pytest.approx([6.5, 17 / 3])
    assert (found["top_2_diversity"], found["top_5_diversity"]) == (1.0, None)
    assert found["top_2_novelty"] == 0.5


def test_the_last_samples_are_remembered_whatever_the_batches():
    dag = TableDag(UNEVEN_EDGES)
    terminal = dag.terminal_states()
    rng = np.random.default_rng(0)
    for capacity in (1, 5, 8):
        recent, everything = EmpiricalDistribution(dag, capacity), []
        for size in (3, 0, 1, 8, 17, 2, 5, 4):
            index = rng.integers(len(terminal), size=size)
            recent.add(terminal[index])
            everything += index.tolist()
            last = everything[-capacity:]
            assert len(recent) == len(last)
            np.testing.assert_allclose(recent.probabilities(), np.bincount(last, minlength=len(terminal)) / len(last))
    target = exact.target_distribution(dag)
    assert recent.distances()["tv"] == pytest.approx(np.abs(recent.probabilities() - target).sum() / 2)
    with pytest.raises(ValueError, match="no samples"):
        EmpiricalDistribution(dag).probabilities()
    with pytest.raises(ValueError, match="capacity"):
        EmpiricalDistribution(dag, 0)


@pytest.mark.parametrize(
    ("values", "bins"),
    [
        ([7.0, 7.0 + 1e-15, 7.0], 1),
        ([1e8, 1e8 + 0.001], 1),
        ([0.0, 1.0], 40),
        ([-5.0, np.nan, np.inf, 3.0], 40),
        ([], 1),
    ],
)
def test_edges_of_histograms(values, bins):
    values = np.array(values)
    edges = metrics.histogram_edges(values, 40)
    finite = values[np.isfinite(values)]
    assert len(edges) == bins + 1
    assert np.histogram(finite, bins=edges)[0].sum() == len(finite)


def test_correlations_of_numbers_that_are_equal_up_to_rounding_are_undefined():
    ordered = np.array([0.0, 1.0, 2.0])
    for flat in (np.array([1.0, 1 + 2.2e-16, 1.0]), np.array([0.0, np.nan, 1.0])):
        assert correlations.correlations(flat, ordered) == correlations.correlations(ordered, flat) == (None, None)
    assert correlations.correlations(np.array([-np.inf, 0.0, 1.0]), ordered)[1] == pytest.approx(1.0)
