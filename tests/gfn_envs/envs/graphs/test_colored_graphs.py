"""Connected colored graphs up to isomorphism: counts, canonical forms, steps and rewards against NetworkX."""

from __future__ import annotations

import itertools
import re
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms.isomorphism import categorical_node_match

from gfn_envs import Graph, Oracle, check_dag, exact
from gfn_envs.envs.graphs.graph_classes import adjacency, canonical, growth, pairs

SAME = categorical_node_match("color", None)


def isomorphic(left: nx.Graph, right: nx.Graph) -> bool:
    return bool(nx.is_isomorphic(left, right, SAME))


@pytest.mark.parametrize(("colors", "counts"), [(1, [2, 3, 5, 11, 32, 144, 997]), (2, [3, 6, 16, 66, 420, 4303])])
def test_numbers_of_graphs(colors: int, counts: list[int]) -> None:
    """One color: 1, 1, 2, 6, 21, 112, 853 connected graphs (OEIS A001349), and the one without vertices."""
    assert [len(growth(k, colors).rows) // 2 for k in range(1, len(counts) + 1)] == counts


def test_all_graphs_of_the_atlas() -> None:
    dag = Graph(6, 1)
    atlas = [graph for graph in nx.graph_atlas_g() if 1 <= len(graph) <= 6 and nx.is_connected(graph)]
    mine = [dag.to_networkx(state) for state in dag.terminal_states()]
    buckets: dict[Any, list[nx.Graph]] = {}
    for graph in mine:
        buckets.setdefault(tuple(sorted(d for _, d in graph.degree)), []).append(graph)
    for graph in atlas:
        alike = buckets[tuple(sorted(d for _, d in graph.degree))]
        assert sum(nx.is_isomorphic(graph, other) for other in alike) == 1
    assert len(mine) == len(atlas) + 1


def test_colored_graphs_by_brute_force() -> None:
    """Every labeled graph of 4 vertices, colored in every way: the least row among all orders is the class."""
    classes = set()
    for n in range(1, 5):
        places = list(itertools.combinations(range(n), 2))
        for chosen in itertools.product([0, 1], repeat=len(places)):
            edges = {frozenset(p) for p, has in zip(places, chosen, strict=True) if has}
            graph = nx.empty_graph(n)
            graph.add_edges_from(tuple(edge) for edge in edges)
            if nx.is_connected(graph):
                for colors in itertools.product([0, 1], repeat=n):
                    orders = itertools.permutations(range(n))
                    forms = (
                        (
                            tuple(colors[o[i]] for i in range(n)),
                            tuple(frozenset((o[i], o[j])) in edges for i, j in places),
                        )
                        for o in orders
                    )
                    classes.add((n, min(forms)))
    assert len(classes) + 1 == len(growth(4, 2).rows) // 2


@given(st.integers(1, 7), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_canonical_rows_do_not_depend_on_the_order_of_vertices(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, k + 1)
    colors = np.where(np.arange(k) < size, rng.integers(1, 3, k), 0)
    if seed % 2:  # few colors and a regular graph: many orders are tied
        colors = (np.arange(k) < size).astype(int)
    edges = np.triu(rng.random((k, k)) < rng.choice([0.3, 0.5, 1.0]), 1) & (colors > 0) & (colors > 0)[:, None]
    both = edges | edges.T
    rows = []
    for order in [np.arange(k), *(np.append(rng.permutation(size), np.arange(size, k)) for _ in range(4))]:
        i, j = pairs(k)
        rows.append(np.concatenate([colors[order], both[order][:, order][i, j]]))
    forms = canonical(np.array(rows, dtype=np.int8), k)
    assert (forms == forms[0]).all()
    np.testing.assert_array_equal(canonical(forms, k), forms)
    assert sorted(forms[0, :k]) == sorted(colors)
    assert adjacency(forms[:1], k).sum() == both.sum()


@pytest.mark.parametrize("arguments", [{"max_nodes": 1}, {"max_nodes": 4, "num_colors": 1}, {"max_nodes": 4}])
def test_well_formed(arguments: dict[str, int]) -> None:
    check_dag(Graph(**arguments))


def test_parents_are_all_graphs_with_one_edge_or_leaf_less() -> None:
    dag = Graph(4)
    unfinished = np.concatenate(list(dag.levels()))
    unfinished = unfinished[~dag.is_terminal(unfinished)]
    for state in unfinished[1:]:
        graph = dag.to_networkx(state)
        smaller = [nx.restricted_view(graph, [], [edge]) for edge in graph.edges]
        smaller = [g for g in smaller if nx.is_connected(g)]
        smaller += [nx.restricted_view(graph, [v], []) for v in graph if graph.degree(v) == 1 or len(graph) == 1]
        distinct: list[nx.Graph] = []
        for g in smaller:
            if not any(isomorphic(g, other) for other in distinct):
                distinct.append(g)
        _, parents, actions = dag.parents(state[None])
        assert len(parents) == len(distinct)
        mine = [dag.to_networkx(parent) for parent in parents]
        assert all(sum(isomorphic(g, other) for other in mine) == 1 for g in distinct)
        assert (dag.step(parents, actions) == state).all()


def naive_score(name: str, graph: nx.Graph) -> float:
    """The scores as their paper's code has them, in plain Python."""
    color = nx.get_node_attributes(graph, "color")
    n = len(graph)
    if name == "count":
        ones = sum(color.values())
        return -abs((n - ones) + ones / 2 - 3) / 4 * 10
    if name == "neighbors":
        other = [sum(color[u] != color[v] for u in graph[v]) for v in graph]
        correct = sum((d % 2 == 0) - (d == 0) for d in other)
        return (correct - n if n > 3 else -5) * 10 / 7
    if name == "constant":
        return 0.0
    cliques = list(nx.find_cliques(graph))
    score = -sum(map(len, cliques)) + n - 1.0
    for clique in cliques:
        if len(clique) == 4:
            score += 1.0 if max(sum(color[v] == c for v in clique) for c in (0, 1)) >= 3 else 0.5
    return max(score, -10.0)


@pytest.mark.parametrize("reward", ["count", "neighbors", "cliques", "constant"])
def test_scores_of_every_graph_of_five_vertices(reward: str) -> None:
    dag = Graph(5, reward=reward, temperature=2.0)
    objects = dag.terminal_states()
    expected = [naive_score(reward, dag.to_networkx(state)) / 2 for state in objects]
    np.testing.assert_allclose(dag.log_reward(objects), expected, atol=1e-12)
    assert exact.target_distribution(dag).sum() == pytest.approx(1)


def count_edges(graph: nx.Graph) -> float:
    return 1.0 + graph.number_of_edges()


def test_a_function_of_graphs() -> None:
    dag = Graph(4, reward=count_edges)
    objects = dag.terminal_states()
    np.testing.assert_allclose(np.exp(dag.log_reward(objects)), 1 + objects[:, 4:-1].sum(1))
    oracle = Oracle.of(dag)
    dag.log_reward(objects[:3])
    assert oracle.used == 3
    with pytest.raises(ValueError, match="Graph: the reward of object A is nan"):
        Graph(1, reward=lambda graph: float("nan")).log_reward(np.array([[1, 1]], dtype=np.int8))


def test_labels() -> None:
    dag = Graph(3)
    state = dag.source(1)
    for action in (0, 1):  # a vertex A, then a vertex B joined to it
        state = dag.step(state, np.array([action]))
    assert dag.render_text(state[0]) in ("AB: 0-1", "BA: 0-1")
    assert [dag.action_label(a) for a in (0, 3, 6, 9)] == ["add A to 0", "add B to 1", "join 0 and 1", "stop"]
    assert dag.object_names(dag.source(1)) == ["(empty)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_nodes": 8}, "Graph: max_nodes must be an integer from 1 to 7, got 8"),
        ({"num_colors": 3}, "Graph: num_colors must be an integer from 1 to 2, got 3"),
        ({"reward": "triangles"}, "Graph: unknown reward 'triangles'; allowed: count, neighbors, cliques, constant"),
        ({"reward": count_edges, "temperature": 0.5}, "temperature must be 1 with a callable reward, got 0.5"),
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Graph(**arguments)
