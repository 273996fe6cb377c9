"""Undirected graphs from users: a file, a NetworkX graph, a list of edges, or a random graph."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import problem_of
from gfn_envs.validation import check_size, shown

#: Suffix of a file -> its reader in NetworkX. Any other file is read as a list of edges.
READERS = {".graphml": "read_graphml", ".xml": "read_graphml", ".gml": "read_gml", ".gexf": "read_gexf"}

KINDS = "the path of a file, a NetworkX graph, or a list of edges (u, v) or (u, v, weight)"


class GraphData(NamedTuple):
    """An undirected graph without self-loops.

    Attributes:
        names: names of the n vertices, different texts.
        vertex_weights: float64 (n,); 1 unless given.
        weights: weights of the edges, float64 (n, n), symmetric; 0 without an edge.
        adjacent: True for the pairs of vertices with an edge, bool (n, n); an edge can have the weight 0.
    """

    names: tuple[str, ...]
    vertex_weights: FloatArray
    weights: FloatArray
    adjacent: Any

    @property
    def as_argument(self) -> dict[str, list[Any]]:
        """The graph in a form that can be written as JSON and that :func:`read_graph` reads."""
        nodes = [[name, weight] for name, weight in zip(self.names, self.vertex_weights.tolist(), strict=True)]
        pairs = np.argwhere(np.triu(self.adjacent)).tolist()
        return {"nodes": nodes, "edges": [[self.names[u], self.names[v], float(self.weights[u, v])] for u, v in pairs]}


def random_graph(num_vertices: int, edge_probability: float, seed: int) -> GraphData:
    """An Erdos-Renyi graph, each edge present with ``edge_probability``; vertices 0, 1, 2, ... and weights 1."""
    upper = np.triu(np.random.default_rng(seed).random((num_vertices,) * 2) < edge_probability, 1)
    adjacent = upper | upper.T
    return GraphData(tuple(map(str, range(num_vertices))), np.ones(num_vertices), adjacent.astype(np.float64), adjacent)


def read_graph(graph: Any, where: str) -> GraphData:
    """The graph that a user gave.

    Args:
        graph: one of:

            * the path of a file: GraphML (.graphml, .xml), GML (.gml) or GEXF (.gexf), read by NetworkX; or a list of
              edges, one ``u v`` or ``u v weight`` per line, as ``networkx.write_edgelist`` writes it, or with commas or
              semicolons; with comments after ``#``, or on lines that begin with ``%``. Names can be in double quotes. A
              line with one name is a vertex without edges. Files can be compressed with gzip. A first line ``n m``,
              before m lines ``u v weight`` with vertices 1 to n, is the header of the Gset files and not an edge;
            * a ``networkx.Graph``. The attribute ``weight`` of edges and nodes is their weight, 1 where it is missing;
              other attributes have no effect;
            * a list of edges (u, v) or (u, v, weight), or {"nodes": [name or (name, weight), ...], "edges": [...]}.
        where: start of messages.

    Raises:
        OSError: the file cannot be read.
        ImportError: the file needs NetworkX, which is not installed.
        TypeError: the graph is something else.
        ValueError: the graph is directed, has a self-loop, parallel edges, an edge with two weights, a weight that is
            not a finite number, two vertices of one name, or fewer than two vertices; a line of a file has another
            form; it has no edge, is in another format, or its first line names columns or can be a header or an edge.
            The message names the edge, the vertex or the line.
    """
    if isinstance(graph, str | os.PathLike):
        path = Path(graph)
        where = f"{where}: {path}"
        if reader := READERS.get(Path(path.name.lower().removesuffix(".gz")).suffix):
            return _build(*_parts(_read_with_networkx(path, reader, where), where), where)
        return _build(*_edge_lines(path, where), where)
    if hasattr(graph, "is_directed") and hasattr(graph, "edges"):
        return _build(*_parts(graph, where), where)
    if isinstance(graph, Mapping) and set(graph) == {"nodes", "edges"}:
        nodes, edges = graph["nodes"], graph["edges"]
    else:
        nodes, edges = [], graph
    if not isinstance(nodes, list | tuple) or not isinstance(edges, list | tuple):
        raise TypeError(f"{where}: graph must be {KINDS}, got {shown(graph)}")
    pairs = [tuple(node) if isinstance(node, list | tuple) else (node, 1.0) for node in nodes]
    if bad := [node for node in pairs if len(node) != 2]:
        raise ValueError(f"{where}: a node must be a name or (name, weight), got {shown(bad[0])}")
    for edge in edges:
        if not isinstance(edge, list | tuple) or not 2 <= len(edge) <= 3:
            raise ValueError(f"{where}: an edge must be (u, v) or (u, v, weight), got {shown(edge)}")
    return _build(pairs, [(*edge, 1.0)[:3] for edge in edges], where)


def import_networkx(where: str) -> Any:
    """The module ``networkx``. Raises ImportError, with the extra to install, if it is missing."""
    try:
        import networkx
    except ImportError as error:
        raise ImportError(f'{where} needs NetworkX: pip install "gfn-envs[graphs]"') from error
    return networkx


def _read_with_networkx(path: Path, reader: str, where: str) -> Any:
    path.open("rb").close()  # Report a missing file first.
    networkx = import_networkx(where)
    try:
        return getattr(networkx, reader)(path)
    except Exception as error:  # of a parser, of many kinds
        raise ValueError(f"{where} cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None


def _parts(graph: Any, where: str) -> tuple[list[Any], list[Any]]:
    """(name, weight) of the nodes and (u, v, weight) of the edges of a NetworkX graph."""
    if graph.is_directed():
        raise ValueError(f"{where}: the graph is directed; allowed: undirected (graph.to_undirected())")
    if graph.is_multigraph() and any(graph.number_of_edges(u, v) > 1 for u, v in set(graph.edges())):
        raise ValueError(
            f"{where}: the multigraph has parallel edges; allowed: one edge per pair (networkx.Graph(graph))"
        )
    nodes = [(node, data.get("weight", 1.0)) for node, data in graph.nodes(data=True)]
    return nodes, [(u, v, data.get("weight", 1.0)) for u, v, data in graph.edges(data=True)]


def _edge_lines(path: Path, where: str) -> tuple[list[Any], list[Any]]:
    """(name, weight) of the vertices on separate lines, and (u, v, weight) of the edges of a file."""
    nodes: list[Any] = []
    edges: list[Any] = []
    lengths: list[int] = []
    text = read_text(path, where)
    if found := OTHER_FORMATS.search(text):
        raise ValueError(f"{where} is not a list of edges: {found[0].strip()[:60]!r} is of another format; {FORMATS}")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words: list[Any] = _words(line)
            if len(words) == 3 and "{" in words[2]:
                words[2] = ast.literal_eval(words[2]).get("weight", 1.0)
            if len(words) > 1:
                u, v, weight = [*words, 1.0][: max(3, len(words))]
                edges.append((u, v, float(weight)))
        except (ValueError, SyntaxError, AttributeError, TypeError):
            raise ValueError(f"{where}, line {number}: {line[:60]!r} is not 'u v' or 'u v weight'") from None
        if len(words) == 1 and words[0] not in dict(nodes):
            nodes.append((words[0], 1.0))
        lengths += [len(words)] if words else []
    if not edges:
        raise ValueError(f"{where} has no edge; allowed: a line 'u v' or 'u v weight' per edge")
    if nodes and lengths[0] == 1 and nodes[0][0].lower() in COLUMN and len(lengths) > 1:
        raise ValueError(f"{where}: the first line {nodes[0][0]!r} names a column; remove it, or put # before it")
    if _has_header(edges, lengths, where):
        return [(str(i + 1), 1.0) for i in range(int(edges[0][0]))], edges[1:]
    return nodes, edges


def _words(line: str) -> list[Any]:
    """The words of a line without its comment, separated by blanks, commas or semicolons; quotes hold one together.

    Raises:
        ValueError: a quote does not end.
    """
    content = line.split("#")[0]
    if content.lstrip().startswith("%"):
        return []
    if "{" in content:
        return list(content.split(None, 2))
    if '"' not in content:
        return list(content.replace(",", " ").replace(";", " ").split())
    words = shlex.shlex(content, posix=True)
    words.whitespace, words.quotes, words.escape, words.commenters = " \t,;", '"', "", ""
    words.whitespace_split = True
    return list(words)


#: Beginnings of files, or lines, of formats that are not read: GML, XML, DOT, Pajek, Matrix Market, JSON, DIMACS.
OTHER_FORMATS = re.compile(
    r"\A\s*(?:(?:strict\s+)?(?:di)?graph\b[^,;\n]*[\[{].*|graph\s*\n\s*\[|Creator\b.*|<.*|\*(?:Vertices|Network)\b.*|%%MatrixMarket.*"
    r"|[\[{].*)|^p\s+(?:edge|col|sp|cut|max)\s.*$",
    re.IGNORECASE | re.MULTILINE,
)
FORMATS = f"allowed: {', '.join(READERS)}, or one 'u v' or 'u v weight' per line"

#: First lines that name columns: two of them, or one.
COLUMNS = (
    *({"source", "target"}, {"from", "to"}, {"node1", "node2"}, {"vertex1", "vertex2"}, {"node_1", "node_2"}),
    *({"u", "v"}, {"i", "j"}, {"src", "dst"}, {"start", "end"}, {"head", "tail"}),
)
COLUMN = ("vertex", "node", "name", "id", "vertices", "nodes")


def _has_header(edges: list[Any], lengths: list[int], where: str) -> bool:
    """Whether the first of ``edges`` is a header ``n m``; ``lengths`` are the numbers of words of all lines."""
    if len(edges) < 2:
        return False
    first, others = edges[0][:2], {name for edge in edges[1:] for name in edge[:2]}
    if lengths[0] == 2 and {name.lower() for name in first} in COLUMNS and not others.intersection(first):
        raise ValueError(f"{where}: the first line {' '.join(first)!r} names columns; remove it, or put # before it")
    n, m = (int(word) if word.isdecimal() else 0 for word in first)
    if lengths[0] != 2 or m != len(edges) - 1 or len(lengths) != len(edges):
        return False
    if not {str(i + 1) for i in range(n)}.issuperset(others):
        return False
    if set(lengths) == {2}:
        raise ValueError(
            f"{where}: the first line '{n} {m}' can be an edge, or a header of {n} vertices and {m} edges; after a "
            "header, give the weights of edges (u v 1); an edge must not come first"
        )
    return True


def _build(nodes: list[Any], edges: list[Any], where: str) -> GraphData:
    """The graph of nodes (name, weight) and edges (u, v, weight); vertices that occur in edges only come last."""
    if repeated := [name for i, (name, _) in enumerate(nodes) if str(name) in {str(other) for other, _ in nodes[:i]}]:
        raise ValueError(f"{where}: two vertices are named {str(repeated[0])!r}")
    index = {str(name): i for i, (name, _) in enumerate(nodes)}
    for u, v, _ in edges:
        for name in (u, v):
            index.setdefault(str(name), len(index))
    n = len(index)
    if n < 2:
        raise ValueError(f"{where}: the graph must have at least 2 vertices, got {n}")
    check_size(f"a graph of {n:,} vertices", n * n, where)
    vertex_weights, weights, adjacent = np.ones(n), np.zeros((n, n)), np.zeros((n, n), dtype=bool)
    for name, weight in nodes:
        vertex_weights[index[str(name)]] = _finite(weight, f"vertex {str(name)!r}", where)
    for u, v, weight in edges:
        i, j, edge = index[str(u)], index[str(v)], f"edge {str(u)!r} - {str(v)!r}"
        if i == j:
            raise ValueError(f"{where}: {edge} is a self-loop; allowed: edges between different vertices")
        value = _finite(weight, edge, where)
        if adjacent[i, j] and weights[i, j] != value:
            raise ValueError(f"{where}: {edge} has two weights, {weights[i, j]:g} and {value:g}; give their sum once")
        weights[i, j] = weights[j, i] = value
        adjacent[i, j] = adjacent[j, i] = True
    return GraphData(tuple(index), vertex_weights, weights, adjacent)


def _finite(weight: Any, what: str, where: str) -> float:
    if problem_of(weight) or not np.isfinite(float(weight)):
        raise ValueError(f"{where}: the weight of {what} must be a finite number, got {shown(weight)}")
    return float(weight)
