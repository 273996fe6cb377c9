"""Enumeration: levels, states, edges, indices, limits and memory."""

from __future__ import annotations

import logging
import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfn_envs import (
    BitSequence,
    Dag,
    EnumerationError,
    HyperGrid,
    check_dag,
    enumeration,
    exact,
    make_dag,
    networkx_export,
)
from gfn_envs.enumeration import state_graph
from tests.helpers import (
    IDS,
    SMALL,
    SMALL_ARGUMENTS,
    UNEVEN_EDGES,
    TableDag,
    all_states,
    small_dag,
)

per_id = pytest.mark.parametrize("env_id", IDS)


small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)


def longest_paths(dag: Dag) -> dict[tuple[int, ...], int]:
    """Length of the longest path from s0 to each state, by relaxation in plain Python."""
    start = tuple(dag.source(1)[0].tolist())
    depth, pending = {start: 0}, [start]
    while pending:
        reached = []
        for state in pending:
            row = np.array([state], dtype=dag.state_dtype)
            for child in map(tuple, dag.children(row)[1].tolist()):
                if depth.get(child, -1) < depth[state] + 1:
                    depth[child] = depth[state] + 1
                    reached.append(child)
        pending = list(dict.fromkeys(reached))
    return depth


@small
def test_level_t_holds_the_states_whose_longest_path_has_length_t(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    listed = [(tuple(state), t) for t, level in enumerate(dag.levels()) for state in level.tolist()]
    assert len(listed) == len(dict(listed))
    assert dict(listed) == longest_paths(dag)
    assert max(dict(listed).values()) == dag.max_length


def test_uneven_paths_enumerate_in_topological_order() -> None:
    dag = TableDag(UNEVEN_EDGES)
    assert [level[:, 0].tolist() for level in dag.levels()] == [[0], [1], [2], [3], [4, 5]]
    assert (dag.num_states, dag.num_terminal_states) == (6, 2)
    assert dag.terminal_states().tolist() == [[4], [5]]


@st.composite
def random_tables(draw: Any) -> list[tuple[int, int, int]]:
    """Edges of a random DAG, every state reachable: each state has a parent before it, and there are further edges."""
    size = draw(st.integers(2, 9))
    pairs = [(draw(st.integers(0, child - 1)), child) for child in range(1, size)]
    more = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] < pair[1])
    pairs += draw(st.lists(more, max_size=12))
    action: Counter[int] = Counter()
    edges = []
    for parent, child in pairs:
        edges.append((parent, action[parent], child))
        action[parent] += 1
    return edges


@settings(max_examples=60)
@given(random_tables())
def test_random_uneven_dags_are_enumerated_and_well_formed(edges: list[tuple[int, int, int]]) -> None:
    dag = TableDag(edges)
    report = check_dag(dag)
    assert (report.num_states, report.num_edges) == (len(dag.child), len(edges))
    levels = {tuple(state): t for t, level in enumerate(dag.levels()) for state in level.tolist()}
    assert levels == longest_paths(dag)


@small
def test_children_and_parents_list_the_same_edges(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    states = all_states(dag)
    row, children, actions = dag.children(states)
    forward = np.column_stack([states[row], actions, children])
    row, parents, actions = dag.parents(states)
    backward = np.column_stack([parents, actions, states[row]])
    assert len(forward) == len(backward)
    np.testing.assert_array_equal(forward[np.lexsort(forward.T)], backward[np.lexsort(backward.T)])


@small
def test_indices_are_positions_in_the_lists(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    states, objects = all_states(dag), dag.terminal_states()
    some = np.random.default_rng(0).integers(len(states), size=50)
    np.testing.assert_array_equal(dag.state_index(states[some]), some)
    np.testing.assert_array_equal(dag.state_index(states[some].astype(np.int64)), some)
    some = np.random.default_rng(0).integers(len(objects), size=50)
    np.testing.assert_array_equal(dag.terminal_index(objects[some]), some)
    np.testing.assert_array_equal(objects, states[dag.is_terminal(states)])


@small
def test_indices_refuse_what_is_not_listed(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    stranger = np.full((1, dag.state_width), -1)
    known = dag.source(1).astype(np.int64)
    for rows in (stranger, np.concatenate([known, stranger])):
        with pytest.raises(KeyError, match=r"\[-1(, -1)*\] is not a reachable state"):
            dag.state_index(rows)
        with pytest.raises(KeyError, match="is not a reachable state"):
            dag.terminal_index(rows)
    with pytest.raises(KeyError, match="is not a terminal state"):
        dag.terminal_index(np.concatenate([dag.terminal_states()[:1], dag.source(1)]))


@small
def test_indices_refuse_numbers_beyond_the_type_of_states(env_id: str, kwargs: dict[str, Any]) -> None:
    """A number that wraps around to a state is not a state."""
    dag = small_dag(env_id, kwargs)
    if np.dtype(dag.state_dtype).itemsize == 8:
        pytest.skip("no integer of an array is beyond the type of its states")
    wrapped = dag.source(1).astype(np.int64) + 2 ** (8 * np.dtype(dag.state_dtype).itemsize)
    with pytest.raises(KeyError, match="is not a reachable state"):
        dag.state_index(wrapped)


@small
def test_enumerated_states_cannot_be_changed(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    objects = dag.terminal_states().copy()
    for level in dag.levels():
        with pytest.raises(ValueError, match="read-only"):
            level[:] = 0
    dag.terminal_states()[:] = 0
    np.testing.assert_array_equal(dag.terminal_states(), objects)


ENUMERATIONS: list[Callable[[Dag], Any]] = [
    lambda dag: list(dag.levels()),
    lambda dag: dag.terminal_states(),
    lambda dag: dag.state_index(dag.source(1)),
    lambda dag: dag.terminal_index(dag.source(1)),
    exact.target_distribution,
    exact.log_partition,
    state_graph,
]


@pytest.mark.parametrize("enumerate_dag", ENUMERATIONS)
@pytest.mark.parametrize(
    ("make", "num_states", "num_objects"),
    [
        (lambda: HyperGrid(ndim=10, side=20), 2 * 20**10, 20**10),
        (lambda: BitSequence(n=120, word_size=8), (256**16 - 1) // 255, 2**120),
        (lambda: BitSequence(n=120, word_size=1, construction="non_autoregressive"), 3**120, 2**120),
    ],
    ids=["grid", "append", "fill"],
)
def test_huge_dags_refuse_to_be_listed_at_once(
    enumerate_dag: Callable[[Dag], Any], make: Callable[[], Dag], num_states: int, num_objects: int
) -> None:
    dag = make()
    assert (dag.num_states, dag.num_terminal_states) == (num_states, num_objects)
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(EnumerationError, match=f"has {num_states:,} states of .* too many to enumerate"):
            enumerate_dag(dag)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    assert time.perf_counter() - start < 1


def test_a_dag_that_declares_no_count_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = HyperGrid(ndim=3, side=10)
    dag.declared_num_states = dag.declared_num_terminal_states = None
    monkeypatch.setattr(enumeration, "ENUMERATION_BYTES", 64 * 100)
    for ask in (lambda: dag.num_states, lambda: dag.num_terminal_states, lambda: list(dag.levels())):
        with pytest.raises(EnumerationError, match=r"more than \d+ states of 64 bytes each.*limit 100 states"):
            ask()
    monkeypatch.undo()
    assert (dag.num_states, dag.num_terminal_states) == (2000, 1000)


@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_can_be_set(declared: bool, caplog: pytest.LogCaptureFixture) -> None:
    dag = HyperGrid(ndim=3, side=10)
    dag.closed_levels = None
    if not declared:
        dag.declared_num_states = dag.declared_num_terminal_states = None
    with pytest.raises(EnumerationError, match=r"raise the limit: dag.enumerate\(limit=\.\.\.\)"):
        dag.enumerate(limit=500)
    with pytest.raises(EnumerationError, match=r"limit 500 states in .* GiB"):
        list(dag.levels())
    with caplog.at_level(logging.INFO, "gfn_envs.enumeration"):
        dag.enumerate(limit=2000)
    assert dag.num_states == 2000
    assert "enumerated HyperGrid: 2,000 states in" in caplog.text
    assert ("enumerating HyperGrid: 2,000 states, about 0.128 MB" in caplog.text) == declared
    for bad in (0, -1, 1.5, "many"):
        with pytest.raises(ValueError, match="HyperGrid: limit must be an integer >= 1"):
            dag.enumerate(limit=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("declared", [True, False])
def test_long_enumerations_say_how_far_they_are(
    declared: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(enumeration, "QUIET_SECONDS", 0.0)
    dag = HyperGrid(ndim=2, side=5)
    dag.closed_levels = None
    if not declared:
        dag.declared_num_states = dag.declared_num_terminal_states = None
    dag.enumerate()
    text = r"enumerating HyperGrid: \d+ states found in 0 s"
    end = r" of 50, about \d+ s left" if declared else r", their number is not known; limit [0-9,]+"
    assert re.search(text + end, caplog.text)


@pytest.mark.parametrize("chunk", [1, 10, 1000])
@small
def test_small_chunks_give_the_same_states_and_edges(
    env_id: str, kwargs: dict[str, Any], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = enumeration.state_graph(small_dag(env_id, kwargs))
    monkeypatch.setattr(enumeration, "CHUNK", chunk)
    found = enumeration.state_graph(make_dag(env_id, **kwargs))
    for name in ("states", "level_offsets", "source", "action", "target", "edge_offsets", "terminal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_memory_of_an_enumeration_is_a_few_hundred_bytes_per_state() -> None:
    dag = HyperGrid(ndim=12, side=3)
    dag.declared_num_states = None
    dag.source(1), dag.children(dag.source(1))
    tracemalloc.start()
    try:
        count = dag.num_states
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 2 * 3**12
    assert peak / count < 300, peak / count


@small
def test_indices_refuse_rows_of_another_width(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    wider = np.zeros((2, dag.state_width + 1), dtype=dag.state_dtype)
    for rows in (wider, wider[:, : dag.state_width - 1], wider[0], dag.source(1)[0]):
        for index in (dag.state_index, dag.terminal_index):
            with pytest.raises(ValueError, match=rf"states must have shape \(n, {dag.state_width}\), got"):
                index(rows)


def test_a_cycle_does_not_enumerate() -> None:
    with pytest.raises(EnumerationError, match="a walk is longer than max_length = 4"):
        list(TableDag([*UNEVEN_EDGES, (2, 3, 1)], max_length=4).levels())


@per_id
def test_walks_longer_than_declared_do_not_enumerate(env_id: str) -> None:
    dag = make_dag(env_id, **SMALL_ARGUMENTS[env_id][0])
    dag.max_length -= 1
    with pytest.raises(EnumerationError, match=f"a walk is longer than max_length = {dag.max_length}"):
        list(dag.levels())


@pytest.mark.parametrize(
    "ask", [lambda dag: dag.terminal_states(), exact.target_distribution, networkx_export.to_networkx]
)
def test_counts_with_too_many_digits_for_python(ask: Callable[[Dag], Any]) -> None:
    with pytest.raises(EnumerationError, match=r"has about 2\*\*16384 states"):
        ask(BitSequence(n=16384, num_modes=2))
