"""Labels of attachment points, forbidden bonds and stereochemistry of blocks, against molecules joined by RDKit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem

from gfn_envs import FragmentMolecule, check_dag, make_dag
from gfn_envs.envs.molecules.attachments import brics_pairs
from tests.gfn_envs.envs.test_fragment_trees import dummies, joined
from tests.helpers import all_states

#: Whether two stems, (label, element), may bond if their bonds have the same order.
Rule = Callable[[tuple[int, str], tuple[int, str]], bool]
FILE = "# esters\n1 2\n3,3  # ethers\n2 - 3\n"


def by_pairs(pairs: set[tuple[int, int]]) -> Rule:
    return lambda one, other: (one[0], other[0]) in pairs or (other[0], one[0]) in pairs


def without(pair: str) -> Rule:
    return lambda one, other: {one[1], other[1]} != set(pair)


#: name -> (blocks, arguments, rule, blocks in the largest molecule).
CASES: dict[str, tuple[list[str], dict[str, Any], Rule, int]] = {
    "same": (
        ["[1*]CC[2*]", "[1*]O", "[2*]N([2*])C", "[1*]C([2*])[2*]"],
        {"rules": "same"},
        lambda one, other: one[0] == other[0],
        4,
    ),
    "file": (
        ["[1*]C(=O)[1*]", "[2*]N([2*])C", "[3*]O[3*]", "[3*]c1ccc([2*])cc1"],
        {"rules": "FILE"},
        by_pairs({(1, 2), (3, 3), (2, 3)}),
        4,
    ),
    "brics": (
        ["[1*]C(C)=O", "[5*]N([5*])C", "[16*]c1ccc([16*])cc1", "[3*]O[3*]", "[4*]CC[4*]"],
        {"rules": "brics"},
        by_pairs({(1, 3), (1, 5), (3, 4), (3, 16), (4, 5), (5, 16), (16, 16)}),
        3,
    ),
    "no N-O": (["*N*", "*O*", "*C"], {"forbidden_bonds": ["N-O"]}, without("NO"), 4),
    "no partner": (["[9*]C[1*]", "[1*]O", "[9*]F"], {"rules": "FILE9"}, by_pairs({(1, 1), (9, 8)}), 3),
    "double": (["*=C", "*=CC=*", "*=O", "*CC*"], {}, by_pairs({(0, 0)}), 3),
    "rings": (["*=C1C=CNC=C1", "*=C1CCC(=*)CC1", "*=N*", "*c1ccccc1"], {}, by_pairs({(0, 0)}), 3),
    "brics 7": (["[7*]=CC", "[7*]=CC[4*]", "[5*]N([5*])C"], {"rules": "brics"}, by_pairs({(7, 7), (4, 5)}), 4),
    "stereo": (["*CC[C@H](F)CO*", "*C/C=C/C*", "*CC[C@@H](F)Cl"], {}, by_pairs({(0, 0)}), 3),
}


def made(name: str, folder: Path) -> FragmentMolecule:
    blocks, arguments, _, size = CASES[name]
    files = {"FILE": FILE, "FILE9": "1 1\n9 8\n"}
    if (text := files.get(arguments.get("rules", ""))) is not None:
        arguments = {"rules": folder / "rules.txt"}
        (folder / "rules.txt").write_text(text)
    reward = {"reward": "similarity", "target": "CCO"}
    return FragmentMolecule(blocks, max_blocks=size, min_blocks=1, **reward, **arguments)


def stem(mol: Any, dummy: int) -> tuple[int, str]:
    atom = mol.GetAtomWithIdx(dummy)
    return atom.GetIsotope(), atom.GetNeighbors()[0].GetSymbol()


def fits(rule: Rule, mol: Any, dummy: int, other: Any, at: int) -> bool:
    orders = {each.GetAtomWithIdx(i).GetBonds()[0].GetBondType() for each, i in ((mol, dummy), (other, at))}
    return len(orders) == 1 and rule(stem(mol, dummy), stem(other, at))


def capped(blocks: list[str], rule: Rule) -> list[Any]:
    """Blocks with hydrogens at the stems to which no other block may bond."""
    mols = [Chem.MolFromSmiles(smiles) for smiles in blocks]
    every = [(mol, dummy) for mol in mols for dummy in dummies(mol)]
    result = []
    for mol in mols:
        mol = Chem.RWMol(mol)
        for dummy in reversed(dummies(mol)):
            if not any(fits(rule, mol, dummy, *other) for other in every):
                mol.RemoveAtom(dummy)
        Chem.SanitizeMol(mol)
        result.append(mol.GetMol())
    return result


def grown(blocks: list[str], rule: Rule, size: int) -> list[set[str]]:
    """SMILES with dummy atoms of the molecules of 1, 2, ... blocks, by joining all pairs that the rule allows."""
    parts = capped(blocks, rule)
    level = {Chem.MolToSmiles(mol): mol for mol in parts}
    levels = [set(level)]
    for _ in range(size - 1):
        larger = {}
        for mol, part in itertools.product(level.values(), parts):
            for a, b in itertools.product(dummies(mol), dummies(part)):
                if fits(rule, mol, a, part, b):
                    child = joined(mol, a, part, b)
                    larger[Chem.MolToSmiles(child)] = child
        level = larger
        levels.append(set(level))
    return levels


@pytest.mark.parametrize("name", CASES)
def test_molecules_are_those_that_the_rule_allows(name: str, tmp_path: Path) -> None:
    blocks, _, rule, size = CASES[name]
    dag, levels = made(name, tmp_path), grown(blocks, rule, size)
    objects = dag.terminal_states()
    count = (objects[:, :size] > 0).sum(1)
    for blocks_in, expected in enumerate(levels, 1):
        found = [Chem.CanonSmiles(smiles) for smiles in dag.to_smiles(objects[count == blocks_in], asterisks=True)]
        assert set(found) == {Chem.CanonSmiles(smiles) for smiles in expected}
        assert len(found) == len(set(found)) or name in ("file", "stereo", "double")  # These can be cut in two ways.
    assert (dag.declared_num_states, dag.declared_num_terminal_states) == (len(all_states(dag)), len(objects))


@pytest.mark.parametrize("name", ["same", "no partner", "stereo", "brics 7"])
def test_the_checker_passes(name: str, tmp_path: Path) -> None:
    assert check_dag(made(name, tmp_path)).exhaustive


def test_pairs_of_brics_are_those_of_rdkit() -> None:
    pairs = {(min(pair), max(pair)) for pair in brics_pairs()}
    assert {(1, 3), (1, 5), (3, 4), (16, 16), (13, 14)} <= pairs
    assert not {(1, 1), (3, 3), (7, 7), (1, 16)} & pairs
    assert brics_pairs(order=2) == {frozenset({7})}


def test_the_chemists_default_makes_no_bonds_between_heteroatoms() -> None:
    blocks = ["*N(*)C", "*O*", "*S*", "*Cl", "*CC*"]
    dag = FragmentMolecule(blocks, max_blocks=3, forbidden_bonds="chemist")
    avoided = [Chem.MolFromSmarts(smarts) for smarts in ("[N,O]~[N,O]", "[O,S]~[O,S]", "[N,O,S]~Cl")]
    mols = dag.molecules(dag.terminal_states())
    assert not any(mol.HasSubstructMatch(query) for mol in mols for query in avoided)
    assert any(mol.HasSubstructMatch(Chem.MolFromSmarts("NS")) for mol in mols)
    assert FragmentMolecule(blocks, max_blocks=3).declared_num_states > dag.declared_num_states


def test_marks_are_kept_in_finished_molecules() -> None:
    dag = make_dag("GFN/FragmentMolecule-v0", blocks=["*CC[C@H](F)CO*", "*C/C=C/C*"], max_blocks=2)
    smiles = dag.to_smiles(dag.terminal_states())
    assert all("@" in s or s.count("/") >= 2 for s in smiles)
    assert Chem.CanonSmiles("C/C=C/CCC[C@H](F)CO") in smiles


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("*[C@H](F)Cl", r"a chiral center \(@\) at an attachment point"),
        ("*/C=C/C", r"a stereo double bond \(/ or .\) at an attachment point"),
        ("*CC[C@](F)(Cl)CC*", r"a chiral center \(@\) with equal neighbors"),
        ("*C[C@H](F)C[C@H](C)C", r"a chiral center \(@\) with equal neighbors"),
        ("*C/C=C", "without a stereo double bond"),
        ("*[13CH3]", "an isotope"),
        ("*[CH3:2]", "an atom map number"),
        ("[1*:2]C", "an atom map number"),
        ("*#CC", "bonded to exactly one atom by a single or double bond"),
    ],
)
def test_marks_that_would_be_lost_raise(block: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"FragmentMolecule: blocks, row 1: .*{message}"):
        FragmentMolecule(["*C", block], rules="any")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "the attachment points have labels 1, 3, so rules must be 'brics', 'same'"),
        ({"rules": "recap"}, "rules must be None, 'any', 'same', 'brics' or the path of a text file, got 'recap'"),
        ({"rules": "rules.txt"}, r"have the label 1, which rules\.txt does not have; known: 2, 3"),
        ({"rules": "empty.txt"}, r"empty\.txt has no pairs of labels"),
        ({"rules": "bad.txt"}, r"bad\.txt, line 2: expected two labels, such as '1 3', got '1 a'"),
        ({"rules": "same", "forbidden_bonds": "C-C,C-O"}, "let no two blocks bond"),
        ({"rules": "any", "forbidden_bonds": ["CO"]}, "forbidden_bonds must be pairs of elements such as 'N-O'"),
        ({"rules": "any", "forbidden_bonds": "C-Q"}, "forbidden_bonds must be pairs of elements"),
    ],
)
def test_rules_that_raise(arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("rules.txt", "2 3\n3 3\n"), ("empty.txt", "# none\n"), ("bad.txt", "1 3\n1 a\n")):
        Path(name).write_text(text)
    with pytest.raises(ValueError, match=f"^FragmentMolecule: .*{message}"):
        FragmentMolecule(["[1*]C", "[3*]CC[1*]"], **arguments)


def test_labels_by_map_numbers_are_labels_by_isotopes() -> None:
    one, other = (FragmentMolecule(b, rules="same") for b in (["[*:1]C", "[*:1]CC[*:2]"], ["[1*]C", "[1*]CC[2*]"]))
    assert one.vocabulary.names == other.vocabulary.names == ("[1*]C", "[1*]CC[2*] by 0", "[1*]CC[2*] by 1")
    assert not np.array_equal(one.vocabulary.may_bond, np.ones((2, 2), dtype=bool))
