"""Levels in closed form are those of the enumeration, and exact evaluation by levels needs no table of states."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import numpy as np
import pytest

from gfn_envs import Dag, EnumerationError, edge_blocks, enumeration, exact, make_dag
from gfn_envs.closed_levels import ClosedEnumeration, ProductLevels, product_levels
from tests.helpers import BAG, BITS, GRID, ISING, SMALL, small_dag

CLOSED: list[tuple[str, dict[str, Any]]] = [
    (GRID, {"ndim": 1, "side": 5}),
    (GRID, {"ndim": 3, "side": 4}),
    (BAG, {"num_letters": 3, "capacity": 5, "repeats": 3}),
    (BITS, {"n": 8, "word_size": 2, "num_modes": 2, "construction": "non_autoregressive"}),
    (ISING, {"side": 2, "sigma": 0.3, "construction": "non_autoregressive"}),
]
closed = pytest.mark.parametrize(("env_id", "kwargs"), CLOSED)
small = pytest.mark.parametrize(("env_id", "kwargs"), SMALL)


def enumerated(env_id: str, kwargs: dict[str, Any]) -> Dag:
    """The environment without its closed form."""
    dag = make_dag(env_id, **kwargs)
    dag.closed_levels = None
    return dag


@closed
def test_levels_and_positions_are_those_of_the_enumeration(env_id: str, kwargs: dict[str, Any]) -> None:
    dag, listed = make_dag(env_id, **kwargs), enumerated(env_id, kwargs)
    assert isinstance(dag._enumerated(), ClosedEnumeration)
    assert not isinstance(listed._enumerated(), ClosedEnumeration)
    for found, expected in zip(dag.levels(), listed.levels(), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    states = np.concatenate(list(listed.levels()))
    shuffled = np.random.default_rng(0).permutation(states)
    np.testing.assert_array_equal(dag.state_index(shuffled), listed.state_index(shuffled))
    np.testing.assert_array_equal(dag.terminal_states(), listed.terminal_states())
    np.testing.assert_array_equal(dag.terminal_positions(), listed.terminal_positions())
    assert "_state_graph" not in dag.__dict__


@closed
def test_rows_that_are_no_states_are_not_found(env_id: str, kwargs: dict[str, Any]) -> None:
    dag, listed = make_dag(env_id, **kwargs), enumerated(env_id, kwargs)
    top = int(np.concatenate(list(listed.levels())).max())
    rows = np.asfortranarray(np.random.default_rng(0).integers(-1, top + 2, (2000, dag.state_width)))
    given = rows.copy()
    position, found = dag._enumerated().position(rows)
    np.testing.assert_array_equal(rows, given)
    place, known = listed._enumerated().position(rows)
    assert 0 < known.sum() < len(rows)
    np.testing.assert_array_equal(found, known)
    np.testing.assert_array_equal(position[known], place[known])


def test_levels_of_a_large_grid_by_counting() -> None:
    dag = make_dag(GRID, ndim=8, side=8)
    levels = dag.closed_levels
    assert levels.offsets[-1] == dag.num_states == 2 * 8**8
    for t in (0, 5, 9, 57):
        states = levels.level(t)
        np.testing.assert_array_equal(states.sum(1), t)
        position, found = levels.position(states)
        assert found.all()
        np.testing.assert_array_equal(position, np.arange(*levels.offsets[t : t + 2]))


def test_closed_levels_that_contradict_the_declarations_are_not_used() -> None:
    dag, other = make_dag(GRID, ndim=2, side=4), make_dag(GRID, ndim=2, side=5)
    dag.closed_levels = other.closed_levels
    assert len(list(dag.levels())) == dag.max_length + 1
    assert sum(map(len, dag.levels())) == dag.num_states == 32


def test_tables_that_would_be_large_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert product_levels([range(4096)] * 2, np.int16) is None
    assert make_dag(GRID, ndim=2, side=4096).closed_levels is None
    assert isinstance(product_levels([range(8)] * 8, np.int16), ProductLevels)


@small
def test_edges_that_are_not_kept_give_the_same_distribution(
    env_id: str, kwargs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dag, again = small_dag(env_id, kwargs), make_dag(env_id, **kwargs)
    rng = np.random.default_rng(1)
    table = rng.gamma(1.0, size=(dag.num_states, dag.num_actions))

    def policy(states: np.ndarray) -> np.ndarray:
        weights = table[dag.state_index(states)] * dag.forward_mask(states)
        return weights / weights.sum(1, keepdims=True)

    expected = exact.terminal_distribution(dag, policy)
    monkeypatch.setattr(edge_blocks, "KEPT_BYTES", 0)
    found = exact.terminal_distribution(again, policy, chunk=7)
    assert "_state_graph" not in again.__dict__
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(exact.log_terminal_distribution(again, policy), np.log(expected), atol=1e-12)


def test_exact_evaluation_by_levels_holds_a_few_bytes_per_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_blocks, "KEPT_BYTES", 0)
    monkeypatch.setattr(enumeration, "CHUNK", 2**12)
    dag = make_dag(GRID, ndim=6, side=6)
    uniform, distribution = exact.uniform_policy(dag), exact.terminal_distribution
    distribution(make_dag(GRID, ndim=2, side=3), exact.uniform_policy(make_dag(GRID, ndim=2, side=3)))
    tracemalloc.start()
    try:
        found = distribution(dag, uniform, chunk=256)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert peak / dag.num_states < 50, peak / dag.num_states


def test_edges_that_take_too_much_memory_are_refused_or_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dag = make_dag(GRID, ndim=3, side=6)
    monkeypatch.setattr(enumeration, "ENUMERATION_BYTES", 10_000)
    monkeypatch.setattr(enumeration, "CLOSED_BYTES", 8)
    with pytest.raises(EnumerationError, match=r"the edges of 432 states take about [\d.]+ MB \(limit 0.01 MB"):
        enumeration.state_graph(dag)
    dag.enumerate(limit=432)
    with caplog.at_level(logging.WARNING, "gfn_envs.enumeration"):
        enumeration.state_graph(dag)
    assert "HyperGrid: the edges of 432 states take about" in caplog.text


@pytest.mark.parametrize("declared", [True, False])
def test_much_memory_is_reported_before_it_is_taken(
    declared: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dag = enumerated(GRID, {"ndim": 3, "side": 6})
    if not declared:
        dag.declared_num_states = dag.declared_num_terminal_states = None
    monkeypatch.setattr(enumeration, "MUCH", 10_000)
    with caplog.at_level(logging.WARNING, "gfn_envs.enumeration"):
        dag.enumerate()
    text = "enumerating HyperGrid: 432 states, about 0.0276 MB" if declared else "enumerating HyperGrid takes more than"
    assert sum(record.getMessage().startswith(text) for record in caplog.records) == 1
