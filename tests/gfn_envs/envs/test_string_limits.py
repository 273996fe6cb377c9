"""Fixed positions, motifs and reverse complements, against regular expressions on all strings."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from gfn_envs import Sequence, check_dag
from gfn_envs.envs.strings.motifs import automaton_of, motifs_of
from tests.helpers import WAYS, all_states


def strings(alphabet: str, shortest: int, longest: int) -> list[str]:
    return ["".join(s) for t in range(shortest, longest + 1) for s in itertools.product(alphabet, repeat=t)]


def within(limits: dict[str, Any], string: str) -> bool:
    """Independently of the automaton: Python's regular expressions."""
    fixed = limits.get("fixed")
    pattern = re.findall(r"\[.*?\]|.", fixed or "." * len(string))[: len(string)]
    return (
        re.fullmatch("".join(pattern), string) is not None
        and not any(re.search(motif, string) for motif in limits.get("forbidden", []))
        and all(re.search(motif, string) for motif in limits.get("required", []))
    )


def names(dag: Sequence) -> list[str]:
    return dag.to_text(dag.terminal_states())


LIMITS: list[dict[str, Any]] = [
    {"forbidden": ["AA"]},
    {"forbidden": ["A.B", "BB"]},
    {"required": ["AB"]},
    {"required": ["BA", "CC"]},
    {"forbidden": ["[AB]C", "CCC"], "required": ["A[^A]"]},
    {"fixed": ".[AB].C"},
    {"fixed": "A...", "forbidden": ["CA"], "required": ["BC"]},
]


@pytest.mark.parametrize(("way", "min_length"), [*itertools.product(WAYS[:3], (None, 2)), ("fill", None)])
@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: ",".join(map(str, limits.values())))
def test_objects_are_the_strings_within_the_limits(way: str, min_length: int | None, limits: dict[str, Any]) -> None:
    dag = Sequence("ABC", 4, way, min_length=min_length, **limits)
    assert check_dag(dag).exhaustive
    expected = [s for s in strings("ABC", min_length or 4, 4) if within(limits, s)]
    assert sorted(names(dag)) == sorted(expected)
    assert dag.num_terminal_states == len(expected)
    assert dag.declared_num_states == len(all_states(dag))


@pytest.mark.parametrize("way", WAYS)
def test_states_are_those_that_some_object_contains(way: str) -> None:
    """Masks hide nothing: a state of the unlimited environment is kept if and only if it is on the way to an object."""
    limits = {"forbidden": ["AA"], "required": ["BC"]}
    free, dag = Sequence("ABC", 3, way), Sequence("ABC", 3, way, **limits)
    states = all_states(free)
    useful = free.contains(states, dag.terminal_states()).any(1)
    assert {tuple(s) for s in states[useful].tolist()} == {tuple(s) for s in all_states(dag).tolist()}


def test_counts_of_long_strings_are_exact() -> None:
    # Strings of n bits without 11: Fibonacci numbers.
    fibonacci = [1, 2]
    while len(fibonacci) <= 200:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    dag = Sequence("01", 200, forbidden="11")
    assert dag.num_terminal_states == fibonacci[200]
    assert dag.num_states == sum(fibonacci)
    assert not check_dag(dag, max_states=50, num_walks=3).exhaustive


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.text("AB.", min_size=1, max_size=3), max_size=2),
    st.lists(st.text("AB.", min_size=1, max_size=3), max_size=2),
)
def test_automata_agree_with_regular_expressions(forbidden: list[str], required: list[str]) -> None:
    groups = [[motif] for motif in motifs_of(required, "AB", "test")]
    automaton = automaton_of(2, motifs_of(forbidden, "AB", "test"), groups, "test")
    for string in strings("AB", 0, 5):
        state = 0
        for letter in string:
            state = automaton.step[state, "AB".index(letter)]
        assert automaton.accept[state] == within({"forbidden": forbidden, "required": required}, string), string


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(WAYS),
    st.lists(st.text("AB.", min_size=1, max_size=3), max_size=2),
    st.lists(st.text("AB.", min_size=1, max_size=3), max_size=2),
    st.text("AB..", min_size=4, max_size=4),
)
def test_any_limits(way: str, forbidden: list[str], required: list[str], fixed: str) -> None:
    limits = {"forbidden": forbidden, "required": required, "fixed": fixed}
    expected = [s for s in strings("AB", 4, 4) if within(limits, s)]
    if expected:
        dag = Sequence("AB", 4, way, **limits)
        assert check_dag(dag).exhaustive
        assert sorted(names(dag)) == expected
    else:
        with pytest.raises(ValueError, match="no string satisfies"):
            Sequence("AB", 4, way, **limits)


def test_ambiguity_codes_of_nucleotides() -> None:
    assert names(Sequence("ACGT", 2, fixed="RY")) == ["AC", "AT", "GC", "GT"]
    assert names(Sequence("ACGU", 2, fixed="BU")) == ["CU", "GU", "UU"]
    with pytest.raises(ValueError, match="'NA' has 'N'"):
        Sequence("AB", 2, fixed="NA")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forbidden": "AX"}, r"Sequence: forbidden: 'AX' has 'X'; allowed: letters of 'AB', '\.' for any"),
        ({"forbidden": "A,,B"}, "a motif is empty"),
        ({"required": "[]"}, "has '\\[\\]'"),
        ({"fixed": "A."}, "fixed must have 3 positions, got 2: 'A.'"),
        ({"fixed": ["A"]}, "fixed must be a text"),
        ({"fixed": "AA.", "forbidden": ["AA"]}, "no string satisfies fixed, forbidden and required together"),
        ({"required": "ABAB"}, "no string satisfies"),
        ({"forbidden": [1]}, "a motif must be a text, got 1"),
        ({"forbidden": {"AA"}}, "has no order"),
        ({"reverse_complement": 1}, "reverse_complement must be True or False"),
        ({"reverse_complement": True}, "reverse_complement needs an alphabet of pairing nucleotides"),
        (
            {"alphabet": "ACGT", "reverse_complement": True, "fixed": "A.."},
            "fixed .*and reverse_complement exclude",
        ),
        ({"alphabet": "ACGT", "reverse_complement": True, "construction": "fill"}, "does not support .* 'fill'"),
        ({"alphabet": ["one", "two"], "forbidden": "o"}, "needs letters of one character"),
    ],
)
def test_wrong_limits_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Sequence(**{"alphabet": "AB", "length": 3, **arguments})


def test_strings_outside_the_limits_raise() -> None:
    dag = Sequence("ABC", 3, forbidden=["AB"])
    assert dag.to_text(dag.from_text(["BAC"])) == ["BAC"]
    with pytest.raises(ValueError, match="'CAB' violates fixed, forbidden or required"):
        dag.from_text(["BAC", "CAB"])


# ---------------------------------------------------------------------- reverse complements


def other_strand(string: str) -> str:
    return string.translate(str.maketrans("ACGT", "TGCA"))[::-1]


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("min_length", [None, 1])
def test_both_strands_are_one_object(way: str, min_length: int | None) -> None:
    dag = Sequence("ACGT", 3, way, min_length=min_length, reverse_complement=True, reward_of="string", reward=len)
    assert check_dag(dag).exhaustive
    expected = {min(s, other_strand(s)) for s in strings("ACGT", min_length or 3, 3)}
    found = names(dag)
    assert len(found) == len(set(found)) == dag.num_terminal_states
    assert set(found) == expected
    np.testing.assert_array_equal(dag.from_text([other_strand(name) for name in found]), dag.terminal_states())


def test_distances_are_those_of_the_nearer_strands() -> None:
    dag = Sequence("ACGT", 5, min_length=3, reverse_complement=True)
    some, others = ["AAACC", "ACG"], ["GGTTT", "GGTT", "ACG"]  # GGTTT is the other strand of AAACC
    expected = [
        [min(Levenshtein.distance(a, b), Levenshtein.distance(a, other_strand(b))) for b in others] for a in some
    ]
    assert expected[0][0] == 0
    np.testing.assert_array_equal(dag.distance(dag.from_text(some), dag.from_text(others)), expected)


def test_motifs_are_looked_for_on_both_strands() -> None:
    dag = Sequence("ACGT", 4, reverse_complement=True, forbidden=["GA"], required=["CC"])
    assert check_dag(dag).exhaustive
    both = {s for s in strings("ACGT", 4, 4) if all("GA" not in x for x in (s, other_strand(s)))}
    assert set(names(dag)) == {min(s, other_strand(s)) for s in both if "CC" in s or "CC" in other_strand(s)}


def test_tables_of_strands() -> None:
    one = {s: 1.0 + i for i, s in enumerate(sorted({min(s, other_strand(s)) for s in strings("ACGT", 2, 2)}))}
    both = {s: one[min(s, other_strand(s))] for s in strings("ACGT", 2, 2)}
    for table in (one, {other_strand(s): v for s, v in one.items()}, both):
        dag = Sequence("ACGT", 2, reward=table, reverse_complement=True, mode_fraction=0.3)
        objects = dag.terminal_states()
        found = dict(zip(dag.to_text(objects), np.exp(dag.log_reward(objects)), strict=True))
        assert found == pytest.approx(one)
        modes = [name for name, mode in zip(dag.to_text(objects), dag.mode_index(objects), strict=True) if mode >= 0]
        assert set(modes) == {name for name, value in one.items() if value > 7}
    with pytest.raises(ValueError, match=r"'AA' and its reverse complement have two values, 1\.0 and 2\.0"):
        Sequence("ACGT", 2, reward={**both, "AA": 1.0, "TT": 2.0}, reverse_complement=True)
