"""Rows as keys, one-hot tables, and checks of rewards and integers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gfn_envs.arrays import one_hot_table, row_keys, unique_rows
from gfn_envs.validation import checked_log_reward, positive_int


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
