"""Maps of cities for tours: TSPLIB files, weighted graphs, and coordinates."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.graphs.read_graph import GraphData, read_graph
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import real_array
from gfn_envs.validation import check_size

Map = tuple[tuple[str, ...], FloatArray]


def read_cities(cities: Any, where: str) -> tuple[tuple[str, ...], FloatArray, Any]:
    """Names of cities and their distances.

    Args:
        cities: path of a TSPLIB file (.tsp) or of a graph file, a NetworkX graph, or coordinates (n, d).
        where: start of messages.

    Returns:
        ``(names, distances, argument)``: n names, float64 (n, n), and the cities in a form that can be written as JSON
        and read again.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError: the cities are something else, fewer than 4, or a distance is missing, negative or not
            finite; or a TSPLIB file has a section that is not supported. The message names it.
    """
    if isinstance(cities, str | os.PathLike):
        path = Path(cities)
        read = _read_tsplib if path.suffix.lower() == ".tsp" else _read_complete_graph
        names, distances = read(path, f"{where}: {path}")
        kept: Any = str(path)
    elif hasattr(cities, "is_directed") or isinstance(cities, dict):
        graph = read_graph(cities, where)
        (names, distances), kept = _distances_of(graph, where), graph.as_argument
    else:
        points = real_array(cities, where, "cities")
        if points.ndim != 2 or not points.shape[1] or not np.isfinite(points).all():
            raise ValueError(f"{where}: cities must be finite coordinates of shape (n, d), got shape {points.shape}")
        names, distances, kept = tuple(map(str, range(len(points)))), euclidean(points), points.tolist()
    if not 4 <= len(names) <= 1000:
        raise ValueError(f"{where}: a tour must have 4 to 1,000 cities, got {len(names)}")
    if distances.min() < 0 or not distances.sum() > 0:
        raise ValueError(f"{where}: distances must be >= 0 and not all 0")
    return names, distances, kept


def euclidean(points: FloatArray) -> FloatArray:
    """Distances of points (n, d), float64 (n, n)."""
    distances: FloatArray = np.sqrt(((points[:, None] - points) ** 2).sum(2))
    return distances


def _read_complete_graph(path: Path, where: str) -> Map:
    return _distances_of(read_graph(path, where), where)


def _distances_of(graph: GraphData, where: str) -> Map:
    missing = np.argwhere(~graph.adjacent & ~np.eye(len(graph.names), dtype=bool))
    if len(missing):
        u, v = (graph.names[i] for i in missing[0])
        raise ValueError(f"{where}: a tour needs the distances of all pairs of cities; {u!r} - {v!r} has no edge")
    return graph.names, graph.weights


# ---------------------------------------------------------------------- TSPLIB

#: Distances of TSPLIB coordinates by their type (Reinelt 1991): rounded, halves up, or rounded up.
COORDINATES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "EUC_2D": lambda points: np.floor(euclidean(points) + 0.5),
    "CEIL_2D": lambda points: np.ceil(euclidean(points)),
}
#: Row and column of the numbers of an explicit matrix by their format.
MATRICES = {
    "FULL_MATRIX": lambda n: np.indices((n, n)).reshape(2, -1),
    "UPPER_ROW": lambda n: np.array(np.triu_indices(n, 1)),
    "UPPER_DIAG_ROW": lambda n: np.array(np.triu_indices(n)),
    "LOWER_ROW": lambda n: np.array(np.tril_indices(n, -1)),
    "LOWER_DIAG_ROW": lambda n: np.array(np.tril_indices(n)),
}


#: Sections that are read, and those that only say how to draw the map.
SECTIONS = ("NODE_COORD_SECTION", "EDGE_WEIGHT_SECTION", "DISPLAY_DATA_SECTION")


def _read_tsplib(path: Path, where: str) -> Map:
    fields, sections = _sections(read_text(path, where))
    if unknown := [name for name in sections if name not in SECTIONS]:
        raise ValueError(f"{where}: {unknown[0]} is not supported; allowed: {', '.join(SECTIONS)}")
    if fields.get("TYPE", "TSP") != "TSP":
        raise ValueError(f"{where}: TYPE must be TSP, got {fields['TYPE']}")
    kind, form = fields.get("EDGE_WEIGHT_TYPE", ""), fields.get("EDGE_WEIGHT_FORMAT", "")
    try:
        n = int(fields.get("DIMENSION", ""))
        check_size("DIMENSION", n * n, where)
        if kind in COORDINATES:
            rows = np.array(sections.get("NODE_COORD_SECTION", []), dtype=object).reshape(n, 3)
            return tuple(map(str, rows[:, 0])), COORDINATES[kind](rows[:, 1:].astype(np.float64))
        if kind == "EXPLICIT" and form in MATRICES:
            row, column = MATRICES[form](n)
            distances, numbers = np.zeros((n, n)), np.array(sections.get("EDGE_WEIGHT_SECTION", []), dtype=np.float64)
            distances[row, column] = numbers
            if form == "FULL_MATRIX" and not np.array_equal(distances, distances.T):
                raise ValueError("the matrix of distances is not symmetric")
            return tuple(map(str, range(1, n + 1))), np.maximum(distances, distances.T)
    except ValueError as error:
        raise ValueError(f"{where} does not fit DIMENSION {fields.get('DIMENSION')!r}: {error}") from None
    allowed = f"{', '.join(COORDINATES)}, or EXPLICIT with EDGE_WEIGHT_FORMAT {', '.join(MATRICES)}"
    raise ValueError(f"{where}: EDGE_WEIGHT_TYPE {kind!r} {form!r} is not supported; allowed: {allowed}")


def _sections(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Fields ``NAME : value``, and the words of each section."""
    fields: dict[str, str] = {}
    sections: dict[str, list[str]] = {}
    words: list[str] = []
    for line in text.splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if colon:
            fields[name] = value
        elif name.endswith("_SECTION"):
            words = sections.setdefault(name, [])
        elif name != "EOF":
            words += line.split()
    return fields, sections
