"""Exact targets, flows and terminal distributions, against sampling, path enumeration and scipy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from scipy import special, stats
from scipy.spatial import distance

import gfn_envs
from gfn_envs import Dag, EnumerationError, HyperGrid, edge_blocks, exact, make_dag
from gfn_envs.enumeration import state_graph
from gfn_envs.reward_errors import RewardError
from tests.helpers import BAG, BITS, GRID, SMALL, TINY, UNEVEN_EDGES, TableDag, all_states, small_dag

small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
tiny = pytest.mark.parametrize(("env_id", "kwargs"), TINY)


def random_policy(dag: Dag, seed: int = 0) -> exact.ForwardPolicy:
    """Forward probabilities drawn once for every state."""
    rng = np.random.default_rng(seed)
    states = all_states(dag)
    weights = rng.gamma(1.0, size=(len(states), dag.num_actions)) * dag.forward_mask(states)
    table = weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)
    return lambda rows: table[dag.state_index(rows)]


def random_log_pb(dag: Dag, seed: int = 0) -> np.ndarray:
    """log P_B of every edge of the graph, normalized over the parents of each state."""
    graph = state_graph(dag)
    weights = np.random.default_rng(seed).gamma(1.0, size=len(graph.target))
    return np.log(weights / np.bincount(graph.target, weights)[graph.target])


def sample_objects(dag: Dag, policy: exact.ForwardPolicy, n: int, seed: int) -> np.ndarray:
    """Terminal states of ``n`` trajectories."""
    rng = np.random.default_rng(seed)
    states = dag.source(n)
    while (going := ~dag.is_terminal(states)).any():
        cumulative = policy(states[going]).cumsum(1)
        draws = rng.random((len(cumulative), 1)) * cumulative[:, -1:]
        states[going] = dag.step(states[going], (draws >= cumulative).sum(1))
    return states


# ---------------------------------------------------------------------- the target


@small
def test_target_is_the_normalized_reward(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    reward = np.exp(dag.log_reward(dag.terminal_states()))
    np.testing.assert_allclose(exact.target_distribution(dag), reward / reward.sum(), rtol=1e-12)
    np.testing.assert_allclose(exact.log_partition(dag), np.log(reward.sum()), rtol=1e-12, atol=1e-12)


def test_partition_function_by_hand() -> None:
    # Side 8: a = |x/7 - 1/2| is 5/14 at 1 and 6, the only values in (0.3, 0.4); above 0.25 also 0 and 7.
    assert np.isclose(np.exp(exact.log_partition(make_dag(GRID, ndim=2, side=8))), 64 * 0.1 + 16 * 0.5 + 4 * 2.0)
    # One mode of 8 bits: sum_x exp(-3 d/8) over all strings is (1 + exp(-3/8))^8.
    dag = make_dag(BITS, n=8, word_size=2, num_modes=1)
    assert np.isclose(exact.log_partition(dag), 8 * np.log1p(np.exp(-3 / 8)), rtol=1e-14)


def test_rewards_beyond_the_range_of_floats_normalize() -> None:
    dag = TableDag(UNEVEN_EDGES)
    dag.log_rewards = dag.log_rewards + 5000.0
    np.testing.assert_allclose(exact.target_distribution(dag), special.softmax(dag.log_rewards[4:]), rtol=1e-12)
    assert np.isclose(exact.log_partition(dag), 5000.0 + special.logsumexp(dag.log_rewards[4:] - 5000.0), rtol=1e-15)


# ---------------------------------------------------------------------- the graph


@small
def test_the_graph_lists_every_edge_once_in_topological_order(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    graph = state_graph(dag)
    np.testing.assert_array_equal(graph.states, all_states(dag))
    np.testing.assert_array_equal(graph.states[graph.terminal], dag.terminal_states())
    legal = np.zeros((len(graph.states), dag.num_actions), dtype=int)
    np.add.at(legal, (graph.source, graph.action), 1)
    np.testing.assert_array_equal(legal, dag.forward_mask(graph.states))
    np.testing.assert_array_equal(dag.step(graph.states[graph.source], graph.action), graph.states[graph.target])
    assert (graph.source < graph.target).all()
    assert (np.diff(graph.source) >= 0).all()
    level = np.repeat(np.arange(graph.num_levels), np.diff(graph.level_offsets))
    edge_level = np.repeat(np.arange(graph.num_levels), np.diff(graph.edge_offsets))
    np.testing.assert_array_equal(level[graph.source], edge_level)
    assert graph.num_levels == dag.max_length + 1


# ---------------------------------------------------------------------- the terminal distribution


def distribution_by_paths(dag: Dag) -> dict[tuple[int, ...], Fraction]:
    """P_T of the uniform policy, by following every path in exact arithmetic."""
    probability: dict[tuple[int, ...], Fraction] = defaultdict(Fraction)

    def follow(state: tuple[int, ...], reach: Fraction) -> None:
        row = np.array([state], dtype=dag.state_dtype)
        legal = np.flatnonzero(dag.forward_mask(row)[0])
        if len(legal) == 0:
            probability[state] += reach
        for action in legal:
            follow(tuple(dag.step(row, np.array([action]))[0].tolist()), reach / len(legal))

    follow(tuple(dag.source(1)[0].tolist()), Fraction(1))
    return probability


@pytest.mark.parametrize(
    "dag",
    [
        TableDag(UNEVEN_EDGES),
        make_dag(GRID, ndim=1, side=5),
        make_dag(GRID, ndim=2, side=4),
        make_dag(GRID, ndim=3, side=2),
        make_dag(BITS, n=8, word_size=4, num_modes=2),
        make_dag(BITS, n=8, word_size=4, num_modes=2, construction="non_autoregressive"),
        make_dag(BAG, num_letters=3, capacity=4, repeats=2),
    ],
    ids=lambda dag: repr(dag)[:50],
)
def test_uniform_policy_against_every_path(dag: Dag) -> None:
    expected = distribution_by_paths(dag)
    assert sum(expected.values()) == 1
    found = exact.terminal_distribution(dag, exact.uniform_policy(dag))
    by_path = [float(expected[tuple(x)]) for x in dag.terminal_states().tolist()]
    np.testing.assert_allclose(found, by_path, rtol=1e-13)


def test_uniform_policy_on_a_bag_is_multinomial() -> None:
    dag = make_dag(BAG, num_letters=4, capacity=6, repeats=4)
    found = exact.terminal_distribution(dag, exact.uniform_policy(dag))
    np.testing.assert_allclose(found, stats.multinomial.pmf(dag.terminal_states(), 6, [0.25] * 4), rtol=1e-12)


@tiny
def test_terminal_distribution_against_samples(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    policy = random_policy(dag, seed=3)
    expected = 200_000 * exact.terminal_distribution(dag, policy)
    objects = sample_objects(dag, policy, 200_000, seed=4)
    observed = np.bincount(dag.terminal_index(objects), minlength=len(expected))
    observed_in_bins, expected_in_bins = pooled(observed, expected)
    # One instance in a thousand would fail by chance; divided by their number (Bonferroni), one run of them all.
    assert stats.chisquare(observed_in_bins, expected_in_bins).pvalue > 1e-3 / len(TINY)


def pooled(observed: np.ndarray, expected: np.ndarray) -> tuple[list[float], list[float]]:
    """Counts of objects, those rarely expected together in bins of at least 5, as the chi-square test wants them."""
    bins = [[0.0, 0.0]]
    for e, o in sorted(zip(expected, observed, strict=True)):
        if bins[-1][1] >= 5:
            bins.append([0.0, 0.0])
        bins[-1][0] += o
        bins[-1][1] += e
    return [o for o, _ in bins], [e for _, e in bins]


@small
@pytest.mark.parametrize("make_policy", [random_policy, exact.uniform_policy])
def test_terminal_distributions_sum_to_one(env_id: str, kwargs: dict[str, Any], make_policy: Any) -> None:
    dag = small_dag(env_id, kwargs)
    found = exact.terminal_distribution(dag, make_policy(dag))
    assert found.shape == (dag.num_terminal_states,)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize("chunk", [1, 2, 5, 32, 10**6])
def test_the_size_of_chunks_changes_nothing(chunk: int) -> None:
    dag = make_dag(GRID, ndim=2, side=4)
    policy = random_policy(dag)
    sizes = []

    def counting(states: np.ndarray) -> np.ndarray:
        sizes.append(len(states))
        return policy(states)

    expected = exact.terminal_distribution(dag, policy)
    np.testing.assert_array_equal(exact.terminal_distribution(dag, counting, chunk=chunk), expected)
    # Asked once for each of the 16 states that are not terminal, and never for more than a chunk.
    assert sum(sizes) == 16
    assert max(sizes) == min(chunk, 16)


@small
def test_a_tabulated_policy_is_the_policy(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    policy = random_policy(dag)
    table = exact.table_policy(dag, exact.edge_probabilities(dag, policy))
    states = all_states(dag)
    np.testing.assert_array_equal(table(states), policy(states))


@small
def test_expected_visits_add_up_to_the_expected_length(env_id: str, kwargs: dict[str, Any]) -> None:
    """Each level of a graded DAG is passed with the probability that the walk is still going."""
    dag = small_dag(env_id, kwargs)
    reach = exact.state_probabilities(dag, exact.edge_probabilities(dag, exact.uniform_policy(dag)))
    graph = state_graph(dag)
    terminal = dag.is_terminal(graph.states)
    assert reach[0] == 1.0
    ended = 0.0
    for start, stop in zip(graph.level_offsets[:-1], graph.level_offsets[1:], strict=True):
        np.testing.assert_allclose(reach[start:stop].sum(), 1 - ended, rtol=1e-12, atol=1e-15)
        ended += reach[start:stop][terminal[start:stop]].sum()
    np.testing.assert_allclose(ended, 1.0, rtol=1e-12)


# ---------------------------------------------------------------------- flows


def both_backward_policies(test: Any) -> Any:
    uniform: Callable[[Dag], Any] = lambda dag: None  # noqa: E731
    return pytest.mark.parametrize("make_log_pb", [uniform, random_log_pb], ids=["uniform", "random"])(test)


@small
def test_uniform_log_pb_counts_the_edges_into_each_state(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    target = state_graph(dag).target
    np.testing.assert_allclose(np.exp(-exact.uniform_log_pb(dag)), np.bincount(target)[target], rtol=1e-12)


@both_backward_policies
@small
def test_the_flow_of_the_source_is_the_partition_function(
    env_id: str, kwargs: dict[str, Any], make_log_pb: Any
) -> None:
    dag = small_dag(env_id, kwargs)
    flow = exact.log_flows(dag, make_log_pb(dag))
    np.testing.assert_allclose(flow[0], exact.log_partition(dag), rtol=1e-12, atol=1e-12)


@both_backward_policies
@small
def test_flows_balance(env_id: str, kwargs: dict[str, Any], make_log_pb: Any) -> None:
    """F(x) = R(x), F(s) = sum of F(s') P_B(s|s') over children."""
    dag = small_dag(env_id, kwargs)
    graph, log_pb = state_graph(dag), make_log_pb(dag)
    flow = np.exp(exact.log_flows(dag, log_pb))
    edge_flow = flow[graph.target] * np.exp(exact.uniform_log_pb(dag) if log_pb is None else log_pb)
    out = np.bincount(graph.source, edge_flow, minlength=len(flow))
    out[graph.terminal] = np.exp(dag.log_reward(dag.terminal_states()))
    np.testing.assert_allclose(flow, out, rtol=1e-11)
    into = np.bincount(graph.target, edge_flow, minlength=len(flow))
    np.testing.assert_allclose(into[1:], flow[1:], rtol=1e-11)


@both_backward_policies
@small
def test_the_optimal_policy_samples_the_target(env_id: str, kwargs: dict[str, Any], make_log_pb: Any) -> None:
    dag = small_dag(env_id, kwargs)
    log_pf = exact.optimal_edge_log_probabilities(dag, make_log_pb(dag))
    graph = state_graph(dag)
    total = np.bincount(graph.source, np.exp(log_pf), minlength=len(graph.states))
    np.testing.assert_allclose(np.delete(total, graph.terminal), 1.0, rtol=1e-12)
    found = exact.terminal_distribution(dag, exact.table_policy(dag, np.exp(log_pf)))
    np.testing.assert_allclose(found, exact.target_distribution(dag), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found, exact.target_distribution(dag), rtol=1e-10)


@both_backward_policies
def test_the_optimal_policy_on_uneven_paths_with_double_edges(make_log_pb: Any) -> None:
    dag = TableDag(UNEVEN_EDGES)
    log_pb = make_log_pb(dag)
    log_pf = exact.optimal_edge_log_probabilities(dag, log_pb)
    found = exact.terminal_distribution(dag, exact.table_policy(dag, np.exp(log_pf)))
    np.testing.assert_allclose(found, special.softmax(dag.log_rewards[4:]), rtol=1e-12)
    # Trajectory balance on one path: Z P_F(path) = R(x) P_B(path), along 0 -> 1 -> 2 -> 3 -> 5.
    graph = state_graph(dag)
    edges = [
        np.flatnonzero((graph.states[graph.source, 0] == s) & (graph.action == a))[0]
        for s, a in [(0, 0), (1, 0), (2, 0), (3, 1)]
    ]
    backward = exact.uniform_log_pb(dag) if log_pb is None else log_pb
    left = exact.log_partition(dag) + log_pf[edges].sum()
    np.testing.assert_allclose(left, dag.log_rewards[5] + backward[edges].sum(), rtol=1e-12)


def test_flows_by_hand() -> None:
    """1-D grid of 3 cells, one parent each: F(cell) is the sum of rewards from there on."""
    dag = HyperGrid(ndim=1, side=3, reward=lambda cells: np.array([1.0, 2.0, 4.0])[cells[:, 0]])
    flow = dict(zip(map(tuple, all_states(dag).tolist()), np.exp(exact.log_flows(dag)), strict=True))
    expected = {(0, 0): 7.0, (1, 0): 6.0, (2, 0): 4.0, (0, 1): 1.0, (1, 1): 2.0, (2, 1): 4.0}
    assert flow == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("ask", [exact.log_flows, exact.log_rewards, exact.target_distribution, exact.uniform_log_pb])
def test_huge_dags_refuse(ask: Callable[[Dag], Any]) -> None:
    with pytest.raises(EnumerationError, match="Use sampled estimates instead of exact ones"):
        ask(make_dag(GRID, ndim=10, side=20))


# ---------------------------------------------------------------------- distances

positive = hnp.arrays(np.float64, 6, elements={"min_value": 1e-3, "max_value": 1.0})


@given(positive, positive)
def test_distances_against_scipy(p: np.ndarray, q: np.ndarray) -> None:
    p, q = p / p.sum(), q / q.sum()
    assert np.isclose(exact.kl_divergence(p, q), stats.entropy(p, q), rtol=1e-9, atol=1e-14)
    middle = (p + q) / 2
    jensen_shannon = (stats.entropy(p, middle) + stats.entropy(q, middle)) / 2
    assert np.isclose(exact.jensen_shannon(p, q), jensen_shannon, rtol=1e-9, atol=1e-14)
    assert np.isclose(exact.total_variation(p, q), distance.cityblock(p, q) / 2, rtol=1e-12)
    assert np.isclose(exact.l1_mean(p, q), distance.cityblock(p, q) / 6, rtol=1e-12)


def test_distances_of_disjoint_and_equal_distributions() -> None:
    p, q = np.array([0.25, 0.75, 0.0, 0.0]), np.array([0.0, 0.0, 0.5, 0.5])
    assert exact.total_variation(p, q) == 1.0
    assert exact.l1_mean(p, q) == 0.5
    assert exact.kl_divergence(p, q) == np.inf
    assert np.isclose(exact.jensen_shannon(p, q), np.log(2), rtol=1e-15)
    for distance_of in (exact.total_variation, exact.l1_mean, exact.kl_divergence, exact.jensen_shannon):
        assert distance_of(p, p) == 0.0


def test_jensen_shannon_agrees_with_scipy() -> None:
    p, q = np.array([0.1, 0.2, 0.7, 0.0]), np.array([0.3, 0.3, 0.0, 0.4])
    assert np.isclose(exact.jensen_shannon(p, q), distance.jensenshannon(p, q) ** 2, rtol=1e-12)


@given(positive, positive)
def test_distances_stay_in_their_bounds(p: np.ndarray, q: np.ndarray) -> None:
    """Also for nearly equal distributions, for which rounding errors could leave the interval."""
    p = p / p.sum()
    near = p * (1 + 1e-12 * q)
    for other in (q / q.sum(), near / near.sum()):
        assert 0 <= exact.total_variation(p, other) <= 1
        assert 0 <= exact.jensen_shannon(p, other) <= np.log(2)
        assert exact.jensen_shannon(p, other) == exact.jensen_shannon(other, p)
        assert exact.kl_divergence(p, other) >= -1e-15


def test_an_object_that_is_never_sampled_costs_nothing_in_kl() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert np.isclose(exact.kl_divergence(p, q), np.log(2), rtol=1e-15)
    assert exact.kl_divergence(q, p) == np.inf


def test_edges_may_come_in_any_order() -> None:
    class Shuffled(HyperGrid):
        def children(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            row, children, action = super().children(states)
            order = np.random.default_rng(0).permutation(len(row))
            return row[order], children[order], action[order]

    plain, shuffled = HyperGrid(2, 4), Shuffled(2, 4)
    policy = random_policy(plain)
    np.testing.assert_allclose(
        exact.terminal_distribution(shuffled, policy), exact.terminal_distribution(plain, policy), rtol=1e-12
    )
    assert exact.log_flows(shuffled)[0] == pytest.approx(exact.log_partition(plain))


def test_rewards_of_many_objects_are_evaluated_a_few_at_a_time(monkeypatch, caplog):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    expected, largest, whole = dag.log_reward(dag.terminal_states()), [], dag.log_reward
    monkeypatch.setattr(exact, "REWARDS", 10)
    monkeypatch.setattr(edge_blocks, "QUIET_SECONDS", 0)
    dag.log_reward = lambda states: (largest.append(len(states)), whole(states))[1]
    np.testing.assert_array_equal(exact.log_rewards(dag), expected)
    assert max(largest) == 10
    assert "rewards of HyperGrid: 10 of 64 objects, about" in caplog.text


def test_distributions_need_some_reward() -> None:
    def fails(cells: np.ndarray) -> np.ndarray:
        raise TimeoutError("busy")

    dag = HyperGrid(ndim=2, side=3, reward=fails)
    dag.on_error = "skip"
    with pytest.raises(RewardError, match=r"the rewards of all 9 objects failed; object .*TimeoutError: busy"):
        exact.target_distribution(dag)
