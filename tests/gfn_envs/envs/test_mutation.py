"""Mutation: variants by brute force, motifs, tables of mutations, FASTA files."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio import SeqIO

from gfn_envs import GFP, Mutation, check_dag, exact
from gfn_envs.fasta_files import read_fasta
from tests.helpers import all_states


def variants(wild: str, alphabet: str, most: int) -> list[str]:
    each = itertools.product(alphabet, repeat=len(wild))
    return ["".join(s) for s in each if sum(a != b for a, b in zip(s, wild, strict=True)) <= most]


CASES: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda s: True),
    ({"positions": [2, 4]}, lambda s: s[0] == "A" and s[2] == "C"),
    ({"positions": "2-3"}, lambda s: s[0] == "A" and s[3] == "A"),
    ({"letters": "AC"}, lambda s: all(a in "AC" or a == b for a, b in zip(s, "ABCA", strict=True))),
    ({"letters": {1: "B", 3: "AB"}}, lambda s: s[0] in "AB" and s[1] + s[3] == "BA" and s[2] in "ABC"),
    ({"forbidden": ["BC"]}, lambda s: "BC" not in s),
    ({"forbidden": "B.A,CC"}, lambda s: not re.search("B.A|CC", s)),
    ({"required": ["C.C"]}, lambda s: re.search("C.C", s)),
    ({"required": "BB", "positions": [1, 2, 3]}, lambda s: re.search("^.?BB.?A$", s)),
]


@pytest.mark.parametrize("max_mutations", [1, 2])
@pytest.mark.parametrize(("arguments", "allowed"), CASES, ids=[str(case[0]) for case in CASES])
def test_objects_are_all_variants_within_limits(max_mutations: int, arguments: dict[str, Any], allowed: Any) -> None:
    expected = [s for s in variants("ABCA", "ABC", max_mutations) if allowed(s)]
    make = {"wild_type": "ABCA", "alphabet": "ABC", "max_mutations": max_mutations, **arguments}
    if not expected:
        with pytest.raises(ValueError, match="no variant with at most 1 mutations has the required"):
            Mutation(**make)
        return
    dag = Mutation(**make)
    assert check_dag(dag).exhaustive
    assert sorted(dag.to_text(dag.terminal_states())) == sorted(expected)
    assert dag.num_terminal_states == len(expected)
    assert dag.declared_num_states == len(all_states(dag))


def test_motifs_hide_no_state() -> None:
    free = Mutation("ABCA", 2, alphabet="ABC")
    dag = Mutation("ABCA", 2, alphabet="ABC", forbidden="CA", required="AB")
    states = all_states(free)
    useful = free.contains(states, dag.terminal_states()).any(1)
    assert {tuple(s) for s in states[useful].tolist()} == {tuple(s) for s in all_states(dag).tolist()}


def test_counts_of_long_proteins() -> None:
    wild = "MKV" * 50
    dag = Mutation(wild, 3)
    assert dag.num_terminal_states == 1 + 150 * 19 + 150 * 149 // 2 * 19**2 + 150 * 149 * 148 // 6 * 19**3
    # Without W: 18 letters besides the wild type's.
    dag = Mutation(wild, 2, forbidden="W")
    assert dag.num_terminal_states == 1 + 150 * 18 + 150 * 149 // 2 * 18**2
    assert not check_dag(dag, max_states=20, num_walks=2).exhaustive


def test_rewards_are_those_of_whole_sequences(tmp_path: Path) -> None:
    """Functions, mappings, files of sequences and of mutations."""
    value = {s: 1.0 + i / 7 for i, s in enumerate(variants("ABCA", "ABC", 2)) if s[0] == "A"}
    arguments = {"wild_type": "ABCA", "alphabet": "ABC", "positions": "2-4", "exponent": 2.0}

    def as_mutations(s: str) -> str:
        changed = [f"{a}{i}{b}" for i, (a, b) in enumerate(zip("ABCA", s, strict=True), 1) if a != b]
        return ":".join(changed) or "WT"

    lines = [f"{as_mutations(s)},{v!r}\n" for s, v in value.items()]
    (tmp_path / "mutants.csv").write_text("mutant,score\n" + "".join(lines))
    rewards: list[dict[str, Any]] = [
        {"reward": value},
        {"reward": {as_mutations(s): v for s, v in value.items()}},
        {"reward": tmp_path / "mutants.csv"},
        {"reward": lambda s: value[s], "reward_of": "string"},
        {"reward": lambda strings: [value[s] for s in strings], "reward_of": "strings"},
        {"reward": lambda tokens: [value["".join("ABC"[t] for t in row)] for row in tokens]},
    ]
    for reward in rewards:
        dag = Mutation(**arguments, **reward)
        objects = dag.terminal_states()
        expected = [value[name] ** 2 for name in dag.object_names(objects)]
        np.testing.assert_allclose(np.exp(dag.log_reward(objects)), expected, rtol=1e-12)
        for names in (dag.object_names(objects), dag.mutations(objects)):
            np.testing.assert_array_equal(dag.from_text(names), objects)
        assert [as_mutations(s) for s in dag.object_names(objects)] == [m.upper() for m in dag.mutations(objects)]


def test_a_model_of_measured_variants() -> None:
    names = variants("VDGV", "ACDEFGHIKLMNPQRSTVWY", 2)
    value = {s: 1.0 + 0.3 * s.count("A") - 0.1 * (s[0] == "C") for s in names}
    chosen = np.random.default_rng(0).permutation(len(names))[:400]
    dag = Mutation(reward={names[i]: value[names[i]] for i in chosen}, missing="ridge", floor=1e-3)
    assert dag.cross_validation.strings == 400
    assert dag.cross_validation.r2 > 0.95
    # The effects are additive, so that a linear model predicts variants that were not measured.
    objects = dag.terminal_states()
    np.testing.assert_allclose(np.exp(dag.log_reward(objects)), [value[s] for s in dag.to_text(objects)], atol=0.1)
    policy = exact.table_policy(dag, np.exp(exact.optimal_edge_log_probabilities(dag)))
    target = np.exp(dag.log_reward(dag.terminal_states()))
    np.testing.assert_allclose(exact.terminal_distribution(dag, policy), target / target.sum(), rtol=1e-9)


def test_gfp_is_one_case() -> None:
    dag = GFP(max_mutations=2, positions="64-66", letters={64: "TLC", 66: "AS"}, forbidden=["CC"])
    assert isinstance(dag, Mutation)
    assert check_dag(dag).exhaustive
    wild = dag.wild_sequence
    settings: dict[str, Any] = {"floor": 1e-3, "exponent": 3.0, "reward": dag.values, "forbidden": ["CC"]}
    same = Mutation(wild, 2, "64-66", {64: "TLC", 66: "AS"}, 0, **settings)
    objects = dag.terminal_states()
    np.testing.assert_array_equal(same.terminal_states(), objects)
    np.testing.assert_array_equal(same.log_reward(objects), dag.log_reward(objects))
    whole = GFP(max_mutations=2)
    np.testing.assert_array_equal(whole.log_reward(whole.from_text(dag.to_text(objects))), dag.log_reward(objects))
    with pytest.raises(ValueError, match="GFP: positions is for construction 'mutate', got '64-66'"):
        GFP("append", positions="64-66")


def test_arguments_survive_json() -> None:
    """Saved runs hold them."""
    limits: dict[str, Any] = {"letters": {39: "AC", 41: "KR"}, "first_position": 39, "forbidden": ["CDK"]}
    dag = Mutation(reward={"wt": 2.0}, missing=1, **limits)
    again = Mutation(**json.loads(json.dumps(dag.arguments)))
    np.testing.assert_array_equal(again.terminal_states(), dag.terminal_states())
    np.testing.assert_array_equal(again.log_reward(dag.terminal_states()), dag.log_reward(dag.terminal_states()))


def test_labels_have_the_user_s_numbers() -> None:
    dag = Mutation("VDGV", 2, first_position=39)
    assert (dag.action_label(0), dag.action_label(79), dag.action_label(80)) == ("V39A", "V42Y", "stop")
    assert dag.mutations(dag.from_text(["VDGV", "ADGA", "D40A:V39C"])) == ["wt", "V39A:V42A", "V39C:D40A"]
    assert dag.render_text(dag.from_text(["ADGV"])[0]) == "V39A stopped"


FASTA = ">first a protein\nMKV\nLAW\n;comment\n\n>second\nAC DE\n"


def test_fasta_agrees_with_biopython(tmp_path: Path) -> None:
    path = tmp_path / "two.fasta"
    path.write_text(FASTA.replace(";comment\n", ""))
    assert read_fasta(path) == {record.id: str(record.seq) for record in SeqIO.parse(path, "fasta")}
    path.write_text(FASTA)
    assert read_fasta(path) == {"first": "MKVLAW", "second": "ACDE"}
    one = tmp_path / "one.fa"
    one.write_text(">wild type\nMKV\nLAW\n")
    dag = Mutation(str(one), 1)
    assert dag.wild_sequence == "MKVLAW"
    assert dag.arguments["wild_type"] == "MKVLAW"
    with pytest.raises(ValueError, match=r"wild_type: .*two\.fasta must have one sequence, got 2"):
        Mutation(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MKV\n", r"bad\.fasta, line 1: a FASTA file must begin with '>', got 'MKV'"),
        (">a\nM\n>a\nK\n", "line 3: a second sequence is named 'a'"),
        (">a\n>b\nK\n", "the sequence 'a' is empty"),
        ("", "has no sequence"),
    ],
)
def test_bad_fasta_files_raise(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.fasta").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_fasta(tmp_path / "bad.fasta")
    with pytest.raises(FileNotFoundError, match=r"none\.fasta"):
        read_fasta(tmp_path / "none.fasta")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wild_type": "VDGX"}, "wild_type must be letters of ACDEFGHIKLMNPQRSTVWY, or the path of a FASTA file"),
        ({"wild_type": 7}, "wild_type must be letters of"),
        ({"max_mutations": 5}, "max_mutations must be at most 4, got 5"),
        ({"max_mutations": 2, "positions": [1]}, "max_mutations must be at most 1, got 2"),
        ({"positions": [5]}, r"positions must be in 1\.\.4, got 5"),
        ({"positions": [1, 1]}, "positions must be different"),
        ({"positions": "a-b"}, "positions must be such as '39-41,54', got 'a-b'"),
        ({"positions": [1.0]}, r"positions must be integers, got 1\.0"),
        ({"positions": []}, "positions must be different and at least one"),
        ({"letters": {9: "A"}}, r"positions must be in 1\.\.4, got 9"),
        ({"letters": {4: "A"}, "positions": [1, 2]}, "letters has position 4, which may not mutate"),
        ({"letters": {1: "A", "1": "C"}}, "letters has a position twice"),
        ({"letters": "AX"}, "letters must be texts of letters of"),
        ({"reward": {"V1A": 1.0}, "missing": 1.0, "first_position": 39}, "'V1A' is not 4 letters .* such as 'V39A'"),
        ({"reward": {"A1V": 1.0}, "missing": 1.0}, "'A1V': the wild type has V at 1, not A"),
        ({"reward": {"V1A:V1C": 1.0}, "missing": 1.0}, "mutates position 1 twice"),
        ({"reward": {"V1A": 1.0, "ADGV": 1.0}, "missing": 1.0}, "the table has 'ADGV' 2 times"),
        ({"reward": {"V1A": 1.0}}, "the table has values of 1 of 2,243 objects; give missing=NUMBER"),
        ({"reward": [1.0] * 160_000}, "a table must be labeled by strings"),
    ],
)
def test_wrong_arguments_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Mutation(**arguments)
