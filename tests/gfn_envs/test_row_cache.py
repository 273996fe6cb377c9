"""RowCache: one evaluation per distinct row, a bounded number of values, copies without them."""

from __future__ import annotations

import copy

import numpy as np

from gfn_envs.row_cache import RowCache

asked: list[int] = []


def score(rows: np.ndarray) -> np.ndarray:
    asked.append(len(rows))
    return rows.sum(1) / 7.0


def test_each_row_is_scored_once_until_it_is_the_oldest_of_too_many() -> None:
    asked.clear()
    cache, rows = RowCache(score, np.uint8, max_rows=4), np.array([[1, 2], [3, 4], [1, 2], [1, 2]])
    np.testing.assert_array_equal(cache(rows), rows.sum(1) / 7.0)
    np.testing.assert_array_equal(cache(rows[::-1]), rows[::-1].sum(1) / 7.0)
    assert asked == [2]
    more = np.array([[1, 2], [9, 9], [8, 8], [7, 7]])  # five rows in all: the first is dropped afterwards
    np.testing.assert_array_equal(cache(more), more.sum(1) / 7.0)
    np.testing.assert_array_equal(cache(rows), rows.sum(1) / 7.0)
    assert asked == [2, 3, 1]
    assert cache(np.zeros((0, 2), dtype=int)).shape == (0,)


def test_more_rows_than_are_kept_are_scored_in_one_call() -> None:
    asked.clear()
    rows = np.arange(6).reshape(6, 1)
    np.testing.assert_array_equal(RowCache(score, max_rows=2)(rows), np.arange(6) / 7.0)
    assert asked == [6]


def test_copies_start_empty() -> None:
    asked.clear()
    cache, rows = RowCache(score), np.array([[1, 2]])
    cache(rows)
    again = copy.deepcopy(cache)
    np.testing.assert_array_equal(again(rows), cache(rows))
    assert asked == [1, 1]
