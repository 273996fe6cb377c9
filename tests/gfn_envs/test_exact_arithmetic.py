"""Exact quantities against mpmath: rewards over 700 nats and more, tiny probabilities, nearly equal distributions."""

from __future__ import annotations

import numpy as np
import pytest

from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.helpers import UNEVEN_EDGES, TableDag

mpmath = pytest.importorskip("mpmath")


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(60):
        yield


def big(values: np.ndarray) -> list:
    return [mpmath.mpf(float(v)) for v in values]


def normal(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


RNG = np.random.default_rng(0)
P = normal(RNG.exponential(size=200))
PAIRS = {
    "far": (P, normal(RNG.exponential(size=200))),
    **{f"apart by 1e-{k}": (P, normal(P * (1 + 10.0**-k * RNG.normal(size=200)))) for k in (1, 3, 5, 7)},
    "wide": (normal(np.exp(RNG.uniform(-600, 0, 200))), normal(np.exp(RNG.uniform(-600, 0, 200)))),
    "disjoint in part": (normal(P * (np.arange(200) < 150)), normal(P * (np.arange(200) > 50))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_distances_keep_their_digits(name: str) -> None:
    p, q = PAIRS[name]
    a, b = big(p), big(q)
    # Divide by the sums: the arrays are distributions up to rounding, and the distances are those of distributions.
    a, b = [x / mpmath.fsum(a) for x in a], [x / mpmath.fsum(b) for x in b]

    def kl(x, y):
        terms = (u * mpmath.log(u / v) for u, v in zip(x, y, strict=True) if u)
        return mpmath.fsum(terms)

    middle = [(x + y) / 2 for x, y in zip(a, b, strict=True)]
    jsd = float((kl(a, middle) + kl(b, middle)) / 2)
    tv = float(mpmath.fsum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2)
    # Rounding of the probabilities themselves moves a distance by about 1e-16 over its size.
    rel = 1e-13 + 1e-15 / tv
    assert exact.jensen_shannon(p, q) == pytest.approx(jsd, rel=rel, abs=0)
    assert exact.total_variation(p, q) == pytest.approx(tv, rel=rel, abs=0)
    if name == "disjoint in part":
        assert exact.kl_divergence(p, q) == np.inf
    else:
        assert exact.kl_divergence(p, q) == pytest.approx(float(kl(a, b)), rel=rel, abs=0)


def test_tiny_distances_are_those_of_the_second_order() -> None:
    """TV d = 1e-12 on two objects: KL = 2 d^2 and JSD = d^2 / 2."""
    d = 2.0**-40
    p, q = np.array([0.5 + d, 0.5 - d]), np.array([0.5, 0.5])
    assert exact.total_variation(p, q) == d
    assert exact.kl_divergence(p, q) == pytest.approx(2 * d * d, rel=1e-9, abs=0)
    assert exact.kl_divergence(q, p, np.log(p)) == pytest.approx(2 * d * d, rel=1e-9, abs=0)
    assert exact.jensen_shannon(p, q) == pytest.approx(d * d / 2, rel=1e-9, abs=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_distances_of_what_is_not_a_number_are_not_a_number(bad: float) -> None:
    p, q = np.array([bad, 0.5]), np.array([0.5, 0.5])
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(exact.kl_divergence(p, q))
        assert not np.isfinite(exact.kl_divergence(q, p))
        assert not exact.jensen_shannon(p, q) <= 0.6


@pytest.mark.parametrize("offset", [0.0, -5000.0, 1e6])
@pytest.mark.parametrize("span", [0.0, 10.0, 700.0, 5000.0])
def test_sums_of_rewards_over_any_range(offset: float, span: float) -> None:
    values = offset + np.random.default_rng(1).uniform(0, span, 10_000)
    total = mpmath.fsum(mpmath.exp(v) for v in big(values))
    assert exact.log_sum_exp(values) == pytest.approx(float(mpmath.log(total)), rel=1e-15, abs=1e-15)
    found, expected = exact.softmax(values), [mpmath.exp(v) / total for v in big(values[:50])]
    np.testing.assert_allclose(found[:50], np.array(expected, dtype=float), rtol=1e-12, atol=1e-300)
    assert abs(found.sum() - 1) < 1e-14
    assert exact.log_sum_exp(np.full(3, -np.inf)) == -np.inf
    assert exact.log_sum_exp(np.array([-100.0, 0.0])) == pytest.approx(np.exp(-100), rel=1e-15, abs=0)
    assert np.isnan(exact.log_sum_exp(np.array([np.nan, 0.0])))


def flows(dag, log_pb) -> list:
    """F(s) of every state in 60 digits."""
    graph = state_graph(dag)
    flow = [mpmath.mpf(0)] * len(graph.states)
    for position, log_reward in zip(graph.terminal, exact.log_rewards(dag), strict=True):
        flow[position] = mpmath.exp(mpmath.mpf(float(log_reward)))
    for e in range(len(graph.source) - 1, -1, -1):
        flow[graph.source[e]] += flow[graph.target[e]] * mpmath.exp(mpmath.mpf(float(log_pb[e])))
    return flow


@pytest.mark.parametrize("span", [1.0, 700.0, 3000.0])
def test_flows_soft_values_and_optimal_policies(span: float) -> None:
    rewards = np.random.default_rng(2).uniform(-span, 0, 64)
    grid = HyperGrid(3, 4)
    grid.log_reward = lambda states: rewards[states[:, :3] @ [16, 4, 1]]  # type: ignore[method-assign]
    uneven = TableDag(UNEVEN_EDGES)
    uneven.log_rewards = uneven.log_rewards * span
    for dag in (grid, uneven):
        graph, log_pb = state_graph(dag), exact.uniform_log_pb(dag)
        expected = np.array([float(mpmath.log(f)) for f in flows(dag, log_pb)])
        np.testing.assert_allclose(exact.log_flows(dag), expected, rtol=1e-14, atol=1e-13)
        values = exact.soft_values(dag)
        inner = np.setdiff1d(np.arange(len(graph.states)), graph.terminal)
        np.testing.assert_allclose(values[inner], expected[inner], rtol=1e-14, atol=1e-13)
        log_pf = exact.optimal_edge_log_probabilities(dag)
        policy = exact.table_policy(dag, np.exp(log_pf))
        target = exact.log_rewards(dag) - exact.log_partition(dag)
        if span < 1000:  # an action has a probability of 1e-308 at least
            np.testing.assert_allclose(exact.log_terminal_distribution(dag, policy), target, rtol=1e-12, atol=1e-12)


def test_probabilities_below_double_precision_have_logs() -> None:
    """A walk along a grid: each step has probability 1e-60, so the far end has 1e-600."""
    dag = HyperGrid(1, 11)
    policy = lambda states: np.column_stack([np.full(len(states), 1e-60), np.full(len(states), 1.0)])  # noqa: E731
    found = exact.log_terminal_distribution(dag, policy)
    cells = dag.terminal_states()[:, 0]
    np.testing.assert_allclose(found, cells * np.log(1e-60), rtol=1e-14, atol=1e-300)
    assert exact.terminal_distribution(dag, policy)[-1] == 0
