"""Independent sets and cuts against NetworkX and brute force; graphs from files, NetworkX and lists."""

from __future__ import annotations

import gzip
import itertools
import re
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfn_envs import IndependentSet, MaxCut, check_dag
from gfn_envs.envs.graphs.read_graph import read_graph
from tests.helpers import all_states

PATH = [("a", "b", 2.0), ("b", "c", -1.5)]


def subsets(n: int) -> list[tuple[int, ...]]:
    return [c for k in range(n + 1) for c in itertools.combinations(range(n), k)]


@given(st.integers(2, 7), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_independent_sets(n: int, p: float, seed: int) -> None:
    graph = nx.gnp_random_graph(n, p, seed)
    independent = {c for c in subsets(n) if not graph.subgraph(c).edges}
    every = IndependentSet(graph, maximal=False, temperature=0.5)
    objects = every.terminal_states()
    assert {tuple(np.flatnonzero(row)) for row in every.sets(objects)} == independent
    np.testing.assert_allclose(every.log_reward(objects), every.sets(objects).sum(1) / 0.5)
    assert every.declared_num_terminal_states == len(independent) == len(objects)
    maximal = IndependentSet(graph)
    cliques = {tuple(sorted(clique)) for clique in nx.find_cliques(nx.complement(graph))}
    assert {tuple(np.flatnonzero(row)) for row in maximal.terminal_states()} == cliques
    assert (maximal.num_terminal_states, maximal.num_states) == (len(cliques), len(all_states(maximal)))
    for dag in (every, maximal):
        check_dag(dag)


@given(st.integers(2, 7), st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_cuts(n: int, p: float, seed: int) -> None:
    graph = nx.gnp_random_graph(n, p, seed)
    for u, v in graph.edges:
        graph[u][v]["weight"] = float((u * 7 + v) % 5 - 1)
    dag = MaxCut(graph, temperature=2.0)
    check_dag(dag)
    objects = dag.terminal_states()
    sides = [{i + 1 for i in np.flatnonzero(row)} for row in dag.sets(objects)]
    expected = [nx.cut_size(graph, side, weight="weight") for side in sides]
    np.testing.assert_allclose(dag.cut(objects), expected)
    np.testing.assert_allclose(dag.log_reward(objects), np.array(expected) / 2)
    assert len({frozenset(side) for side in sides}) == 2 ** (n - 1) == dag.declared_num_terminal_states
    best = max(nx.cut_size(graph, c, weight="weight") for c in subsets(n))
    assert dag.cut(objects).max() == best


def test_weights_of_vertices() -> None:
    graph = nx.path_graph(["x", "y", "z"])
    graph.nodes["y"]["weight"] = 3.0
    dag = IndependentSet(graph, temperature=2.0)
    assert dict(zip(dag.object_names(dag.terminal_states()), dag.log_reward(dag.terminal_states()), strict=True)) == {
        "{y}": 1.5,
        "{x, z}": 1.0,
    }
    assert dag.graph_layout is None
    assert eval(repr(dag), {"IndependentSet": IndependentSet}).graph.as_argument == dag.graph.as_argument


def test_a_graph_with_too_many_sets_to_count() -> None:
    dag = IndependentSet(num_vertices=40, edge_probability=0.02)
    assert dag.declared_num_states is None
    check_dag(dag, max_states=50, num_walks=3)


def test_the_set_is_marked_in_networkx() -> None:
    dag = MaxCut(PATH)
    graph = dag.to_networkx(dag.step(dag.source(1), np.array([1]))[0])
    assert dict(graph.nodes(data="selected")) == {"a": False, "b": False, "c": True}
    assert list(graph.edges(data="weight")) == [("a", "b", 2.0), ("b", "c", -1.5)]
    assert (dag.action_label(0), dag.action_label(2)) == ("add b", "stop")


# ---------------------------------------------------------------------- graphs of users


def edges_of(graph: Any) -> dict[tuple[str, str], float]:
    data = read_graph(graph, "MaxCut")
    assert (data.weights == data.weights.T).all()
    pairs = np.argwhere(np.triu(data.adjacent))
    return {tuple(sorted((data.names[u], data.names[v]))): float(data.weights[u, v]) for u, v in pairs}


def weighted_path() -> nx.Graph:
    graph = nx.Graph()
    graph.add_weighted_edges_from(PATH)
    graph.add_node("d")
    return graph


@pytest.mark.parametrize("suffix", ["edgelist", "txt", "graphml", "gml", "gexf"])
def test_files_that_networkx_writes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"graph.{suffix}"
    writers = {"edgelist": nx.write_edgelist, "txt": nx.write_weighted_edgelist}
    (writers.get(suffix) or getattr(nx, f"write_{suffix}"))(weighted_path(), path)
    expected = {("a", "b"): 2.0, ("b", "c"): -1.5}
    assert edges_of(path) == edges_of(str(path)) == expected
    assert len(read_graph(path, "MaxCut").names) == (3 if suffix in writers else 4)
    dag = MaxCut(str(path))
    assert dag.arguments["graph"] == str(path)


@pytest.mark.parametrize(
    ("text", "expected", "vertices"),
    [
        ("# comment\na b\nb,c # end\n\nd\n", {("a", "b"): 1.0, ("b", "c"): 1.0}, 4),
        ("a b {}\nb c {'weight': 2}\n", {("a", "b"): 1.0, ("b", "c"): 2.0}, 3),
        ("3 2\n1 2 1\n2 3 -1\n", {("1", "2"): 1.0, ("2", "3"): -1.0}, 3),  # a Gset file
        ("5 2\n1 2 1\n2 3 -1\n", {("1", "2"): 1.0, ("2", "3"): -1.0}, 5),
        ("0 1\n1 0\n", {("0", "1"): 1.0}, 2),
        ("1 2\n3 2\n", {("1", "2"): 1.0, ("2", "3"): 1.0}, 3),  # no header: only one line follows
        ("3 2 0.5\n1 2 0.7\n1 3 0.9\n", {("2", "3"): 0.5, ("1", "2"): 0.7, ("1", "3"): 0.9}, 3),  # nor with a weight,
        ("3 2 {}\n3 1 {}\n2 1 {}\n", {("2", "3"): 1.0, ("1", "3"): 1.0, ("1", "2"): 1.0}, 3),  # with attributes,
        ("3 2\n1 2 1\n2 3 1\n4\n", {("2", "3"): 1.0, ("1", "2"): 1.0}, 4),  # or with a vertex alone
        ("u v\nv w\n", {("u", "v"): 1.0, ("v", "w"): 1.0}, 3),
    ],
)
def test_lists_of_edges_in_files(tmp_path: Path, text: str, expected: Any, vertices: int) -> None:
    path = tmp_path / "graph.edgelist"
    path.write_text(text)
    assert edges_of(path) == expected
    assert len(read_graph(path, "MaxCut").names) == vertices


def test_graphs_in_python() -> None:
    expected = {("a", "b"): 2.0, ("b", "c"): -1.5}
    assert edges_of(weighted_path()) == edges_of(PATH) == expected
    assert edges_of(read_graph(weighted_path(), "MaxCut").as_argument) == expected
    assert edges_of(nx.grid_2d_graph(1, 2)) == {("(0, 0)", "(0, 1)"): 1.0}
    assert len(read_graph({"nodes": ["x", ("y", 2)], "edges": [("x", "z")]}, "MaxCut").names) == 3


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.DiGraph([(0, 1)]), "MaxCut: the graph is directed; allowed: undirected"),
        (nx.Graph([(0, 1), (1, 1)]), "MaxCut: edge '1' - '1' is a self-loop"),
        (
            nx.MultiGraph([(0, 1), (1, 0), (1, 2)]),
            "MaxCut: the multigraph has parallel edges; allowed: one edge per pair",
        ),
        ([(0, 1), (1, 0, 3)], "MaxCut: edge '1' - '0' has two weights, 1 and 3"),
        ([(0, 1, "heavy")], "the weight of edge '0' - '1' must be a finite number, got 'heavy'"),
        ([(0, 1, np.nan)], "the weight of edge '0' - '1' must be a finite number, got nan"),
        ([(0, 1, 2, 3)], "an edge must be (u, v) or (u, v, weight), got (0, 1, 2, 3)"),
        ({"nodes": [1, "1"], "edges": []}, "two vertices are named '1'"),
        ({"nodes": [1], "edges": []}, "the graph must have at least 2 vertices, got 1"),
        ([], "the graph must have at least 2 vertices, got 0"),
    ],
)
def test_bad_graphs_raise(graph: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MaxCut(graph)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", "a b\na b c d\n", "g.txt, line 2: 'a b c d' is not 'u v' or 'u v weight'"),
        ("g.txt", "a b heavy\n", "g.txt, line 1: 'a b heavy' is not"),
        ("g.csv", "source,target\na,b\nb,c\n", "g.csv: the first line 'source target' names columns; remove it"),
        ("g.txt", "3 2\n1 2\n1 3\n", "the first line '3 2' can be an edge, or a header of 3 vertices and 2 edges"),
        ("g.txt", "c a graph\np edge 3 2\ne 1 2\n", "'p edge 3 2' is of another format; allowed: .graphml"),
        ("g.txt", "graph [\n node [ id 1 ]\n]\n", "'graph [' is of another format"),
        ("p.net", "*Vertices 3\n1 a\n*Edges\n1 2\n", "'*Vertices 3' is of another format"),
        ("m.mtx", "%%MatrixMarket matrix\n3 3 2\n1 2\n", "is of another format"),
        ("g.dot", "graph g { a -- b }\n", "is of another format"),
        ("g.txt", "a\nb\n", "g.txt has no edge; allowed"),
        ("g.csv", "u,v\na,b\n", "the first line 'u v' names columns"),
        ("g.csv", "vertex\na,b\n", "the first line 'vertex' names a column"),
        ("g.txt", "a b {'weight': open('x')}\n", "g.txt, line 1:"),
        ("g.graphml", "not xml", "g.graphml cannot be read: "),
        ("g.gml", "graph [", "g.gml cannot be read: "),
    ],
)
def test_bad_files_name_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        MaxCut(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (IndependentSet, {"graph": PATH}, "IndependentSet: the edges of the graph have weights, which have no meaning"),
        (MaxCut, {"graph": {"nodes": [("a", 2)], "edges": [("a", "b")]}}, "MaxCut: the vertices of the graph have"),
        (MaxCut, {"graph": PATH, "num_vertices": 5}, "got num_vertices = 5 and a graph of 3"),
        (MaxCut, {"edge_probability": 1.5}, "MaxCut: edge_probability must be from 0 to 1, got 1.5"),
        (IndependentSet, {"maximal": 1}, "IndependentSet: maximal must be True or False, got 1"),
    ],
)
def test_bad_arguments_raise(make: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**arguments)


def test_a_graph_of_another_type_raises() -> None:
    with pytest.raises(
        TypeError, match="MaxCut: graph must be the path of a file, a NetworkX graph, or a list of edges"
    ):
        MaxCut(np.ones((3, 3)))


@pytest.mark.parametrize(
    "text", ["a;b;2\nb;c;1\n", "a, b, 2\nb, c, 1\n", '% sym\n"a" "b" 2\n# x\nb\t"c"\t1\n', '"a","b",2\n"b","c",1\n']
)
def test_separators_quotes_and_comments(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.txt").write_text(text)
    graph = read_graph(tmp_path / "g.txt", "Graph")
    assert graph.as_argument["edges"] == [["a", "b", 2.0], ["b", "c", 1.0]]
    assert set(graph.names) == {"a", "b", "c"}


@pytest.mark.parametrize("kind", ["gml", "graphml", "gexf"])
def test_compressed_files_of_networkx(tmp_path: Path, kind: str) -> None:
    networkx = pytest.importorskip("networkx")
    getattr(networkx, f"write_{kind}")(networkx.path_graph(3), tmp_path / f"g.{kind}")
    (tmp_path / f"g.{kind}.gz").write_bytes(gzip.compress((tmp_path / f"g.{kind}").read_bytes()))
    plain, packed = (read_graph(tmp_path / name, "Graph") for name in (f"g.{kind}", f"g.{kind}.gz"))
    assert plain.as_argument == packed.as_argument
