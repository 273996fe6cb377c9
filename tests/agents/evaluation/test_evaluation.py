"""Metrics against independent oracles: direct formulas, enumeration of paths, policies with known flows."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import agents
import gfn_envs
from agents.cli import main as cli
from agents.evaluation import estimates, metrics
from agents.evaluation import evaluate as evaluation
from agents.evaluation.empirical import EmpiricalDistribution
from agents.policies import Heads, Policy
from gfn_envs import exact
from gfn_envs.enumeration import EnumerationError, state_graph
from tests.helpers import TINY, UNEVEN_EDGES, TableDag, agent_or_skip, small_dag


class TablePolicy(Policy):
    """Logits in double precision, looked up by one-hot features."""

    learns_backward = learns_flow = False

    def __init__(self, dag, logits):
        super().__init__()
        self.inputs = dag.encode
        self.table = nn.Parameter(torch.from_numpy(logits))

    def forward(self, states):
        return Heads(self.read(states) @ self.table, None, None)

    def head(self, head):
        return lambda states: self.read(states) @ self.table


def table_agent(noise=0.0, dag=None):
    """An agent on a small DAG whose P_F is the exact flow policy, its logits moved by ``noise``."""
    dag = dag or TableDag(UNEVEN_EDGES)
    graph = state_graph(dag)
    logits = np.random.default_rng(3).normal(size=(len(graph.states), dag.num_actions)) * noise
    logits[graph.states[graph.source, 0], graph.action] += exact.optimal_edge_log_probabilities(dag)
    agent = agents.make_agent("tb", dag, backward="uniform")
    agent.policy = TablePolicy(dag, logits)
    return agent


def paths(dag, agent):
    """Every trajectory: (object, probability under P_F, probability under uniform P_B)."""
    found, stack = [], [(dag.source(1), 1.0, 1.0)]
    while stack:
        state, pf, pb = stack.pop()
        if dag.is_terminal(state)[0]:
            found.append((int(state[0, 0]), pf, pb))
            continue
        for action in np.flatnonzero(dag.forward_mask(state)[0]):
            child = dag.step(state, np.array([action]))
            p = agent.probabilities(state)[0, action]
            stack.append((child, pf * p, pb / dag.backward_mask(child).sum()))
    return found


# ---------------------------------------------------------------------- log p(x) and bounds of log Z


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
    with pytest.raises(EnumerationError, match="more than 1 ancestors"):
        estimates.ancestor_log_p(agent, objects, max_states=1)


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
    monkeypatch.setattr(estimates, "CHUNK_NUMBERS", 300)
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


# ---------------------------------------------------------------------- rewards and objects


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
    pearson, spearman = metrics.correlations(a, b)
    assert pearson == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert spearman == pytest.approx(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])
    assert metrics.correlations(a, np.full(30, 2.0)) == (None, None)
    b[0] = -np.inf
    assert metrics.correlations(a, b)[0] is None
    assert np.isfinite(metrics.correlations(a, b)[1])


def test_errors_of_correlations_are_those_of_normal_pairs():
    rng, rho, n = np.random.default_rng(0), 0.6, 2000
    a = rng.normal(size=n)
    b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=n)
    pearson, spearman = metrics.correlation_errors(a, b, rng, resamples=1000)
    assert pearson == pytest.approx((1 - rho**2) / np.sqrt(n - 1), rel=0.15)
    assert spearman == pytest.approx(pearson, rel=0.4)
    assert metrics.correlation_errors(a, np.zeros(n), rng) == (None, None)
    assert metrics.correlation_errors(a[:1], b[:1], rng) == (None, None)


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


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize("name", sorted(agents.AGENTS))
def test_the_full_set_holds_the_small_one_and_leaves_the_agent_alone(name):
    hidden = {"hidden": (16,)} if hasattr(agents.AGENTS[name].config_class, "hidden") else {}
    agent = agent_or_skip(name, small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}), **hidden)
    before = agent.rng.bit_generator.state
    found = agents.full_evaluation(agent, 300, seed=1)
    assert found == agents.full_evaluation(agent, 300, seed=1)
    assert agent.rng.bit_generator.state == before
    assert agents.evaluate(agent, 300, seed=1).items() <= found.items()
    if not agent.samples_by_policy:
        assert [found[key] for key in ("tv", "elbo", "eubo", "log_p_source")] == [None] * 4
        return
    assert found["log_p_source"] == "exact"
    # A greedy policy cannot build every object: its upper bound is infinite.
    assert np.isfinite(found["eubo"]) == (name != "sb3-dqn")
    if name == "sb3-dqn":
        return
    assert found["eubo"] != agents.full_evaluation(agent, 300, seed=2)["eubo"]
    assert found["elbo"] - 5 * found["elbo_se"] < exact.log_partition(agent.dag) < found["eubo"] + 5 * found["eubo_se"]


def test_exact_metrics_by_their_formulas():
    agent = table_agent(noise=1.0)
    p, q = evaluation.exact_distribution(agent), exact.target_distribution(agent.dag)
    reward = np.exp(exact.log_rewards(agent.dag))
    found = agents.full_evaluation(agent, 500)
    assert found["tv"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert found["kl"] == pytest.approx(stats.entropy(p, q))
    assert found["kl_reverse"] == pytest.approx(stats.entropy(q, p))
    assert found["jsd"] == pytest.approx((stats.entropy(p, (p + q) / 2) + stats.entropy(q, (p + q) / 2)) / 2)
    assert found["l1_mean"] == pytest.approx(np.abs(p - q).mean())
    assert found["target_mean_reward"] == pytest.approx((reward**2).sum() / reward.sum())
    assert found["accuracy"] == pytest.approx(min(1, p @ reward / (q @ reward)))
    assert found["percent_of_target_mean"] == pytest.approx(100 * found["sampled_mean_reward"] / (q @ reward))
    assert found["pearson"] == pytest.approx(np.corrcoef(np.log(p), np.log(q))[0, 1])


SCALE_FREE = (
    "tv",
    "jsd",
    "kl",
    "kl_reverse",
    "l1_mean",
    "mean_reward_error",
    "accuracy",
    "anderson_darling",
    "pearson",
)
SCALE_FREE += (
    "sampled_mean_reward_error",
    "percent_of_target_mean",
    "percent_of_target_mean_se",
    "elbo_gap",
    "spearman",
)


@pytest.mark.parametrize("shift", [-2000.0, 30.0, 2000.0])
def test_rewards_far_beyond_all_numbers_have_metrics(shift):
    dag, plain = TableDag(UNEVEN_EDGES), table_agent(noise=1.0)
    dag.log_rewards = dag.log_rewards + shift
    agent = table_agent(noise=1.0, dag=dag)
    found, expected = agents.full_evaluation(agent, 500), agents.full_evaluation(plain, 500)
    assert {key: found[key] for key in SCALE_FREE} == pytest.approx(
        {key: expected[key] for key in SCALE_FREE}, rel=1e-9
    )
    for key in ("mean_reward", "target_mean_reward", "sampled_mean_reward", "sampled_mean_reward_se"):
        scaled = {-2000.0: 0.0, 30.0: expected[key] * np.exp(30.0), 2000.0: None}[shift]
        assert found[key] == (scaled if scaled is None else pytest.approx(scaled))


def test_an_object_of_next_to_no_reward_leaves_kl_finite():
    dag = TableDag(UNEVEN_EDGES)
    agent = table_agent(noise=1.0, dag=dag)
    graph = state_graph(dag)
    dag.log_rewards = dag.log_rewards.copy()
    dag.log_rewards[graph.states[graph.terminal[0], 0]] = -5000.0
    p, log_q = evaluation.exact_distribution(agent), exact.log_rewards(dag) - exact.log_partition(dag)
    assert evaluation.exact_metrics(dag, p)["kl"] == pytest.approx((p * (np.log(p) - log_q)).sum())


def test_no_more_states_are_listed_than_it_takes_to_know_that_there_are_too_many(monkeypatch):
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=5, max_parents=2)
    widest, children = [], dag.children
    monkeypatch.setattr(dag, "children", lambda states: widest.append(len(states)) or children(states))
    assert not evaluation.is_enumerable(dag, 500)
    assert 0 < max(widest) <= 500
    widest.clear()
    assert not evaluation.is_enumerable(dag, 500)
    assert not widest
    assert evaluation.is_enumerable(dag, 100_000)
    assert dag.has_at_most(dag.num_states)
    assert not dag.has_at_most(dag.num_states - 1)


def test_a_dag_that_is_too_large_to_enumerate():
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=10, side=20), hidden=(8,))
    found = agents.full_evaluation(agent, 50)
    undefined = ("tv", "eubo", "anderson_darling", "empirical_tv", "pearson", "log_p_source", "top_100_reward")
    assert [found[name] for name in undefined] == [None] * len(undefined)
    near = np.zeros((5, 11), dtype=int)
    near[:, 0], near[:, -1] = np.arange(5), 1
    assert agents.full_evaluation(agent, 50, test_objects=near)["log_p_source"] == "ancestors"
    far = np.full((5, 11), 19)
    far[:, 0], far[:, -1] = [0, 5, 10, 17, 19], 1
    found = agents.full_evaluation(agent, 50, test_objects=far)
    assert found["log_p_source"] == "estimated"
    assert np.isfinite(found["spearman"])


def test_the_environments_own_distance_is_used():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=6)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    dag.distance = lambda a, b: np.full((len(a), len(b)), 7.0)
    own = agents.full_evaluation(agent, 200)
    assert (own["top_10_diversity"], own["distance"]) == (7, "the environment's own")
    given = agents.full_evaluation(agent, 200, distance=metrics.hamming)
    assert given["top_10_diversity"] <= 2
    assert given["distance"] == "hamming"


def test_strings_are_compared_by_levenshtein():
    dag = gfn_envs.make_dag("GFN/AMP-v0")
    rows = dag.from_text(["ACDEFGHIKLMN", "CDEFGHIKLMNA", "ACDEFGHIKLMN" * 2])
    assert dag.distance(rows, rows[:2]).tolist() == [[0, 2], [2, 0], [12, 12]]
    found = agents.full_evaluation(agents.make_agent("tb", dag, hidden=(8,)), 20)
    assert found["distance"] == "levenshtein"
    words = gfn_envs.make_dag("GFN/Sequence-v0", alphabet=["one", "two"], length=3)
    assert words.distance(words.terminal_states(), words.terminal_states()).max() == 3


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 2), int), np.zeros((2, 3)), np.zeros((0, 3), int), np.zeros((2, 3), int)]
)
def test_bad_objects_raise(rows):
    agent = agents.make_agent("tb", small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}), hidden=(8,))
    for name in ("test_objects", "reference"):
        with pytest.raises(ValueError, match=name):
            agents.full_evaluation(agent, 10, **{name: rows})
    with pytest.raises(ValueError, match="num_samples"):
        agents.full_evaluation(agent, 1)


@pytest.mark.parametrize("row", [[100, 2, 1], [-1, 0, 1], [2**40, 0, 1], [8, 0, 1], [0, 0, 2]])
@pytest.mark.parametrize("ndim", [2, 9])
def test_rows_that_are_not_states_raise(row, ndim):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=8)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    good = [0] * ndim + [1]
    rows = np.array([good, [0] * (ndim - 2) + row, good])
    for name in ("test_objects", "reference"):
        with pytest.raises(ValueError, match=rf"{name}: row 1, .* is not a state of HyperGrid"):
            agents.full_evaluation(agent, 10, **{name: rows})


def test_the_command_line_reads_objects(tmp_path, capsys):
    dag = small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8})
    agent = agents.make_agent("tb", dag, hidden=(8,))
    agents.train(agent, 2, tmp_path / "run", progress=False)
    np.save(tmp_path / "objects.npy", dag.terminal_states()[:5])
    files = ["--test-objects", str(tmp_path / "objects.npy"), "--reference", str(tmp_path / "objects.npy")]
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "run"), *files])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in ("EUBO", "Anderson-Darling", "Spearman", "10 best to the reference"))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "run"), *files])
    assert stop.value.code == 2
    assert "objects.npy" in capsys.readouterr().err
