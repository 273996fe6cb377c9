"""TSP: counts and lengths of tours by brute force and by NetworkX, and maps of cities."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs import check_dag, exact
from gfn_envs.envs.graphs.tsp import TSP

SQUARE = [[0.0, 0.0], [0.0, 3.0], [4.0, 3.0], [4.0, 0.0]]


@pytest.mark.parametrize("n", [4, 5, 7])
def test_objects_are_all_tours_once(n: int) -> None:
    dag = TSP(num_cities=n)
    tours = [(0, *visits) for visits in dag.visits(dag.terminal_states()).tolist()]
    cycles = {frozenset(frozenset(pair) for pair in zip(tour, (*tour[1:], 0), strict=True)) for tour in tours}
    assert len(tours) == len(cycles) == math.factorial(n - 1) // 2 == dag.num_terminal_states
    assert sum(map(len, dag.levels())) == dag.num_states
    check_dag(dag)


def test_lengths_are_those_of_every_order_and_of_networkx() -> None:
    networkx = pytest.importorskip("networkx")
    dag = TSP(num_cities=6, temperature=0.5)
    objects, d = dag.terminal_states(), dag.distances
    lengths = dag.lengths(objects)
    for visits, length in zip(dag.visits(objects).tolist(), lengths, strict=True):
        tour = [0, *visits, 0]
        assert length == pytest.approx(sum(d[a, b] for a, b in itertools.pairwise(tour)))
    np.testing.assert_allclose(dag.log_reward(objects), -lengths / 0.5)
    graph = networkx.from_numpy_array(d)
    every = (
        sum(d[a, b] for a, b in itertools.pairwise((0, *order, 0))) for order in itertools.permutations(range(1, 6))
    )
    assert lengths.min() == pytest.approx(min(every))
    found = networkx.approximation.simulated_annealing_tsp(graph, "greedy", source=0, seed=1)
    assert lengths.min() <= networkx.path_weight(graph, found, "weight") + 1e-9


def test_ten_cities_are_exact() -> None:
    """The best tour of all 181,440 is the convex polygon on which the cities lie."""
    angles = np.random.default_rng(0).permutation(10) * 2 * math.pi / 10
    dag = TSP(np.stack([np.cos(angles), np.sin(angles)], axis=1).tolist(), temperature=0.1)
    target = exact.target_distribution(dag)
    assert len(target) == 181_440
    best = dag.terminal_states()[[target.argmax()]]
    assert dag.lengths(best)[0] == pytest.approx(10 * 2 * math.sin(math.pi / 10))


def test_a_path_is_named_and_has_the_length_so_far() -> None:
    dag = TSP(SQUARE, temperature=2.0)
    state = dag.step(dag.source(1), np.array([0]))
    assert dag.partial_log_reward(state).tolist() == [-1.5]
    assert dag.render_text(state[0]) == "0 - 1"
    assert dag.forward_mask(state).tolist() == [[False, True, True]]
    assert dag.forward_mask(dag.source(1)).tolist() == [[True, True, False]]
    tour = dag.step(dag.step(state, np.array([1])), np.array([2]))
    assert (dag.render_text(tour[0]), dag.lengths(tour).tolist()) == ("0 - 1 - 2 - 3 - 0", [14.0])
    assert dag.action_label(2) == "to 3"


EXPLICIT = "EDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: "
TSPLIB = "NAME : four\nTYPE : TSP\nDIMENSION : 4\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EDGE_WEIGHT_TYPE : EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 0 3.2\n3 4 3\n4 4 0\nEOF\n", [3, 5, 4, 4, 5, 3]),
        (
            "EDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 2.5 0\n3 0 .5\n4 0 9\n",
            [3, 1, 9, 3, 9, 9],
        ),  # halves up
        ("EDGE_WEIGHT_TYPE: CEIL_2D\nNODE_COORD_SECTION\n1 0 0\n2 0 3.2\n3 4 3\n4 4 0\n", [4, 5, 4, 5, 6, 3]),
        (
            "EDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: UPPER_ROW\nEDGE_WEIGHT_SECTION\n1 2 3\n4 5\n6\n",
            range(1, 7),
        ),
        (EXPLICIT + "LOWER_DIAG_ROW\nEDGE_WEIGHT_SECTION\n0 1 0 2 4 0 3 5 6 0\n", range(1, 7)),
    ],
)
def test_files_of_tsplib(tmp_path: Path, text: str, expected: Any) -> None:
    (tmp_path / "four.tsp").write_text(TSPLIB + text)
    dag = TSP(tmp_path / "four.tsp")
    assert dag.distances[np.triu_indices(4, 1)].tolist() == list(expected)
    assert dag.city_names == ("1", "2", "3", "4")
    np.testing.assert_array_equal(dag.distances, dag.distances.T)


def test_a_graph_gives_the_distances_and_the_names(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    graph = networkx.complete_graph(["a", "b", "c", "d"])
    for number, (u, v) in enumerate(graph.edges):
        graph.edges[u, v]["weight"] = number + 1.0
    networkx.write_weighted_edgelist(graph, tmp_path / "a.edges")
    for given in (graph, tmp_path / "a.edges"):
        dag = TSP(given)
        assert dag.city_names == ("a", "b", "c", "d")
        assert dag.distances[np.triu_indices(4, 1)].tolist() == [1, 2, 3, 4, 5, 6]
        np.testing.assert_array_equal(TSP(dag.arguments["cities"]).distances, dag.distances)
    graph.remove_edge("b", "d")
    with pytest.raises(ValueError, match="all pairs of cities; 'b' - 'd' has no edge"):
        TSP(graph)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "EDGE_WEIGHT_TYPE: GEO\nNODE_COORD_SECTION\n1 0 0\n",
            "EDGE_WEIGHT_TYPE 'GEO' '' is not supported; allowed: EUC_2D",
        ),
        ("EDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n", "does not fit DIMENSION '4'"),
        (
            "EDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 0 3\n3 4 3\n4 4 0\nFIXED_EDGES_SECTION\n1 2\n-1\n",
            "FIXED_EDGES_SECTION is not supported; allowed: NODE_COORD_SECTION",
        ),
        ("EDGE_WEIGHT_TYPE: EUC_2D\nTYPE: ATSP\n", "line 5 gives TYPE again"),
        (EXPLICIT + f"FULL_MATRIX\nEDGE_WEIGHT_SECTION\n{'0 1 2 3 ' * 4}", "not symmetric"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.tsp").write_text(TSPLIB + text)
    with pytest.raises(ValueError, match=message):
        TSP(tmp_path / "a.tsp")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"num_cities": 3}, "num_cities must be an integer from 4"),
        ({"cities": [[0, 0], [1, 1], [2, 2]]}, "4 to 1,000 cities, got 3"),
        ({"cities": [[0.0, 1.0]] * 4}, "not all 0"),
        ({"cities": [0, 1, 2, 3]}, r"coordinates of shape \(n, d\)"),
        ({"temperature": 0}, "temperature must be finite and > 0"),
    ],
)
def test_bad_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TSP(**kwargs)


def explicit(form: str, numbers: str, dimension: int = 4, more: str = "") -> str:
    head = f"TYPE: TSP\nDIMENSION: {dimension}\nEDGE_WEIGHT_TYPE: EXPLICIT\nEDGE_WEIGHT_FORMAT: {form}\n"
    return f"{head}{more}EDGE_WEIGHT_SECTION\n{numbers}\nEOF\n"


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("FULL_MATRIX", "9 1 2 3  1 9 4 5  2 4 9 6  3 5 6 9"),
        ("UPPER_ROW", "1 2 3  4 5  6"),
        ("UPPER_DIAG_ROW", "9999 1 2 3  -1 4 5  7 6  8"),
        ("LOWER_ROW", "1  2 4  3 5 6"),
        ("LOWER_DIAG_ROW", "9 1 9 2 4 9 3 5 6 9"),
    ],
)
def test_the_diagonal_of_a_matrix_has_no_meaning(tmp_path: Path, form: str, numbers: str) -> None:
    (tmp_path / "m.tsp").write_text(explicit(form, numbers))
    dag = TSP(str(tmp_path / "m.tsp"))
    assert dag.distances.tolist() == [[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]
    check_dag(dag)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (explicit("UPPER_ROW", "1 2 3 4 5 -1"), "the distance of cities 3 and 4 is -1; allowed: finite, >= 0"),
        (explicit("UPPER_ROW", "1 2 3 4 5 1e400"), "cities 3 and 4 is 1e400"),
        (explicit("FULL_MATRIX", "0 nan 2 3  1 0 4 5  2 4 0 6  3 5 6 0"), "cities 1 and 2 is nan"),
        ("TYPE: ATSP\nDIMENSION: 4\n", "TYPE must be TSP, got ATSP"),
        (explicit("FULL_MATRIX", "5"), "FULL_MATRIX has 16 numbers, got 1"),
        (explicit("UPPER_ROW", "5"), "UPPER_ROW has 6 numbers, got 1"),
        (explicit("UPPER_ROW", "1 2 3 4 5 6", more="DIMENSION: 5\n"), "line 5 gives DIMENSION again"),
        (explicit("UPPER_ROW", "1 2 3 4 5 6") + "7 8\n", "line 8 follows EOF: '7 8'"),
        (explicit("UPPER_ROW", "1 2 3\nEDGE_WEIGHT_SECTION\n4 5 6"), "line 7 gives EDGE_WEIGHT_SECTION again"),
        ("DIMENSION: 4\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 0 1\n2 1 0\n4 1 1\n", "named '2'"),
        (
            "DIMENSION: 4\nEDGE_WEIGHT_TYPE: EUC_2D\nNODE_COORD_SECTION\n1 0 0\n2 0 inf\n3 1 0\n4 1 1\n",
            "city '2' are not",
        ),
    ],
)
def test_wrong_files_of_cities(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.tsp").write_text(text)
    with pytest.raises(ValueError, match=f"m.tsp.*{message}"):
        TSP(str(tmp_path / "m.tsp"))
