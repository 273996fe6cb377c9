"""Sets of a fixed size, and permutations, against brute force."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfn_envs import Permutation, Set, check_dag, exact
from gfn_envs.dag import Dag
from tests.helpers import all_states

MATRIX = np.sin(np.arange(16.0)).reshape(4, 4)


def frequencies_differ(dag: Dag, draws: int = 20_000) -> float:
    """Total variation between R / Z and the frequencies of ``sample_target``."""
    index = dag.terminal_index(dag.sample_target(draws, np.random.default_rng(0)))
    counts = np.bincount(index, minlength=dag.num_terminal_states)
    return float(np.abs(counts / draws - exact.target_distribution(dag)).sum() / 2)


@pytest.mark.parametrize(("num_items", "size"), [(1, 1), (5, 2), (5, 5), (7, 3)])
def test_sets_are_combinations(num_items: int, size: int) -> None:
    dag = Set(num_items, size, temperature=0.7)
    check_dag(dag)
    expected = {c for k in range(size + 1) for c in itertools.combinations(range(num_items), k)}
    assert {tuple(np.flatnonzero(row)) for row in all_states(dag)} == expected
    objects = dag.terminal_states()
    energies = [sum(dag.energies[i] for i in np.flatnonzero(row)) for row in objects]
    np.testing.assert_allclose(dag.log_reward(objects), -np.array(energies) / 0.7, atol=1e-12)
    assert len(objects) == dag.declared_num_terminal_states == math.comb(num_items, size)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=7), st.floats(0.2, 3), st.integers(0, 100))
@settings(max_examples=15, deadline=None)
def test_log_z_of_sets(energies: list[float], temperature: float, seed: int) -> None:
    size = 1 + seed % len(energies)
    dag = Set(len(energies), size, energies, temperature)
    weights = [math.exp(-sum(c) / temperature) for c in itertools.combinations(energies, size)]
    assert dag.exact_log_z() == pytest.approx(math.log(math.fsum(weights)), abs=1e-9)


def test_samples_of_sets_and_permutations_follow_the_target() -> None:
    assert frequencies_differ(Set(7, 3, [3, -1, 0, 0.5, 2, -2, 1])) < 0.03
    assert frequencies_differ(Permutation(4)) < 0.03


def test_published_sizes_can_be_made() -> None:
    for num_items, size in ((30, 20), (80, 60), (100, 80)):
        dag = Set(num_items, size)
        check_dag(dag, max_states=50, num_walks=3)
        assert dag.declared_num_terminal_states == math.comb(num_items, size)
        assert (dag.sample_target(5, np.random.default_rng(1)).sum(1) == size).all()


@pytest.mark.parametrize("construction", ["autoregressive", "non_autoregressive"])
@pytest.mark.parametrize("reward", ["mallows", MATRIX])
def test_permutations_and_their_rewards(construction: str, reward: Any) -> None:
    dag = Permutation(4, construction, reward, temperature=0.5)
    check_dag(dag)
    objects = dag.terminal_states()
    assert sorted(map(tuple, objects.tolist())) == list(itertools.permutations(range(4)))
    weights = -np.tri(4, k=-1) if isinstance(reward, str) else MATRIX
    expected = [sum(weights[i, j] for i, j in itertools.combinations(order, 2)) / 0.5 for order in objects]
    np.testing.assert_allclose(dag.log_reward(objects), expected, atol=1e-12)
    arrangements = sum(math.perm(4, k) * (1 if dag.autoregressive else math.comb(4, k)) for k in range(5))
    assert dag.num_states == len(all_states(dag)) == arrangements


def test_log_z_of_the_mallows_model() -> None:
    for n, temperature in ((2, 1.0), (5, 0.3), (6, 4.0)):
        dag = Permutation(n, temperature=temperature)
        assert dag.exact_log_z() == pytest.approx(np.logaddexp.reduce(dag.log_reward(dag.terminal_states())))
    assert not np.isnan(Permutation(100).exact_log_z())
    with pytest.raises(NotImplementedError, match="Mallows"):
        Permutation(4, reward=MATRIX).exact_log_z()


def test_a_function_of_permutations() -> None:
    dag = Permutation(3, reward=lambda orders: 1.0 + orders[:, 0])
    check_dag(dag)
    np.testing.assert_allclose(np.exp(dag.log_reward(np.array([[2, 0, 1], [0, 1, 2]], dtype=np.int8))), [3, 1])
    assert not dag.has("partial_log_reward")
    with pytest.raises(ValueError, match="Permutation: the reward of object 1 0 2 is nan"):
        Permutation(3, reward=lambda orders: np.where(orders[:, 0] == 1, np.nan, 1.0)).log_reward(np.array([[1, 0, 2]]))


def test_labels() -> None:
    dag = Set(3, 2)
    state = dag.step(dag.source(1), np.array([2]))
    assert (dag.action_label(2), dag.render_text(state[0]), dag.render_text(dag.source(1)[0])) == ("add 2", "{2}", "{}")
    assert Permutation(3).action_label(2) == "next = 2"
    assert Permutation(3, "non_autoregressive").action_label(5) == "position 1 = 2"


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (Set, {"num_items": 3, "size": 4}, "Set: size must be an integer from 1 to 3, got 4"),
        (
            Set,
            {"num_items": 2, "size": 1, "energies": [1.0]},
            "energies must be num_items = 2 finite numbers, got shape (1,)",
        ),
        (Set, {"num_items": 2, "size": 1, "energies": [1.0, np.inf]}, "energies must be num_items = 2 finite numbers"),
        (Set, {"temperature": 0}, "Set: temperature must be finite and > 0, got 0"),
        (Permutation, {"n": 1}, "Permutation: n must be an integer from 2 to 1,000, got 1"),
        (Permutation, {"reward": "kendall"}, "reward must be 'mallows', a matrix or a callable, got 'kendall'"),
        (Permutation, {"n": 3, "reward": MATRIX}, "reward must be a finite matrix of shape (3, 3), got shape (4, 4)"),
        (Permutation, {"reward": np.sum, "temperature": 2.0}, "temperature must be 1 with a callable reward, got 2"),
    ],
)
def test_bad_arguments_raise(make: type[Dag], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**arguments)
