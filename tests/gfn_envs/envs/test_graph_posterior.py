"""Exact posteriors over graphs against enumeration by the Dag, and equivalence classes against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gfn_envs import BayesNet, exact, make_dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.bayes_net import exact_posterior
from gfn_envs.envs.bayes_net.equivalence import cpdag


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_all_graphs_are_listed_once(d: int) -> None:
    graphs = exact_posterior.all_graphs(d)
    assert len(np.unique(graphs, axis=0)) == len(graphs) == digraphs.number_of_dags(d)
    assert not (digraphs.ancestors(graphs) >> np.arange(d) & 1).any()


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_nodes": 4, "num_samples": 30},
        {"num_nodes": 4, "num_samples": 2000, "prior": "fair", "seed": 2},
        {"num_nodes": 4, "num_samples": 40, "max_parents": 1, "score": "bdeu"},
        {"num_nodes": 5, "num_samples": 100, "score": "gaussian_bic", "max_parents": 2},
    ],
)
def test_exact_marginals_and_log_z_against_enumeration(arguments: dict[str, Any]) -> None:
    dag = BayesNet(**arguments)
    expected = dag.marginals(dag.terminal_states(), exact.target_distribution(dag))
    found = dag.exact_marginals()
    assert list(found) == ["edge", "path", "markov_blanket"]
    for name, probabilities in expected.items():
        np.testing.assert_allclose(found[name], probabilities, atol=1e-11)
    np.testing.assert_allclose(exact_posterior.summed_edges(dag._family_scores()), expected["edge"], rtol=1e-9)
    assert dag.exact_log_z() == pytest.approx(exact.log_flows(dag)[0], abs=1e-9)


def measurements(discrete: bool) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal((50, 4))
    x[:, 2] += x[:, 0]
    x[:, 3] += x[:, 2] - x[:, 1]
    return np.floor(x).clip(-1, 1) if discrete else x


#: Edge probabilities by ``pgmpy.estimators.ExhaustiveSearch(data, score).all_scores()`` (1.1.2): all 543 graphs, with
#: BDeu(data, equivalent_sample_size=5) and BICGauss(data).
PGMPY_EDGES = {
    "bdeu": [
        [0.0, 0.0035155794, 0.2446726941, 0.0496284315],
        [0.0011354321, 0.0, 0.0037025758, 0.2107999503],
        [0.61853618, 0.0088506054, 0.0, 0.512637651],
        [0.1092710805, 0.5459107015, 0.4861951744, 0.0],
    ],
    "gaussian_bic": [
        [0.0, 0.1163735861, 0.4263898599, 0.1302831772],
        [0.1265454553, 0.0, 0.1689083326, 0.824278765],
        [0.5736008541, 0.2206818382, 0.0, 0.8650720226],
        [0.0693101168, 0.1756665264, 0.1349232713, 0.0],
    ],
}


@pytest.mark.parametrize("score", list(PGMPY_EDGES))
def test_exact_edges_equal_the_posterior_of_pgmpy(score: str) -> None:
    settings = {"score_kwargs": {"equivalent_sample_size": 5}} if score == "bdeu" else {}
    dag = BayesNet(data=measurements(score == "bdeu"), score=score, **settings)
    np.testing.assert_allclose(dag.exact_marginals()["edge"], PGMPY_EDGES[score], atol=1e-9)


def test_sums_over_graphs_count_them() -> None:
    """With scores 0, Z is the number of graphs, and 6 and 10 nodes agree with Robinson's formula."""
    for d in (6, 10):
        dag = BayesNet(d, score=lambda nodes, parents: np.zeros(len(nodes)))
        assert dag.exact_log_z() == pytest.approx(np.log(float(digraphs.number_of_dags(d))), abs=1e-10)
    edges = BayesNet(8, score=lambda nodes, parents: np.zeros(len(nodes))).exact_marginals()
    assert list(edges) == ["edge"]
    off = edges["edge"][~np.eye(8, dtype=bool)]
    assert np.ptp(off) < 1e-12  # all ordered pairs of nodes are alike


def test_sums_over_graphs_hold_small_probabilities() -> None:
    """Each edge has the odds 1e-30."""

    def score(nodes: np.ndarray, parents: np.ndarray) -> np.ndarray:
        return -np.log(10) * 30 * parents.sum(1) * 1.0

    dag = BayesNet(8, score=score)
    assert dag.exact_log_z() == pytest.approx(0, abs=1e-12)
    off = dag.exact_marginals()["edge"][~np.eye(8, dtype=bool)]
    np.testing.assert_allclose(off, 1e-30, rtol=1e-9)


@pytest.mark.slow
def test_all_graphs_on_six_nodes() -> None:
    assert len(exact_posterior.all_graphs(6)) == digraphs.number_of_dags(6) == 3_781_503


def test_scores_that_fail() -> None:
    """With on_error, rewards are not sums of scores: marginals are those of the rewards."""

    def score(nodes: np.ndarray, parents: np.ndarray) -> np.ndarray:
        return np.where((nodes == 2) & parents[:, 0], np.nan, 0.5 * parents.sum(1))

    dag = make_dag("GFN/BayesNet-v0", num_nodes=3, score=score, on_error=1e-9)
    assert isinstance(dag, BayesNet)
    edge = dag.exact_marginals()["edge"]
    assert edge[0, 2] < 1e-8 < edge[2, 0]
    with pytest.raises(NotImplementedError, match="on_error=1e-09"):
        dag.exact_log_z()


def test_too_many_nodes_raise() -> None:
    dag = BayesNet(13, num_samples=5)
    with pytest.raises(EnumerationError, match="exact probabilities of edges need at most 12 nodes, got 13"):
        dag.exact_marginals()
    with pytest.raises(NotImplementedError, match="on up to 12 nodes"):
        dag.exact_log_z()


@pytest.mark.parametrize(("d", "classes"), [(3, 11), (4, 185), (5, 8782)])
def test_numbers_of_equivalence_classes(d: int, classes: int) -> None:
    """Gillispie and Perlman 2001."""
    found = cpdag(digraphs.adjacency(exact_posterior.all_graphs(d)))
    assert len(np.unique(found.reshape(len(found), d * d), axis=0)) == classes


def test_cpdags_are_unions_of_their_classes() -> None:
    """A CPDAG has the edges of all graphs with the same skeleton and the same v-structures."""
    edges = digraphs.adjacency(exact_posterior.all_graphs(4))
    linked = edges | edges.transpose(0, 2, 1)
    v_structures = [
        [g[i, j] and g[k, j] and not s[i, k] for i, j, k in itertools.permutations(range(4), 3)]
        for g, s in zip(edges, linked, strict=True)
    ]
    keys = np.concatenate([linked.reshape(len(edges), 16), np.array(v_structures)], axis=1)
    _, row = np.unique(keys, axis=0, return_inverse=True)
    unions = np.array([edges[row.reshape(-1) == c].any(0) for c in range(row.max() + 1)])
    np.testing.assert_array_equal(cpdag(edges), unions[row.reshape(-1)])


def test_classes_by_name() -> None:
    dag = BayesNet(data={"a": [0, 1, 3.0], "b": [1, 0, 0], "c": [1, 2, 0]})
    chain, fork, collider, empty = [0, 1, 2, 1], [2, 0, 2, 1], [0, 5, 0, 1], [0, 0, 0, 1]
    assert dag.equivalence_classes(np.array([chain, fork, collider, empty])) == [
        "a - b, b - c",
        "a - b, b - c",
        "a -> b, c -> b",
        "(no edges)",
    ]
