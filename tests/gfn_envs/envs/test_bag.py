"""Bag against its definition: states, rewards and modes, against explicit values and plain Python."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs import Bag
from tests.helpers import all_states

SMALL_BAGS = [(3, 4, 2), (3, 4, 4), (2, 5, 3), (4, 6, 4), (7, 4, 3)]


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), SMALL_BAGS)
def test_bags_are_multisets(num_letters: int, capacity: int, repeats: int) -> None:
    dag = Bag(num_letters, capacity, repeats)
    letters = dag.letters
    expected = {
        "".join(bag) for size in range(capacity + 1) for bag in itertools.combinations_with_replacement(letters, size)
    }
    assert {dag.render_text(state).replace("(empty)", "") for state in all_states(dag)} == expected
    assert dag.num_states == len(expected)
    assert dag.num_terminal_states == sum(len(bag) == capacity for bag in expected)


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), SMALL_BAGS)
def test_bag_rewards_of_every_object(num_letters: int, capacity: int, repeats: int) -> None:
    dag = Bag(num_letters, capacity, repeats, rewards=(5.0, 3.0, 0.25))
    modes = {dag.render_text(mode) for mode in dag.modes}
    expected = []
    for bag in map(dag.render_text, dag.terminal_states()):
        largest = max(Counter(bag).values())
        expected.append(5.0 if bag in modes else 3.0 if largest >= repeats else 0.25)
    np.testing.assert_allclose(np.exp(dag.log_reward(dag.terminal_states())), expected, rtol=1e-14)
    assert expected.count(5.0) == dag.num_modes


@pytest.mark.parametrize(("num_letters", "capacity", "repeats"), [*SMALL_BAGS, (7, 13, 7), (5, 9, 5)])
def test_generated_modes_follow_the_published_rule(num_letters: int, capacity: int, repeats: int) -> None:
    """Each mode has exactly ``repeats`` copies of a letter, whose modes come from at most a quarter of its fillers."""
    dag = Bag(num_letters, capacity, repeats)
    assert (dag.modes.sum(1) == capacity).all()
    assert (dag.modes == repeats).any(1).all()
    assert len(np.unique(dag.modes, axis=0)) == dag.num_modes
    quarter = max(1, (num_letters - 1) ** (capacity - repeats) // 4)
    for letter in range(num_letters):
        assert (dag.modes[:, letter] == repeats).sum() >= 1
    assert dag.num_modes <= num_letters * quarter


def test_fillers_of_the_right_number_are_chosen() -> None:
    # One place to fill with 4 other letters: a quarter of 4 gives one mode for each of the 5 letters.
    assert Bag(5, 4, 3).num_modes == 5
    # 2 other letters: fewer than four fillers still give one mode for each letter.
    assert Bag(3, 4, 3).num_modes == 3
    # No place to fill: each mode is one letter, repeated.
    assert sorted(Bag(3, 4, 4).modes.tolist()) == [[0, 0, 4], [0, 4, 0], [4, 0, 0]]


def test_the_seed_decides_the_modes() -> None:
    np.testing.assert_array_equal(Bag(seed=5).modes, Bag(seed=5).modes)
    assert not np.array_equal(Bag(seed=5).modes, Bag(seed=6).modes)


def test_default_bag_by_hand() -> None:
    dag = Bag()
    assert (dag.num_letters, dag.capacity, dag.num_states, dag.num_terminal_states) == (7, 13, 77_520, 27_132)
    mode = dag.modes[:1]
    states = np.array([[13, 0, 0, 0, 0, 0, 0], [6, 7, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2, 1]], dtype=np.int16)
    assert dag.mode_index(states)[[0, 2]].tolist() == [-1, -1]
    np.testing.assert_allclose(np.exp(dag.log_reward(states[[0, 2]])), [10.0, 0.01])
    np.testing.assert_allclose(np.exp(dag.log_reward(mode)), [30.0])
    np.testing.assert_array_equal(dag.mode_index(dag.modes), np.arange(dag.num_modes))
    np.testing.assert_array_equal(
        dag.encode(states), [[13, *[0] * 6, 13, 1], [6, 7, *[0] * 5, 7, 1], [*[2] * 6, 1, 2, 0]]
    )
    assert dag.render_text(states[1]) == "AAAAAABBBBBBB"
    assert (dag.render_text(dag.source(1)[0]), dag.action_label(6)) == ("(empty)", "add G")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
def test_modes_from_a_file(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "modes.txt"
    path.write_bytes(newline.join(["AABC", "CABA", "BBBB", "CCCA"]).encode())
    for modes in (path, str(path)):
        dag = Bag(3, 4, 3, modes=modes)
        assert sorted(dag.modes.tolist()) == [[0, 4, 0], [1, 0, 3], [2, 1, 1]]
        objects = np.array([[2, 1, 1], [0, 4, 0], [1, 0, 3], [1, 3, 0], [2, 2, 0]], dtype=np.int16)
        np.testing.assert_allclose(np.exp(dag.log_reward(objects)), [30, 30, 30, 10, 0.01])
        assert (dag.mode_index(objects) >= 0).tolist() == [True, True, True, False, False]
        assert dag.num_modes == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("AABC\nAAB\n", "line 2: 'AAB' is not 4 letters of ABC"),
        ("AABC\nBBBB\nAABCA\n", "line 3: 'AABCA' is not 4 letters of ABC"),
        ("AABD\n", "line 1: 'AABD' is not 4 letters of ABC"),
        ("aabc\n", "line 1: 'aabc' is not 4 letters of ABC"),
        ("AAB\u00c4\n", "line 1: "),
        ("", "holds no modes"),
        ("\n \n", "holds no modes"),
    ],
)
def test_bad_files_of_modes_name_the_entry(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "modes.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"modes\.txt") as caught:
        Bag(3, 4, 3, modes=path)
    assert message in str(caught.value)


def test_a_missing_file_of_modes_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Bag(3, 4, 3, modes=tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_letters": 1}, "Bag: num_letters must be an integer from 2 to 26, got 1"),
        ({"num_letters": 27}, "num_letters must be an integer from 2 to 26, got 27"),
        ({"capacity": 0}, "Bag: capacity must be an integer from 1 to 1,000,000, got 0"),
        ({"repeats": 0}, "Bag: repeats must be an integer from 1 to 13, got 0"),
        ({"repeats": 14}, "repeats must be an integer from 1 to 13, got 14"),
        ({"rewards": (1.0, 2.0)}, "rewards must be three finite numbers > 0, got (1.0, 2.0)"),
        ({"rewards": (1.0, 2.0, 0.0)}, "rewards must be three finite numbers > 0, got (1.0, 2.0, 0.0)"),
        ({"rewards": (1.0, np.inf, 1.0)}, "rewards must be three finite numbers > 0, got (1.0, inf, 1.0)"),
        ({"num_letters": 26, "capacity": 26}, "25^19 fillers are too many to generate modes from"),
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Bag(**arguments)


@pytest.mark.parametrize(("capacity", "repeats"), [(32766, 32766), (40000, 40000), (100000, 99990)])
def test_bags_of_more_letters_than_fit_in_16_bits(capacity: int, repeats: int) -> None:
    dag = Bag(2, capacity, repeats)
    modes = dag.modes
    assert sorted(modes[:, :2].tolist()) == [[capacity - repeats, repeats], [repeats, capacity - repeats]]
