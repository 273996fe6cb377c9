"""BayesNet: counts, scores by the densities of SciPy, posteriors by brute force, data tables."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pandas
import pytest
from scipy import stats

from gfn_envs import BayesNet, check_dag, exact
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.bayes_net import scores as bayes_scores
from gfn_envs.envs.bayes_net.scores import BGe, CachedScores, LinearGaussian

DATA = np.random.default_rng(7).normal(size=(12, 4)) @ np.random.default_rng(8).normal(size=(4, 4))


def states_of(graphs: list[list[tuple[int, int]]], d: int) -> np.ndarray:
    """Finished states of graphs, given as lists of edges."""
    states = np.zeros((len(graphs), d + 1), dtype=np.int64)
    states[:, -1] = 1
    for row, edges in zip(states, graphs, strict=True):
        for i, j in edges:
            row[j] |= 1 << i
    return states


# ---------------------------------------------------------------------- graphs


@pytest.mark.parametrize(("d", "count"), [(2, 3), (3, 25), (4, 543), (5, 29281)])
def test_numbers_of_graphs(d: int, count: int) -> None:
    dag = BayesNet(d)
    assert len(dag.terminal_states()) == count == dag.num_terminal_states
    assert len(np.concatenate(list(dag.levels()))) == dag.num_states


def test_masks_against_networkx() -> None:
    """An edge is legal if and only if the new graph is acyclic, on random graphs of up to 50 nodes."""
    rng = np.random.default_rng(0)
    for d, steps in ((6, 9), (50, 120)):
        dag = BayesNet(d, max_parents=4)
        states = dag.source(3)
        for _ in range(steps):
            mask = dag.forward_mask(states)
            states = dag.step(states, (mask[:, :-1] * (1 - rng.random(mask[:, :-1].shape))).argmax(1))
        mask = np.zeros((3, d, d), dtype=bool)
        mask[:, ~np.eye(d, dtype=bool)] = dag.forward_mask(states)[:, :-1]
        for g, state in enumerate(states):
            graph = networkx.from_numpy_array(digraphs.adjacency(state[None, :-1])[0], create_using=networkx.DiGraph)
            reachable = dict(networkx.all_pairs_shortest_path_length(graph))
            for i, j in itertools.product(range(d), repeat=2):
                free = i not in reachable[j] and not graph.has_edge(i, j) and graph.in_degree(j) < 4
                assert mask[g, i, j] == (free and i != j)


def test_large_graphs_are_well_formed() -> None:
    assert not check_dag(BayesNet(8, num_samples=30), num_walks=2, max_states=100).exhaustive


def test_features_against_networkx() -> None:
    dag = BayesNet(4)
    states = dag.terminal_states()[::7]
    found = dag.features(states)
    for g, state in enumerate(states):
        graph = networkx.relabel_nodes(dag.to_digraph(state), {name: j for j, name in enumerate(dag.names)})
        for i, j in itertools.product(range(4), repeat=2):
            assert found["edge"][g, i, j] == graph.has_edge(i, j)
            assert found["path"][g, i, j] == (i != j and networkx.has_path(graph, i, j))
            spouse = any(graph.has_edge(i, c) and graph.has_edge(j, c) for c in graph)
            assert found["markov_blanket"][g, i, j] == (
                i != j and (graph.has_edge(i, j) or graph.has_edge(j, i) or spouse)
            )


def test_exact_marginals_are_sums_over_graphs() -> None:
    dag = BayesNet(data=DATA)
    posterior = np.exp(dag.log_score(dag.terminal_states()))
    posterior /= posterior.sum()
    expected = np.zeros((4, 4))
    for weight, state in zip(posterior, dag.terminal_states(), strict=True):
        for i, j in itertools.product(range(4), repeat=2):
            expected[i, j] += weight * (state[j] >> i & 1)
    marginals = dag.exact_marginals()
    np.testing.assert_allclose(marginals["edge"], expected, rtol=1e-9, atol=1e-12)
    assert (marginals["path"] >= marginals["edge"] - 1e-12).all()
    counted = dag.marginals(states_of([[(0, 1)], [(0, 1), (1, 2)]], 4))
    assert (counted["edge"][1, 2], counted["path"][0, 2], counted["markov_blanket"][0, 2]) == (0.5, 0.5, 0.0)


def test_exact_marginals_of_a_subclass_with_another_reward_are_its_own() -> None:
    class Flat(BayesNet):
        def log_reward(self, states: np.ndarray) -> np.ndarray:
            return 0.1 * super().log_reward(states)

    dag = Flat(data=DATA)
    expected = dag.marginals(dag.terminal_states(), exact.target_distribution(dag))
    np.testing.assert_allclose(dag.exact_marginals()["edge"], expected["edge"])
    assert abs(BayesNet(data=DATA).exact_marginals()["edge"] - expected["edge"]).max() > 0.05


def test_conversion_to_networkx_and_back() -> None:
    dag = BayesNet(data={"a": [0, 1, 3.0], "b": [1, 0, 0], "c": [1, 2, 0]})
    for state in dag.terminal_states():
        np.testing.assert_array_equal(dag.from_digraph(dag.to_digraph(state)), state[None])
    assert sorted(dag.to_digraph(states_of([[(0, 2), (1, 2)]], 3)[0]).edges) == [("a", "c"), ("b", "c")]
    with pytest.raises(ValueError, match="graph 1 has a cycle"):
        dag.from_digraph(networkx.DiGraph(), networkx.DiGraph([("a", "b"), ("b", "a")]))
    with pytest.raises(ValueError, match="graph 0 has the node 'd'"):
        dag.from_digraph(networkx.DiGraph([("a", "d")]))
    one = BayesNet(3, max_parents=1)
    with pytest.raises(ValueError, match="graph 0 has a node with more than 1 parents"):
        one.from_digraph(networkx.DiGraph([("X0", "X2"), ("X1", "X2")]))


def test_structural_hamming_distance_by_hand() -> None:
    states = states_of([[], [(0, 1)], [(1, 0)], [(0, 1), (1, 2)]], 3)
    assert digraphs.structural_hamming_distance(states[:, :-1], states[1, :-1]).tolist() == [1, 0, 1, 1]


# ---------------------------------------------------------------------- scores


def normal_wishart_log_evidence(data: np.ndarray, d: int) -> float:
    """log p(columns) under the BGe prior on d columns, row by row: each row is multivariate t given the previous ones.

    The marginal of l of the d columns has alpha_w - d + l degrees of freedom; alpha_mu = 1, alpha_w = d + 2, T = t I.
    """
    rows, size = data.shape
    mean, weight, freedom = np.zeros(size), 1.0, d + 2.0 - d + size
    T = 1.0 * (d + 2.0 - d - 1) / 2.0 * np.eye(size)
    total = 0.0
    for x in data:
        df = freedom - size + 1
        total += stats.multivariate_t(mean, T * (weight + 1) / (weight * df), df=df).logpdf(x)
        T = T + weight / (weight + 1) * np.outer(x - mean, x - mean)
        mean, weight, freedom = (weight * mean + x) / (weight + 1), weight + 1, freedom + 1
    assert rows == weight - 1
    return total


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_bge_is_a_closed_form_marginal_likelihood(offset: float) -> None:
    data = DATA + offset
    score = BGe(data, center=False)
    for node in range(4):
        others = [k for k in range(4) if k != node]
        for size in range(4):
            for parents in map(list, itertools.combinations(others, size)):
                expected = normal_wishart_log_evidence(data[:, [*parents, node]], 4)
                expected -= normal_wishart_log_evidence(data[:, parents], 4) if parents else 0.0
                mask = np.isin(np.arange(4), parents)[None]
                assert math.isclose(score(np.array([node]), mask)[0], expected, rel_tol=1e-9)
    # The score of a complete graph is the evidence of all columns.
    complete = states_of([[(i, j) for i in range(4) for j in range(i + 1, 4)]], 4)
    found = BayesNet(data=data, score_kwargs={"center": False}).log_score(complete)[0]
    assert math.isclose(found, normal_wishart_log_evidence(data, 4), rel_tol=1e-9)


def test_bge_does_not_depend_on_offsets() -> None:
    """The prior mean is that of the columns: scores are those of centered columns, with prior mean 0."""
    states = BayesNet(4).terminal_states()
    centered = BayesNet(data=DATA - DATA.mean(0), score_kwargs={"center": False}).log_score(states)
    for offset in (0.0, [5.0, -100.0, 1e6, 0.0]):
        np.testing.assert_allclose(BayesNet(data=DATA + offset).log_score(states), centered, atol=1e-6)


def test_linear_gaussian_is_a_closed_form_marginal_likelihood() -> None:
    score = LinearGaussian(DATA, noise_variance=0.3)
    for parents in ([], [0], [1, 3], [0, 1, 3]):
        X = DATA[:, parents]
        expected = stats.multivariate_normal(np.zeros(12), 0.3 * np.eye(12) + X @ X.T).logpdf(DATA[:, 2])
        assert math.isclose(score(np.array([2]), np.isin(np.arange(4), parents)[None])[0], expected, rel_tol=1e-9)


@pytest.mark.parametrize("score", ["bge", "linear_gaussian"])
@pytest.mark.parametrize("prior", ["uniform", "fair"])
def test_scores_are_sums_of_local_scores(score: str, prior: str) -> None:
    dag = BayesNet(data=DATA, score=score, prior=prior)
    local = bayes_scores.SCORES[score](DATA)
    log_reward = dag.log_reward(dag.terminal_states())
    for state, found in list(zip(dag.terminal_states(), log_reward, strict=True))[::11]:
        expected = 0.0
        for j in range(4):
            parents = (state[j] >> np.arange(4) & 1).astype(bool)[None]
            expected += local(np.array([j]), parents)[0] - local(np.array([j]), np.zeros((1, 4), dtype=bool))[0]
            expected -= math.log(math.comb(3, parents.sum())) if prior == "fair" else 0.0
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    # log R and log_score differ by a constant.
    if prior == "uniform":
        np.testing.assert_allclose(np.ptp(dag.log_score(dag.terminal_states()) - log_reward), 0, atol=1e-9)


def test_bge_is_equal_only_on_markov_equivalent_graphs() -> None:
    """Graphs are Markov equivalent if they have the same skeleton and the same v-structures."""
    dag = BayesNet(data=DATA)
    classes: dict[Any, list[float]] = {}
    for state, score in zip(dag.terminal_states(), dag.log_score(dag.terminal_states()), strict=True):
        graph = digraphs.adjacency(state[None, :-1])[0]
        skeleton = graph | graph.T
        v_structures = {
            (i, j, k) for i, j, k in itertools.permutations(range(4), 3)
            if i < k and graph[i, j] and graph[k, j] and not skeleton[i, k]
        }  # fmt: skip
        classes.setdefault((skeleton.tobytes(), frozenset(v_structures)), []).append(score)
    assert len(classes) == 185  # Gillispie and Perlman 2001
    assert max(np.ptp(scores) for scores in classes.values()) < 1e-9
    means = np.sort([scores[0] for scores in classes.values()])
    assert np.diff(means).min() > 1e-9


def test_every_local_score_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = []

    def score(nodes: np.ndarray, parents: np.ndarray) -> np.ndarray:
        requested.extend(zip(nodes.tolist(), map(tuple, parents.tolist()), strict=True))
        return nodes + parents @ np.arange(3) ** 2 / 10.0

    dag = BayesNet(3, score=score)
    first = dag.log_reward(dag.terminal_states())
    np.testing.assert_array_equal(dag.log_reward(dag.terminal_states()), first)
    assert len(requested) == len(set(requested)) == 3 * 4
    # A cache that is too small recomputes scores, with the same results.
    monkeypatch.setattr(bayes_scores, "MAX_CACHED", 5)
    cache = CachedScores(score, 3, "here")
    parents = dag.terminal_states()[:, :-1]
    for rows in (parents[:2], parents[10:12], parents):
        expected = [[score(np.array([j]), digraphs.unpack(row[j : j + 1], 3))[0] for j in range(3)] for row in rows]
        np.testing.assert_allclose(cache(rows), expected, rtol=1e-15)


def test_non_finite_scores_name_the_node() -> None:
    with pytest.raises(ValueError, match=r"BayesNet: the local score of node 0 with parents \[\] must be finite.*nan"):
        BayesNet(3, score=lambda nodes, parents: np.full(len(nodes), np.nan))


# ---------------------------------------------------------------------- data


def test_simulated_data_follow_the_network() -> None:
    dag = BayesNet(4, num_samples=200_000, seed=5, edges_per_node=1.5)
    assert dag.true_graph is not None
    np.testing.assert_array_equal(dag.data, BayesNet(4, num_samples=200_000, seed=5, edges_per_node=1.5).data)
    parents = digraphs.unpack(dag.true_graph, 4)
    assert parents.any()
    for j in range(4):
        X, y = dag.data[:, parents[j]], dag.data[:, j]
        residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        assert math.isclose(residual.var(), 0.1, rel_tol=5 * math.sqrt(2 / 200_000))
    sizes = [int(digraphs.unpack(BayesNet(10, seed=s, num_samples=2).true_graph, 10).sum()) for s in range(200)]
    # 45 pairs with probability 2/9: mean 10, standard deviation 2.8 / sqrt(200).
    assert abs(np.mean(sizes) - 10) < 5 * 2.8 / math.sqrt(200)


def test_all_kinds_of_tables_give_the_same_environment(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a, b,c\n" + "".join(f"{x!r},{y!r},{z!r}\n" for x, y, z in DATA[:, :3].tolist()))
    columns = dict(zip("abc", DATA[:, :3].T, strict=True))
    dags = [BayesNet(data=data) for data in (path, str(path), columns)]

    dags.append(BayesNet(data=pandas.DataFrame(columns)))
    dags.append(BayesNet(data=np.rec.fromarrays(DATA[:, :3].T, names="a,b,c")))
    dags.append(BayesNet(data=DATA[:, :3]))
    states = dags[0].terminal_states()
    for dag in dags:
        np.testing.assert_array_equal(dag.log_reward(states), dags[0].log_reward(states))
    assert [dag.names for dag in dags] == [("a", "b", "c")] * 5 + [("X0", "X1", "X2")]


def test_pandas_data_frames() -> None:
    frame = pandas.DataFrame(DATA, columns=list("wxyz"))
    dag = BayesNet(data=frame)
    assert dag.names == ("w", "x", "y", "z")
    states = dag.terminal_states()[:9]
    np.testing.assert_array_equal(dag.log_reward(states), BayesNet(data=DATA).log_reward(states))
    frame.loc[3, "y"] = np.nan
    with pytest.raises(ValueError, match="BayesNet: data row 3, column 'y' is nan"):
        BayesNet(data=frame)


GOOD = [[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([[0.0, 1.0], [1.0, np.nan]], "data row 1, column 'X1' is nan"),
        ([[0.0, 1.0], [np.inf, 0.0]], "data row 1, column 'X0' is inf"),
        ([[0.0, 1.0], [1.0, 1.0]], "column 'X1' is constant: every row has 1"),
        ([[0.0, 1.0]], "data must have at least 2 rows, got 1"),
        ([1.0, 2.0], r"data must have two dimensions, rows and columns, got shape \(2,\)"),
        ([[0.0], [1.0]], "data must have num_nodes columns, from 2 to 56, got 1 columns, num_nodes=None"),
        ({"a": [0, 1], "b": [1]}, "columns must have equal lengths"),
    ],
)
def test_bad_tables(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"BayesNet: {message}"):
        BayesNet(data=data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 entries, expected 2"),
        ("a,b\n1,2\n3,x\n", "line 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3,\n", r"line 3, column 'b': a missing value \(''\)"),
        ("a,a\n1,2\n3,4\n", "several columns with the name 'a'"),
        ("", "is empty"),
    ],
)
def test_bad_csv_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "data.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        BayesNet(data=tmp_path / "data.csv")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_nodes": 1}, "num_nodes must be an integer from 2 to 56, got 1"),
        ({"num_nodes": 57}, "num_nodes must be an integer from 2 to 56, got 57"),
        (
            {"num_nodes": 3, "data": GOOD},
            "data must have num_nodes columns, from 2 to 56, got 2 columns, num_nodes=3",
        ),
        ({"score": "bic"}, "score must be one of"),
        ({"prior": "flat"}, "prior must be one of .*'uniform', 'fair'.*, got 'flat'"),
        ({"max_parents": 0}, "max_parents must be an integer >= 1, got 0"),
        ({"edges_per_node": -1.0}, "edges_per_node must be finite and >= 0"),
        ({"score_kwargs": {"alpha_w": 3.0}}, "alpha_w > 6"),
        (
            {"score_kwargs": {"alpha": 1.0}},
            r"score 'bge' has no parameters \['alpha'\]; allowed: \['alpha_mu', 'alpha_w', 'center'\]",
        ),
        ({"score": np.sum, "score_kwargs": {"alpha_w": 3.0}}, "score_kwargs must be None if score is a callable, got"),
        (
            {"score": "linear_gaussian", "score_kwargs": {"noise_variance": 0.0}},
            "noise_variance must be finite and > 0",
        ),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BayesNet(**kwargs)


def test_log_z_equals_the_log_evidence() -> None:
    dag = BayesNet(data=DATA)
    expected = np.logaddexp.reduce(dag.log_score(dag.terminal_states())) - dag.log_score(dag.source(1))[0]
    assert math.isclose(exact.log_flows(dag)[0], expected, rel_tol=1e-9)
