"""Learned and exact posteriors over graphs, equivalence classes, and distances to known graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents
import gfn_envs
from agents.errors import UnsupportedError
from agents.evaluation.evaluate import learned_distribution
from agents.evaluation.graph_posterior import classes, expected_shd, graph_posterior, known_graph, read_graph
from gfn_envs import BayesNet, HyperGrid
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs

DAG = BayesNet(4, num_samples=20, seed=3)


def test_exact_beside_learned() -> None:
    agent = agents.make_agent("tb", DAG, hidden=(8,))
    found = graph_posterior(agent)
    assert (found.num_samples, list(found.exact)) == (None, ["edge", "path", "markov_blanket"])
    learned = DAG.marginals(DAG.terminal_states(), learned_distribution(agent))
    for name, values in found.learned.items():
        np.testing.assert_allclose(values, learned[name])
        np.testing.assert_allclose(found.exact[name], DAG.exact_marginals()[name])
        assert found.largest_error(name) == np.abs(values - found.exact[name]).max()
    rows = found.rows()
    assert len(rows) == 12
    assert rows[4] == {"from": "X1", "to": "X2", **{k: v[1, 2] for k, v in found.learned.items()}} | {
        f"exact_{k}": v[1, 2] for k, v in found.exact.items()
    }


def test_samples_of_larger_graphs() -> None:
    """7 nodes: edges are exact, the rest of the exact posterior is unknown, and the agent is sampled."""
    agent = agents.make_agent("random", BayesNet(7, num_samples=20))
    found = graph_posterior(agent, 400, seed=1)
    assert (found.num_samples, list(found.exact), found.largest_error("path")) == (400, ["edge"], None)
    graphs = agent.sample(400, rng=np.random.default_rng(1))
    np.testing.assert_allclose(found.learned["path"], agent.dag.marginals(graphs)["path"])
    without = graph_posterior(agent, 400, rewards="none")
    assert not without.exact
    assert all(each.log_reward is None for each in without.classes)
    assert graph_posterior(agents.make_agent("random", BayesNet(13, num_samples=5)), 10).exact == {}


def test_markov_chains_are_sampled() -> None:
    agent = agents.make_agent("mcmc", DAG)
    found = graph_posterior(agent, 50, seed=2)
    assert found.num_samples == 50
    graphs = agent.sample(50, rng=np.random.default_rng(2))
    np.testing.assert_allclose(found.learned["edge"], DAG.marginals(graphs)["edge"])


def test_classes_add_up() -> None:
    states = DAG.terminal_states()
    weights = np.exp(DAG.log_reward(states))
    found, classified = classes(DAG, states, weights / weights.sum(), 543, with_rewards=True)
    assert classified == pytest.approx(1.0, abs=0.002)
    assert len(found) == 185
    assert sum(each.probability for each in found) == pytest.approx(1)
    # BGe is equal for all graphs of a class, so its probability is its size times R / Z.
    best = found[0]
    size = DAG.equivalence_classes(states).count(best.graph)
    assert best.log_reward is not None
    assert best.probability == pytest.approx(size * np.exp(best.log_reward) / weights.sum())


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(0, 2**32), st.integers(1, 6))
def test_expected_distance_is_the_mean_of_distances(d: int, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    order = np.tril(np.ones((d, d), dtype=bool), -1)
    graphs = np.array([digraphs.pack((order & (rng.random((d, d)) < 0.5))[p][:, p]) for p in rng.permuted(
        np.tile(np.arange(d), (n + 1, 1)), axis=1
    )])  # fmt: skip
    weights = rng.dirichlet(np.ones(n))
    edge = np.average(digraphs.adjacency(graphs[1:]), axis=0, weights=weights)
    expected = weights @ digraphs.structural_hamming_distance(graphs[1:], graphs[0])
    assert expected_shd(edge, digraphs.adjacency(graphs[:1])[0]) == pytest.approx(expected)


def test_known_graphs(tmp_path: Path) -> None:
    truth = known_graph(DAG)
    assert truth is not None
    assert DAG.true_graph is not None
    np.testing.assert_array_equal(truth, digraphs.adjacency(DAG.true_graph[None])[0])
    assert known_graph(BayesNet(data=DAG.data)) is None
    path = tmp_path / "arcs.csv"
    path.write_text('"from","to"\n' + "".join(f"X{i},X{j}\n" for i, j in np.argwhere(truth)))
    np.testing.assert_array_equal(read_graph(path, DAG.names), truth)
    for text, message in [
        ("a,b\nX0,X1\n", "line 1: expected the columns from,to, got a,b"),
        ("from,to\nX0,X9\n", "line 2: no node 'X9'; did you mean"),
        ("from,to\nX0,X1\nX1,X0\n", "line 3: an edge in both directions: X1, X0"),
        ("from,to\nX0,X0\n", "line 2: an edge from a node to itself"),
    ]:
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_graph(path, DAG.names)


def test_other_objects_raise() -> None:
    with pytest.raises(UnsupportedError, match="objects that are directed graphs"):
        graph_posterior(agents.make_agent("random", HyperGrid(2, 4)))


def test_classes_of_flat_posteriors_are_complete() -> None:
    """As many distinct graphs as samples, all equally likely: none may be left out."""
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=5)
    states = dag.terminal_states()[::4]
    found, classified = classes(dag, states, np.full(len(states), 1 / len(states)), 3, with_rewards=False)
    assert classified > 0.998
    names, counts = np.unique(np.array(dag.equivalence_classes(states), dtype=object), return_counts=True)
    largest = dict(zip(names, counts / len(states), strict=True))
    for each in found:
        assert each.probability == pytest.approx(largest[each.graph], abs=0.0011)
