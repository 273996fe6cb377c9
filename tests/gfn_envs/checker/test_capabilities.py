"""Optional capabilities against their definitions: exhaustively on small instances, explicit cases on large ones."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from gfn_envs import Bag, BitSequence, Dag, EnumerationError, HyperGrid
from gfn_envs.arrays import all_columns, log_factorials
from gfn_envs.enumeration import state_graph
from tests.helpers import SMALL, UNEVEN_EDGES, TableDag, all_states, small_dag

small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)


def reachability(dag: Dag) -> np.ndarray:
    """True at [i, j] if a path, possibly empty, leads from state i to terminal state j."""
    graph = state_graph(dag)
    reach = np.zeros((len(graph.states), len(graph.terminal)), dtype=bool)
    reach[graph.terminal, np.arange(len(graph.terminal))] = True
    for source, target in zip(graph.source[::-1], graph.target[::-1], strict=True):
        reach[source] |= reach[target]
    return reach


# ---------------------------------------------------------------------- containment


@small
def test_states_contain_the_objects_they_lead_to(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    if not dag.has("contains"):
        pytest.skip(f"{dag!r} does not define contains")
    states, objects = all_states(dag), dag.terminal_states()
    expected = reachability(dag)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(dag.contains(states, objects), expected)
    # Any selection of rows, in any order.
    rng = np.random.default_rng(0)
    i, j = rng.integers(len(states), size=7), rng.integers(len(objects), size=5)
    np.testing.assert_array_equal(dag.contains(states[i], objects[j]), expected[np.ix_(i, j)])
    assert dag.contains(states[:0], objects).shape == (0, len(objects))
    assert dag.contains(states, objects[:0]).shape == (len(states), 0)


def test_containment_by_hand() -> None:
    grid = HyperGrid(ndim=2, side=4)
    states = np.array([[0, 0, 0], [2, 1, 0], [2, 1, 1]])
    objects = np.array([[2, 1, 1], [3, 1, 1], [1, 3, 1]])
    assert grid.contains(states, objects).tolist() == [[True] * 3, [True, True, False], [True, False, False]]
    bag = Bag(num_letters=3, capacity=3, repeats=2)
    assert bag.contains(np.array([[1, 1, 0]]), np.array([[2, 1, 0], [1, 1, 1], [2, 0, 1]])).tolist() == [[1, 1, 0]]
    append = BitSequence(n=8, word_size=2, num_modes=1)
    fill = BitSequence(n=8, word_size=2, num_modes=1, construction="non_autoregressive")
    objects = np.array([[3, 0, 1, 2], [3, 1, 1, 2], [0, 3, 1, 2]])
    assert append.contains(np.array([[3, 0, 4, 4]]), objects).tolist() == [[True, False, False]]
    assert fill.contains(np.array([[4, 4, 1, 2], [3, 4, 4, 2]]), objects).tolist() == [[1, 1, 1], [1, 1, 0]]


def test_all_columns_compares_every_pair_of_rows() -> None:
    left, right = (np.random.default_rng(i).integers(3, size=(n, 2)) for i, n in enumerate((9, 11)))
    expected = [[bool(a[0] <= b[0] and a[1] <= b[1]) for b in right] for a in left]
    assert all_columns(np.less_equal, left, right).tolist() == expected


# ---------------------------------------------------------------------- numbers of paths


@small
def test_formulas_for_paths_agree_with_dynamic_programming(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    states = all_states(dag)
    found = dag.log_num_paths(states)
    assert (found.dtype, found.shape) == (np.float64, (len(states),))
    np.testing.assert_allclose(found, Dag.log_num_paths(dag, states), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(dag.log_num_paths(states[::-1][:5]), found[::-1][:5])


def test_double_edges_and_uneven_paths_count() -> None:
    """0 -> 5 by 1-2 twice and by 2 twice, and by 3 from 0, 2 and 1-2: 7 paths."""
    dag = TableDag(UNEVEN_EDGES)
    states = all_states(dag)
    counts = dict(zip(states[:, 0].tolist(), np.exp(Dag.log_num_paths(dag, states)), strict=True))
    assert {state: round(count, 9) for state, count in counts.items()} == {0: 1, 1: 1, 2: 2, 3: 3, 4: 4, 5: 7}
    np.testing.assert_allclose(Dag.log_num_paths(dag, states), dag.log_num_paths(states), rtol=1e-14)
    with pytest.raises(KeyError, match="is not a reachable state"):
        Dag.log_num_paths(dag, np.array([[9]]))


def test_paths_of_large_instances_by_whole_numbers() -> None:
    grid = HyperGrid(ndim=4, side=20)
    paths = math.factorial(19 * 3 + 7) // (math.factorial(19) ** 3 * math.factorial(7))
    for stopped in (0, 1):
        assert math.isclose(grid.log_num_paths(np.array([[19, 7, 19, 19, stopped]]))[0], math.log(paths), rel_tol=1e-13)
    words = math.factorial(13) // (math.factorial(7) * math.factorial(4) * 2)
    assert math.isclose(Bag().log_num_paths(np.array([[7, 0, 4, 0, 2, 0, 0]]))[0], math.log(words), rel_tol=1e-13)
    fill = BitSequence(construction="non_autoregressive", word_size=1)
    full = np.zeros((1, 120), dtype=np.int32)
    assert math.isclose(fill.log_num_paths(full)[0], math.log(math.factorial(120)), rel_tol=1e-13)
    assert BitSequence(word_size=1).log_num_paths(full).tolist() == [0.0]
    with pytest.raises(EnumerationError, match="too many to enumerate"):
        Dag.log_num_paths(fill, full)


def test_log_factorials() -> None:
    expected = [math.log(math.factorial(k)) for k in range(40)]
    np.testing.assert_allclose(log_factorials(39), expected, rtol=1e-14)
    assert log_factorials(0).tolist() == [0.0]


# ---------------------------------------------------------------------- stops


@small
def test_stops_anywhere_are_those_declared(env_id: str, kwargs: dict[str, Any]) -> None:
    """The last action leaves each state but the terminal ones, enters each of these once, and no other enters them."""
    dag = small_dag(env_id, kwargs)
    assert dag.can_stop_anywhere or not isinstance(dag, HyperGrid) or kwargs.get("ends_at_border")
    graph = state_graph(dag)
    stop = graph.action == dag.num_actions - 1
    stops = len(set(graph.source[stop].tolist())) == len(graph.states) - len(graph.terminal)
    enters = sorted(graph.target[stop].tolist()) == graph.terminal.tolist()
    alone = not np.isin(graph.target[~stop], graph.terminal).any()
    assert (stops and enters and alone) or not dag.can_stop_anywhere


# ---------------------------------------------------------------------- tokens


@small
def test_tokens_tell_states_apart(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    if not dag.has("tokens"):
        pytest.skip(f"{dag!r} does not define tokens")
    states = all_states(dag)
    tokens = dag.tokens(states)
    assert dag.num_tokens is not None
    assert (tokens.dtype, tokens.shape) == (np.int64, (len(states), dag.num_positions))
    assert 0 <= tokens.min() < tokens.max() < dag.num_tokens
    inner = tokens[~dag.is_terminal(states)]
    assert len(set(map(tuple, inner.tolist()))) == len(inner)


def test_tokens_by_hand() -> None:
    assert HyperGrid(ndim=2, side=4).tokens(np.array([[3, 1, 0], [3, 1, 1]])).tolist() == [[3, 1], [3, 1]]
    bits = BitSequence(n=16, word_size=8, num_modes=1)
    assert (bits.num_tokens, bits.num_positions) == (257, 2)
    assert bits.tokens(np.array([[255, 256]], dtype=np.int32)).tolist() == [[255, 256]]
    assert (Bag().num_tokens, Bag().num_positions) == (14, 7)


# ---------------------------------------------------------------------- intermediate rewards


@pytest.mark.parametrize("construction", ["autoregressive", "non_autoregressive"])
@pytest.mark.parametrize(("n", "word_size", "num_modes"), [(8, 2, 3), (8, 1, 5), (24, 6, 2)])
def test_partial_bits_count_the_filled_slots_alone(construction: str, n: int, word_size: int, num_modes: int) -> None:
    dag = BitSequence(n=n, word_size=word_size, construction=construction, num_modes=num_modes, beta=2.5)
    modes = ["".join(map(str, mode)) for mode in dag.modes]
    rng = np.random.default_rng(0)
    states, walk = [dag.source(50)], dag.source(50)
    for _ in range(dag.max_length):
        actions = (dag.forward_mask(walk) * rng.random((50, dag.num_actions))).argmax(1)
        states.append(walk := dag.step(walk, actions))
    rows = np.concatenate(states)
    expected = []
    for row in rows:
        text = "".join("?" * word_size if word == 2**word_size else f"{word:0{word_size}b}" for word in row)
        distances = [sum(a not in ("?", b) for a, b in zip(text, mode, strict=True)) for mode in modes]
        expected.append(-2.5 * min(distances) / n)
    found = dag.partial_log_reward(rows)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0)
    assert len(set(expected)) > 3
    np.testing.assert_array_equal(found[-50:], dag.log_reward(walk))


@pytest.mark.parametrize(("ndim", "side"), [(1, 5), (2, 8), (3, 4)])
@pytest.mark.parametrize("reward", ["standard", "cosine", lambda cells: 2.0 + cells.sum(1)])
def test_a_cell_on_the_way_is_worth_what_stopping_there_pays(ndim: int, side: int, reward: Any) -> None:
    dag = HyperGrid(ndim=ndim, side=side, reward=reward)
    cells = np.array(list(itertools.product(range(side), repeat=ndim)))
    flag = np.ones((len(cells), 1), dtype=int)
    going, stopped = (np.hstack([cells, value * flag]).astype(dag.state_dtype) for value in (0, 1))
    found = dag.partial_log_reward(going)
    assert found[0] == 0.0 != dag.log_reward(stopped)[0]
    np.testing.assert_array_equal(found[1:], dag.log_reward(stopped)[1:])
    np.testing.assert_array_equal(dag.partial_log_reward(stopped), dag.log_reward(stopped))


def test_bags_have_no_intermediate_reward() -> None:
    with pytest.raises(NotImplementedError, match="Bag defines no intermediate reward"):
        Bag().partial_log_reward(Bag().source(1))


# ---------------------------------------------------------------------- presence


@pytest.mark.parametrize("dag", [HyperGrid(), BitSequence(), Bag()], ids=lambda dag: type(dag).__name__)
def test_capabilities_of_some_environments(dag: Dag) -> None:
    """The checker skips capabilities that are not defined, so a misspelt method would pass it."""
    assert all(dag.has(name) for name in ("contains", "tokens", "log_num_paths"))
    assert dag.has("partial_log_reward") == (not isinstance(dag, Bag))
    assert dag.has("grid_cells") == (dag.grid_shape is not None) == isinstance(dag, HyperGrid)
    assert not dag.has("molecules")
    assert not dag.has("labelled_graphs")


def test_methods_of_an_instance_count_and_those_that_raise_do_not() -> None:
    dag: Any = Bag()
    assert not dag.has("distance")
    dag.distance = lambda states, others: np.zeros((len(states), len(others)))
    assert dag.has("distance")
    dag.contains = Dag.contains.__get__(dag)
    assert not dag.has("contains")
    with pytest.raises(ValueError, match="unknown capability 'token'; known: partial_log_reward, contains, tokens"):
        dag.has("token")


@pytest.mark.parametrize("name", ["distance", "grid_cells", "molecules", "to_smiles", "draw_molecules"])
def test_capabilities_that_are_not_defined_raise(name: str) -> None:
    dag = Bag()
    arguments = {"distance": [dag.source(1)], "draw_molecules": [6, (300, 200)]}.get(name, [])
    with pytest.raises(NotImplementedError, match=rf"Bag does not define .* \({name}\)"):
        getattr(dag, name)(dag.source(1), *arguments)
