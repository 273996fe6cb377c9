"""Strings and the four ways to build them, compared with plain Python strings."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs import Sequence, check_dag, exact
from tests.helpers import WAYS, all_states

SIZES = [("AB", 4), ("ABC", 3), ("ABCD", 2), ("AB", 1)]
every_way = pytest.mark.parametrize("way", WAYS)
every_size = pytest.mark.parametrize(("alphabet", "length"), SIZES)


def text(dag: Sequence, state: np.ndarray) -> str:
    """A state as text of constant length, with "." for empty positions."""
    return "".join([*dag.letters, "."][token] for token in state[:-1].tolist())


def moves(way: str, state: str, alphabet: str) -> Iterator[tuple[int, str, int]]:
    """(action, child, backward action) of every edge out of ``state``, in plain Python."""
    q, length = len(alphabet), len(state)
    string = state.rstrip(".")
    if way == "fill":
        for slot in (i for i, letter in enumerate(state) if letter == "."):
            for i, letter in enumerate(alphabet):
                yield slot * q + i, state[:slot] + letter + state[slot + 1 :], slot
        return
    if len(string) == length:
        return
    for i, letter in enumerate(alphabet):
        grown = {
            "append": [(i, string + letter, 0)],
            "prepend_append": [(i, letter + string, 0), (q + i, string + letter, 1)],
            "insert": [(p * q + i, string[:p] + letter + string[p:], p) for p in range(len(string) + 1)],
        }[way]
        for action, child, back in grown:
            yield action, child.ljust(length, "."), back


@every_way
@every_size
def test_edges_are_those_of_plain_strings(way: str, alphabet: str, length: int) -> None:
    dag = Sequence(alphabet, length, way)
    states = all_states(dag)
    row, children, actions = dag.children(states)
    back = dag.backward_action(states[row], actions)
    found = Counter(
        (text(dag, states[r]), int(a), text(dag, c), int(b))
        for r, c, a, b in zip(row, children, actions, back, strict=True)
    )
    names = [text(dag, state) for state in states]
    assert found == Counter((s, a, c, b) for s in names for a, c, b in moves(way, s, alphabet))
    row, parents, actions = dag.parents(states)
    into = Counter((text(dag, p), int(a), names[r]) for r, p, a in zip(row, parents, actions, strict=True))
    assert into == Counter((s, a, c) for s, a, c, _ in found)


@every_way
@every_size
@pytest.mark.parametrize("min_length", [None, 1, 2])
def test_every_construction_is_well_formed(way: str, alphabet: str, length: int, min_length: int | None) -> None:
    if min_length is not None and (way == "fill" or min_length > length):
        return
    dag = Sequence(alphabet, length, way, min_length=min_length)
    assert check_dag(dag).exhaustive


def test_strings_with_equal_neighbors_are_reached_by_several_edges() -> None:
    def parents(way: str, string: str) -> list[tuple[str, int]]:
        dag = Sequence("AB", 3, way)
        state = dag.source(1)
        state[0, : len(string)], state[0, -1] = ["AB".index(letter) for letter in string], len(string)
        _, rows, actions = dag.parents(state)
        return sorted((text(dag, row), int(action)) for row, action in zip(rows, actions, strict=True))

    assert parents("prepend_append", "AA") == [("A..", 0), ("A..", 2)]
    assert parents("prepend_append", "A") == [("...", 0), ("...", 2)]
    assert parents("prepend_append", "AB") == [("A..", 3), ("B..", 0)]
    assert parents("insert", "AAA") == [("AA.", 0), ("AA.", 2), ("AA.", 4)]
    assert parents("insert", "AAB") == [("AA.", 5), ("AB.", 0), ("AB.", 2)]
    assert parents("append", "AAA") == [("AA.", 0)]


def test_stops() -> None:
    dag = Sequence("AB", 3, "prepend_append", min_length=2)
    states = dag.source(1)
    assert dag.forward_mask(states)[0].tolist() == [True] * 4 + [False]
    states = dag.step(dag.step(states, np.array([1])), np.array([0]))  # AB
    assert dag.forward_mask(states)[0].tolist() == [True] * 5
    stopped = dag.step(states, np.array([4]))
    assert (dag.is_terminal(stopped), dag.to_text(stopped)) == ([True], ["AB"])
    full = dag.step(states, np.array([2]))
    assert (dag.is_terminal(full), dag.to_text(full)) == ([False], ["ABA"])
    assert dag.forward_mask(full)[0].tolist() == [False] * 4 + [True]
    assert dag.backward_mask(stopped)[0].tolist() == [False, False, True]


@every_way
@pytest.mark.parametrize(("alphabet", "length", "min_length"), [("AB", 4, None), ("ABC", 3, None), ("AB", 4, 2)])
def test_contains_is_reachability(way: str, alphabet: str, length: int, min_length: int | None) -> None:
    if way == "fill" and min_length is not None:
        return
    dag = Sequence(alphabet, length, way, min_length=min_length)
    states, objects = all_states(dag), dag.terminal_states()
    reach = np.eye(len(states), dtype=bool)
    row, children, _ = dag.children(states)
    target = dag.state_index(children)
    for source, child in reversed(list(zip(row, target, strict=True))):  # levels() is a topological order
        reach[source] |= reach[child]
    np.testing.assert_array_equal(dag.contains(states, objects), reach[:, dag.state_index(objects)])


def test_substrings_of_strings_too_long_to_be_numbers() -> None:
    """Both comparisons, letter by letter and as integers, agree with Python's."""
    rng = np.random.default_rng(0)
    for length in (8, 40):
        dag = Sequence("AB", length, "prepend_append")
        objects = dag.source(30)
        objects[:, :-1], objects[:, -1] = rng.integers(2, size=(30, length)), length
        states = dag.source(length)
        for k, state in enumerate(states):
            state[:k], state[-1] = objects[rng.integers(30), 3 * k % (length - k + 1) :][:k], k
        strings, parts = dag.to_text(objects), dag.to_text(states)
        expected = [[part in string for string in strings] for part in parts]
        assert dag.contains(states, objects).tolist() == expected
        assert dag._build._contains_letters(states[:, :-1], objects[:, :-1]).tolist() == expected


@every_way
def test_the_optimal_policy_samples_the_target(way: str) -> None:
    """Flows through parallel edges add up."""
    values = np.random.default_rng(0).uniform(0.1, 2.0, size=27)
    dag = Sequence("ABC", 3, way, reward=values.tolist())
    policy = exact.table_policy(dag, np.exp(exact.optimal_edge_log_probabilities(dag)))
    order = dag.string_index(dag.terminal_states())
    np.testing.assert_allclose(exact.terminal_distribution(dag, policy), (values / values.sum())[order], rtol=1e-12)
    assert np.isclose(exact.log_flows(dag)[0], np.log(values.sum()))


@every_way
def test_tokens_and_features(way: str) -> None:
    dag = Sequence("ABC", 3, way)
    states = all_states(dag)
    tokens = dag.tokens(states)
    assert (tokens.dtype, tokens.shape) == (np.int64, (len(states), dag.num_positions))
    assert (tokens.min(), tokens.max(), dag.num_tokens) == (0, 3, 4)
    features = dag.encode(states).reshape(len(states), 3, 3)
    np.testing.assert_array_equal(features, tokens[:, :, None] == np.arange(3))


# ---------------------------------------------------------------------- rewards


def strings(alphabet: str, shortest: int, longest: int) -> list[str]:
    return ["".join(s) for t in range(shortest, longest + 1) for s in itertools.product(alphabet, repeat=t)]


@pytest.mark.parametrize(("way", "min_length"), [("fill", None), *itertools.product(WAYS[:3], (None, 1, 2))])
def test_every_form_of_reward_agrees(way: str, min_length: int | None, tmp_path: Path) -> None:
    names = strings("ACG", min_length or 3, 3)
    value = {name: 1.0 + i / 7 for i, name in enumerate(names)}
    shuffled = dict(sorted(value.items(), key=lambda item: hash(item[1])))
    (tmp_path / "table.tsv").write_text("string\tvalue\n" + "".join(f"{s}\t{v!r}\n" for s, v in shuffled.items()))
    (tmp_path / "table.csv").write_text("".join(f"{s}, {v!r}\n" for s, v in shuffled.items()))

    def call(tokens: np.ndarray) -> np.ndarray:
        return np.array([value["".join("ACG"[t] for t in row if t < 3)] for row in tokens.tolist()])

    rewards = [call, shuffled, list(value.values()), tmp_path / "table.tsv", str(tmp_path / "table.csv")]
    for reward in rewards:
        dag = Sequence("ACG", 3, way, reward, exponent=2.0, floor=1.5, min_length=min_length, mode_fraction=0.25)
        objects = dag.terminal_states()
        expected = np.array([max(value[name], 1.5) ** 2 for name in dag.to_text(objects)])
        np.testing.assert_allclose(np.exp(dag.log_reward(objects)), expected, rtol=1e-12)
        found = {name for name, i in zip(dag.to_text(objects), dag.mode_index(objects), strict=True) if i >= 0}
        assert found == set(names[-dag.num_modes :])
        assert dag.num_modes == -(-len(names) // 4)
        np.testing.assert_array_equal(dag.from_text(dag.to_text(objects)), objects)
        assert [names[i] for i in dag.string_index(objects)] == dag.to_text(objects)


@pytest.mark.parametrize(("value", "reward"), [(1e3, "inf"), (1e-3, "0.0")])
def test_rewards_that_overflow_or_underflow_raise(value: float, reward: str) -> None:
    dag = Sequence("AB", 2, reward=[value, 1.0, 1.0, 1.0], exponent=200)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=f"'AA' is {reward}; allowed: finite, > 0"):
        dag.log_reward(dag.terminal_states())


def test_ties_with_the_last_mode_are_modes() -> None:
    dag = Sequence("AB", 2, reward=[1.0, 2.0, 2.0, 2.0], mode_fraction=0.25)
    assert dag.num_modes == 3


def test_no_reward_is_uniform() -> None:
    dag = Sequence("AB", 3)
    np.testing.assert_array_equal(dag.log_reward(dag.terminal_states()), np.zeros(8))
    assert dag.num_modes is None


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ([1.0, 2.0, 3.0], r"one value for each of 4 strings, got shape \(3,\)"),
        ([1.0, 2.0, 3.0, np.nan], "the value of 'BB' in the table is nan"),
        ([1.0, 0.0, 3.0, 4.0], r"the reward of 'AB' is 0\.0; allowed: finite, > 0"),
        ([1.0, -2.0, 3.0, 4.0], r"the reward of 'AB' is -2\.0"),
        ({"AA": 1.0, "AB": 2.0}, r"has 'BA' 0 times \(2 are missing, 0 repeated\)"),
        ({"AA": 1.0, "AB": 2.0, "BA": 1.0, "BC": 1.0}, "'BC' is not a string of 2 letters of 'AB'"),
        ({"AA": 1.0, "AB": 2.0, "BA": 1.0, "B": 1.0}, "'B' is not a string of 2"),
        ({"AA": 1.0, "AB": 2.0, "BA": 1.0, "": 1.0}, "'' is not a string of 2"),
        (lambda tokens: -np.ones(len(tokens)), r"the reward of object AA is -1\.0"),
        (lambda tokens: np.ones((len(tokens), 1)), "rewards must have shape"),
    ],
)
def test_bad_rewards_raise(reward: Any, message: str) -> None:
    def log_reward() -> np.ndarray:
        dag = Sequence("AB", 2, reward=reward, exponent=2.0)
        return dag.log_reward(dag.from_text(["AA", "AB"]))

    with pytest.raises(ValueError, match=message):
        log_reward()


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xef\xbb\xbfAA,1\nAB,2\nBA,3\nBB,4\n")
    assert Sequence("AB", 2, reward=path).reward_table.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes(b"AA 1\nAB 2\nBA 3\nBB \xff\n")
    with pytest.raises(ValueError, match=f"^Sequence: {path}, line 4: byte 0xff is not UTF-8; save the file as UTF-8$"):
        assert Sequence("AB", 2, reward=path).reward_table
    for given, kind in [(tmp_path / "none.txt", FileNotFoundError), (tmp_path, IsADirectoryError)]:
        with pytest.raises(kind, match=str(given)):
            assert Sequence("AB", 2, reward=given).reward_table


def test_bad_files_raise(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    for content, message in [
        ("AA 1\nAB 2\nBA 3\n", "has 'BB' 0 times"),
        ("AA 1\nAB 2\nAB 3\nBB 3\n", "has 'AB' 2 times|has 'BA' 0 times"),
        ("AA 1\nAB two\n", r"table\.txt, line 2: expected a string and a number, got 'AB two'"),
        ("AA 1\nAB 2 3\n", "line 2"),
        ("", "has 'AA' 0 times"),
    ]:
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            assert Sequence("AB", 2, reward=path).reward_table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alphabet": "A"}, "at least two different letters"),
        ({"alphabet": "ABA"}, "at least two different letters"),
        ({"alphabet": ["A", ""]}, "at least two different letters"),
        ({"length": 0}, "length must be an integer >= 1"),
        ({"construction": "prepend"}, "construction must be one of"),
        ({"min_length": 9}, "min_length must be at most length"),
        ({"min_length": 1, "construction": "fill"}, "None if construction is 'fill'"),
        ({"exponent": 0}, "exponent must be finite and > 0"),
        ({"floor": -1.0}, "floor must be finite and > 0"),
        ({"mode_fraction": 0.0}, r"mode_fraction must be in \(0, 1\]"),
    ],
)
def test_bad_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sequence(**arguments)


def test_long_strings_need_no_table() -> None:
    dag = Sequence("ACDEFGHIKLMNPQRSTVWY", 60, reward=lambda tokens: 1.0 + (tokens == 0).sum(1), min_length=50)
    assert not check_dag(dag, max_states=100, num_walks=20).exhaustive
    with pytest.raises(ValueError, match="too many strings to number them"):
        dag.string_index(dag.source(1))
    with pytest.raises(ValueError, match="too many for a table"):
        Sequence("ACGT", 60, reward=[1.0]).log_reward(dag.source(1)[:, :61])
