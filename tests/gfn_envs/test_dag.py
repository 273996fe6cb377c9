"""Consequences of the contract: masks, round trips, parents and children."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfn_envs import Dag, make_dag
from gfn_envs.arrays import row_keys
from gfn_envs.envs.hypergrid.rewards import REWARDS
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


def test_the_package_needs_neither_torch_nor_the_agents() -> None:
    code = "import sys, gfn_envs, gfn_envs.checker; print(sorted({'torch', 'agents', 'scipy'} & set(sys.modules)))"
    done = run_python("-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
