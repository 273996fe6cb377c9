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
    text = read_text(path, where)
    try:
        fields, sections = _sections(text)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
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
            names, points = tuple(map(str, rows[:, 0])), rows[:, 1:].astype(np.float64)
            if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
                raise ValueError(f"two cities are named {repeated[0]!r}")
            if not np.isfinite(points).all():
                raise ValueError(
                    f"the coordinates of city {names[int(np.argmin(np.isfinite(points).all(1)))]!r} are not finite"
                )
            return names, COORDINATES[kind](points)
        if kind == "EXPLICIT" and form in MATRICES:
            return tuple(map(str, range(1, n + 1))), _matrix(n, form, sections.get("EDGE_WEIGHT_SECTION", []))
    except ValueError as error:
        raise ValueError(f"{where} does not fit DIMENSION {fields.get('DIMENSION')!r}: {error}") from None
    allowed = f"{', '.join(COORDINATES)}, or EXPLICIT with EDGE_WEIGHT_FORMAT {', '.join(MATRICES)}"
    raise ValueError(f"{where}: EDGE_WEIGHT_TYPE {kind!r} {form!r} is not supported; allowed: {allowed}")


def _matrix(n: int, form: str, words: list[str]) -> FloatArray:
    """Distances (n, n) of a matrix in one of the formats. Its diagonal has no meaning, and is 0.

    Raises:
        ValueError: a number is missing, negative or non-finite, or the matrix is not symmetric.
    """
    row, column = MATRICES[form](n)
    if len(words) != len(row):
        raise ValueError(f"{form} has {len(row):,} numbers, got {len(words):,}")
    numbers = np.array(words, dtype=np.float64)
    wrong = (row != column) & ~(np.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        k = int(wrong.argmax())
        raise ValueError(
            f"the distance of cities {row[k] + 1} and {column[k] + 1} is {words[k]}; allowed: finite, >= 0"
        )
    distances = np.zeros((n, n))
    distances[row, column] = numbers
    if form != "FULL_MATRIX":
        distances[column, row] = numbers
    np.fill_diagonal(distances, 0.0)
    if not np.array_equal(distances, distances.T):
        raise ValueError("the matrix of distances is not symmetric")
    return distances


def _sections(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Fields ``NAME : value``, and the words of each section.

    Raises:
        ValueError: a field or a section occurs twice, or something follows EOF.
    """
    fields: dict[str, str] = {}
    sections: dict[str, list[str]] = {}
    words: list[str] = []
    ended = False
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = (part.strip() for part in line.partition(":"))
        if ended and name:
            raise ValueError(f"line {number} follows EOF: {line[:60]!r}")
        section = name.endswith("_SECTION")
        if name in (sections if section else fields) and (colon or section) and name != "COMMENT":
            raise ValueError(f"line {number} gives {name} again")
        if section:
            words = sections[name] = []
        elif colon:
            fields[name] = value
        elif name == "EOF":
            ended = True
        else:
            words += line.split()
    return fields, sections
