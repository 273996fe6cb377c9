"""Consequences of the contract: masks, round trips, parents, children, enumeration, indices."""

from __future__ import annotations

import itertools
import logging
import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfn_envs import BitSequence, Dag, EnumerationError, HyperGrid, check_dag, enumeration, exact, make_dag
from gfn_envs.arrays import one_hot_table, row_keys, unique_rows
from gfn_envs.enumeration import state_graph
from gfn_envs.envs.hypergrid.rewards import REWARDS
from gfn_envs.validation import checked_log_reward, positive_int
from tests.helpers import (
    BAG,
    BITS,
    GRID,
    IDS,
    SMALL,
    SMALL_ARGUMENTS,
    UNEVEN_EDGES,
    TableDag,
    all_states,
    run_python,
    small_dag,
)

# ---------------------------------------------------------------------- random instances and states


@st.composite
def grid_arguments(draw: Any) -> dict[str, Any]:
    return {
        "ndim": draw(st.integers(1, 6)),
        "side": draw(st.integers(2, 40)),
        "reward": draw(st.sampled_from(sorted(REWARDS))),
    }


@st.composite
def bit_arguments(draw: Any) -> dict[str, Any]:
    n = draw(st.sampled_from([8, 16, 24, 40, 120]))
    return {
        "n": n,
        "word_size": draw(st.sampled_from([k for k in (1, 2, 3, 4, 5, 6, 8, 10) if n % k == 0])),
        "construction": draw(st.sampled_from(["autoregressive", "non_autoregressive"])),
        "num_modes": draw(st.integers(1, 5)),
        "seed": draw(st.integers(0, 3)),
    }


@st.composite
def bag_arguments(draw: Any) -> dict[str, Any]:
    capacity = draw(st.integers(1, 20))
    repeats = draw(st.integers(max(1, capacity - 4), capacity))
    return {"num_letters": draw(st.integers(2, 9)), "capacity": capacity, "repeats": repeats}


RANDOM_ARGUMENTS = {GRID: grid_arguments(), BITS: bit_arguments(), BAG: bag_arguments()}


def random_arguments(env_id: str) -> st.SearchStrategy[dict[str, Any]]:
    return RANDOM_ARGUMENTS.get(env_id, st.sampled_from(SMALL_ARGUMENTS.get(env_id, [{}])))


def random_legal(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A uniformly chosen True column of each row."""
    return np.array([rng.choice(np.flatnonzero(row)) for row in mask], dtype=np.int64)


def random_states(dag: Dag, rng: np.random.Generator, n: int = 12) -> np.ndarray:
    """States at the ends of ``n`` random walks of random lengths, the first as long as can be."""
    lengths = rng.integers(0, dag.max_length + 1, size=n)
    lengths[0] = dag.max_length
    states = dag.source(n)
    for t in range(dag.max_length):
        going = (lengths > t) & ~dag.is_terminal(states)
        if going.any():
            states[going] = dag.step(states[going], random_legal(dag.forward_mask(states[going]), rng))
    return states


per_id = pytest.mark.parametrize("env_id", IDS)
small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)


def on_random_states(test: Callable[[Dag, np.ndarray, np.random.Generator], None]) -> Any:
    """Run ``test(dag, states, rng)`` on random states of random instances of every environment."""

    @per_id
    @settings(max_examples=25)
    @given(data=st.data(), seed=st.integers(0, 2**32 - 1))
    def run(env_id: str, data: Any, seed: int) -> None:
        dag = make_dag(env_id, **data.draw(random_arguments(env_id)))
        rng = np.random.default_rng(seed)
        test(dag, random_states(dag, rng), rng)

    return run


@on_random_states
def test_masks_are_empty_exactly_at_the_ends(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    source = (states == dag.source(1)).all(1)
    np.testing.assert_array_equal(dag.forward_mask(states).any(1), ~dag.is_terminal(states))
    np.testing.assert_array_equal(dag.backward_mask(states).any(1), ~source)


@on_random_states
def test_a_step_is_undone(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    states = states[~dag.is_terminal(states)]
    actions = random_legal(dag.forward_mask(states), rng)
    children = dag.step(states, actions)
    back = dag.backward_action(states, actions)
    assert dag.backward_mask(children)[np.arange(len(states)), back].all()
    np.testing.assert_array_equal(dag.undo(children, back), states)
    np.testing.assert_array_equal(dag.forward_action(children, back), actions)


@on_random_states
def test_an_undone_step_is_redone(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    states = states[(states != dag.source(1)).any(1)]
    if not len(states):
        return
    back = random_legal(dag.backward_mask(states), rng)
    parents = dag.undo(states, back)
    actions = dag.forward_action(states, back)
    assert dag.forward_mask(parents)[np.arange(len(states)), actions].all()
    np.testing.assert_array_equal(dag.step(parents, actions), states)
    np.testing.assert_array_equal(dag.backward_action(parents, actions), back)


@on_random_states
def test_distinct_actions_are_distinct_edges(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    """(child, backward action) of all edges out of a state are distinct, and so are (parent, action) of those in."""
    row, children, actions = dag.children(states)
    edges = np.column_stack([row, children, dag.backward_action(states[row], actions)])
    assert len(np.unique(edges, axis=0)) == len(edges) == dag.forward_mask(states).sum()
    row, parents, actions = dag.parents(states)
    edges = np.column_stack([row, parents, actions])
    assert len(np.unique(edges, axis=0)) == len(edges) == dag.backward_mask(states).sum()


@on_random_states
def test_each_child_lists_the_edge_that_leads_to_it(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    row, children, actions = dag.children(states)
    if len(row) > 500:
        chosen = rng.choice(len(row), 500, replace=False)
        row, children, actions = row[chosen], children[chosen], actions[chosen]
    of_child, parents, back_actions = dag.parents(children)
    listed = Counter(
        (int(c), bytes(p), int(a)) for c, p, a in zip(of_child, row_keys(parents), back_actions, strict=True)
    )
    keys = row_keys(states)
    for child, (r, action) in enumerate(zip(row, actions, strict=True)):
        assert listed[child, bytes(keys[r]), int(action)] == 1


@on_random_states
def test_backward_walks_end_at_the_source(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    for _ in range(dag.max_length):
        away = (states != dag.source(1)).any(1)
        if away.any():
            states[away] = dag.undo(states[away], random_legal(dag.backward_mask(states[away]), rng))
    np.testing.assert_array_equal(states, dag.source(len(states)))


@on_random_states
def test_uniform_log_pb_is_one_over_the_number_of_parents(
    dag: Dag, states: np.ndarray, rng: np.random.Generator
) -> None:
    row = dag.parents(states)[0]
    count = np.array([max(1, int((row == i).sum())) for i in range(len(states))])
    np.testing.assert_allclose(np.exp(-dag.uniform_log_pb(states)), count, rtol=1e-12)


def per_row_results(
    dag: Dag, states: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """(name, method, arguments) of every method that maps rows to rows."""
    for name in ("is_terminal", "forward_mask", "backward_mask", "encode", "uniform_log_pb"):
        yield name, getattr(dag, name), (states,)
    going = states[~dag.is_terminal(states)]
    actions = random_legal(dag.forward_mask(going), rng)
    for name in ("step", "backward_action"):
        yield name, getattr(dag, name), (going, actions)
    away = states[(states != dag.source(1)).any(1)]
    if len(away):
        back = random_legal(dag.backward_mask(away), rng)
        for name in ("undo", "forward_action"):
            yield name, getattr(dag, name), (away, back)
    objects = states[dag.is_terminal(states)]
    for name in ("log_reward", "mode_index"):
        yield name, getattr(dag, name), (objects,)


@on_random_states
def test_read_only_and_strided_rows_give_the_same(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    for name, method, arguments in per_row_results(dag, states, rng):
        expected = method(*arguments)
        strided = tuple(np.repeat(a, 2, axis=0)[::2] for a in arguments)
        fortran = tuple(np.asfortranarray(a) for a in arguments)
        for given_arguments in (strided, fortran):
            for a in given_arguments:
                a.flags.writeable = False
            np.testing.assert_array_equal(method(*given_arguments), expected, err_msg=name)


@on_random_states
def test_no_rows_give_no_rows(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    for name, method, arguments in per_row_results(dag, states, rng):
        expected, empty = method(*arguments), method(*(a[:0] for a in arguments))
        assert (empty.shape, empty.dtype) == ((0, *expected.shape[1:]), expected.dtype), name
    for edges in (dag.children(states[:0]), dag.parents(states[:0])):
        assert [len(part) for part in edges] == [0, 0, 0]


@on_random_states
def test_actions_may_be_of_any_integer_type(dag: Dag, states: np.ndarray, rng: np.random.Generator) -> None:
    for name, method, arguments in per_row_results(dag, states, rng):
        if len(arguments) == 2:
            rows, actions = arguments
            np.testing.assert_array_equal(method(rows, actions.astype(np.int32)), method(rows, actions), err_msg=name)


# ---------------------------------------------------------------------- enumeration


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


# ---------------------------------------------------------------------- defaults of the base class


def test_capabilities_are_optional() -> None:
    dag, table = make_dag(GRID), TableDag(UNEVEN_EDGES)
    for ask, message in [
        (lambda: Dag.partial_log_reward(table, table.source(1)), "TableDag defines no intermediate reward"),
        (lambda: Dag.contains(table, table.source(1), table.source(0)), "TableDag does not define which objects"),
        (lambda: Dag.tokens(table, table.source(1)), "TableDag does not define states as sequences"),
        (lambda: Dag.labelled_graphs(table, table.source(1)), "TableDag does not define states as graphs"),
    ]:
        with pytest.raises(NotImplementedError, match=message):
            ask()
    assert (Dag.can_stop_anywhere, Dag.num_tokens, Dag.num_positions, Dag.graph_layout) == (False, None, None, None)
    assert Dag.mode_index(table, table.source(3)).tolist() == [-1, -1, -1]
    assert (Dag.action_label(table, 2), Dag.render_text(table, np.array([1, 2]))) == ("2", "1 2")
    assert (repr(table), repr(dag)) == (
        "TableDag()",
        "HyperGrid(ndim=2, side=8, reward='standard', reward_kwargs=None)",
    )


@per_id
def test_actions_have_distinct_labels(env_id: str) -> None:
    dag = make_dag(env_id)
    labels = [dag.action_label(action) for action in range(dag.num_actions)]
    assert len(set(labels)) == len(labels)


@small
def test_states_have_distinct_texts(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    texts = [dag.render_text(state) for state in all_states(dag)]
    assert len(set(texts)) == len(texts)


# ---------------------------------------------------------------------- helpers


@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.int64]),
        st.tuples(st.integers(0, 30), st.integers(1, 5)),
        elements=st.integers(-2, 2) | st.sampled_from([0, 127, -128]),
    )
)
def test_row_keys_distinguish_rows_as_numpy_does(states: np.ndarray) -> None:
    expected, index, counts = np.unique(states, axis=0, return_inverse=True, return_counts=True)
    keys = row_keys(states)
    assert keys.shape == (len(states),)
    for i, j in itertools.combinations(range(len(states)), 2):
        assert (keys[i] == keys[j]) == (index.ravel()[i] == index.ravel()[j])
    distinct = unique_rows(states)
    assert distinct.dtype == states.dtype
    assert sorted(map(tuple, distinct.tolist())) == list(map(tuple, expected.tolist()))
    assert sorted(np.unique(keys, return_counts=True)[1]) == sorted(counts)


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 20), st.just(3)), elements=st.integers(-3, 3)), st.randoms())
def test_unique_rows_do_not_depend_on_order(states: np.ndarray, random: Any) -> None:
    order = random.sample(range(len(states)), len(states))
    np.testing.assert_array_equal(unique_rows(states), unique_rows(states[order]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 0.0])
def test_bad_rewards_name_the_object(bad: float) -> None:
    states = np.array([[1, 2], [3, 4], [5, 6]])
    message = rf"Toy: the reward of object \[3, 4\] is {bad}; allowed: finite and > 0"
    with pytest.raises(ValueError, match=message):
        checked_log_reward([1.0, bad, bad], states, "Toy")


def test_rewards_become_logarithms_in_double_precision() -> None:
    reward = np.array([1, 2, 5], dtype=np.float32)
    log_reward = checked_log_reward(reward, np.zeros((3, 1)), "Toy")
    assert log_reward.dtype == np.float64
    np.testing.assert_array_equal(log_reward, np.log([1.0, 2.0, 5.0]))
    with pytest.raises(ValueError, match=r"Toy: rewards must have shape \(3,\), got \(3, 1\)"):
        checked_log_reward(reward[:, None], np.zeros((3, 1)), "Toy")


def test_one_hot_table_ends_with_the_empty_slot() -> None:
    np.testing.assert_array_equal(one_hot_table(3), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert one_hot_table(3).dtype == np.float32


@pytest.mark.parametrize("value", [2, 2.0, np.int64(2), np.int8(2), np.float32(2)])
def test_positive_int_takes_whole_numbers(value: Any) -> None:
    result = positive_int("side", value, "Toy")
    assert (result, type(result)) == (2, int)


@pytest.mark.parametrize("value", [True, np.True_, 0, -1, 1.5, "2", "two", None, np.nan, np.inf, 2j, [2]])
def test_positive_int_names_what_it_refuses(value: Any) -> None:
    with pytest.raises(ValueError, match="Toy: side must be an integer >= 1, got") as caught:
        positive_int("side", value, "Toy")
    assert repr(value) in str(caught.value)


def test_the_package_needs_neither_torch_nor_the_agents() -> None:
    code = "import sys, gfn_envs, gfn_envs.checker; print(sorted({'torch', 'agents', 'scipy'} & set(sys.modules)))"
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
