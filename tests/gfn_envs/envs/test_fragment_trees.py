"""FragmentMolecule: states, parents and counts by RDKit's canonical SMILES; canonical forms; vocabularies."""

from __future__ import annotations

import itertools
import json
import pickle
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from rdkit import Chem

from gfn_envs import FragmentMolecule, check_dag
from gfn_envs.data import registry as datasets
from gfn_envs.envs.molecules.canonical_trees import BlockTrees, Trees
from gfn_envs.envs.molecules.vocabulary import from_smiles, load_vocabulary, packaged_blocks, published
from tests.helpers import all_states

#: Vocabularies of four blocks, whose molecules can be cut into blocks in only one way.
REDUCED = {
    "symmetric": ["*C", "*O*", "*c1cc(*)cc(*)c1", "*N(*)*"],
    "asymmetric": ["*F", "*NC(*)=O", "*c1ccc(*)nc1", "*S*"],
    "crowded": ["*Cl", "*C(*)(*)*", "*c1c(*)cccc1*", "*[SiH](*)C(*)*"],
}
SIZES = {"symmetric": 4, "asymmetric": 4, "crowded": 3}


# ---------------------------------------------------------------------- an oracle on SMILES with dummy atoms


def joined(left: Any, left_dummy: int, right: Any, right_dummy: int) -> Any:
    """Two Mols with a bond in place of one dummy atom of each, of the same order."""
    shift = left.GetNumAtoms()
    mol = Chem.RWMol(Chem.CombineMols(left, right))
    ends = [mol.GetAtomWithIdx(d).GetNeighbors()[0].GetIdx() for d in (left_dummy, right_dummy + shift)]
    mol.AddBond(*ends, mol.GetAtomWithIdx(left_dummy).GetBonds()[0].GetBondType())
    for dummy in sorted((left_dummy, right_dummy + shift), reverse=True):
        mol.RemoveAtom(dummy)
    Chem.SanitizeMol(mol)
    return mol.GetMol()


def dummies(mol: Any) -> list[int]:
    return [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]


def mapped_smiles(mol: Any, stems: Sequence[int]) -> str:
    """Canonical SMILES with the number of open stems as the atom map of each atom."""
    mol = Chem.Mol(mol)
    for atom in stems:
        mol.GetAtomWithIdx(atom).SetAtomMapNum(mol.GetAtomWithIdx(atom).GetAtomMapNum() + 1)
    return Chem.MolToSmiles(mol)


def oracle_key(mol: Any) -> str:
    """:func:`mapped_smiles` of a Mol with dummy atoms instead of open stems."""
    stems = [mol.GetAtomWithIdx(d).GetNeighbors()[0].GetIdx() for d in dummies(mol)]
    plain = Chem.RWMol(mol)
    for dummy in dummies(mol):
        plain.GetAtomWithIdx(dummy).SetAtomicNum(1)
    for stem in stems:
        atom = plain.GetAtomWithIdx(stem)
        atom.SetAtomMapNum(atom.GetAtomMapNum() + 1)
    return Chem.MolToSmiles(Chem.RemoveHs(plain.GetMol()))


def grown(blocks: list[str], max_blocks: int) -> tuple[list[set[str]], dict[str, set[str]]]:
    """Molecules of 1, 2, ... blocks, and the parents of each, by joining all pairs of dummy atoms."""
    parts = [Chem.MolFromSmiles(smiles) for smiles in blocks]
    level = {oracle_key(mol): mol for mol in parts}
    levels, parents = [set(level)], defaultdict(set)
    for _ in range(max_blocks - 1):
        larger = {}
        for key, mol in level.items():
            for part in parts:
                for a, b in itertools.product(dummies(mol), dummies(part)):
                    child = joined(mol, a, part, b)
                    larger[oracle_key(child)] = child
                    parents[oracle_key(child)].add(key)
        level = larger
        levels.append(set(level))
    return levels, parents


def state_key(dag: FragmentMolecule, state: np.ndarray) -> str:
    return mapped_smiles(dag.to_mol(state), dag.stem_atoms(state))


def tiny(blocks: Any, **kwargs: Any) -> FragmentMolecule:
    return FragmentMolecule(blocks, **{"reward": "similarity", "target": "CCO", **kwargs})


@pytest.mark.parametrize("name", REDUCED)
def test_states_and_parents_equal_those_by_canonical_smiles(name: str) -> None:
    most = SIZES[name]
    dag = tiny(REDUCED[name], max_blocks=most)
    levels, parents = grown(REDUCED[name], most)
    states = all_states(dag)
    running = states[~dag.is_terminal(states)]
    objects = dag.terminal_states()
    by_size: dict[int, list[str]] = defaultdict(list)
    for state in running[1:]:
        by_size[(state[:most] > 0).sum()].append(state_key(dag, state))
    ended = [state_key(dag, state) for state in objects]
    for size, keys in enumerate(levels, 1):
        opened = {key for key in keys if re.search(r":\d", key)}
        expected = opened if size < most else set()
        assert len(by_size[size]) == len(set(by_size[size]))
        assert set(by_size[size]) == expected
    assert len(ended) == len(set(ended))
    assert set(ended) == set().union(*levels[1:])
    assert (dag.declared_num_states, dag.declared_num_terminal_states) == (len(states), len(objects))
    # Parents of all molecules but those that the stop action finished.
    unstopped = states[~dag.backward_mask(states)[:, -1]][1:]
    row, found, _ = dag.parents(unstopped)
    for i, state in enumerate(unstopped):
        expected = parents.get(state_key(dag, state), {""})
        assert {state_key(dag, parent) for parent in found[row == i]} == expected
        assert not found[row == i][:, -1].any()


@pytest.mark.parametrize("name", REDUCED)
def test_the_checker_passes_on_every_state(name: str) -> None:
    blocks = REDUCED[name]
    report = check_dag(tiny(blocks, max_blocks=SIZES[name]))
    assert report.exhaustive


COUNTED = [
    (["*C", "*O"], 4, 1),
    (["*C(*)(*)*"], 5, 2),
    (["*C(*)(*)C(*)(*)*", "*N(*)*"], 3, 3),
    (["*c1c(*)c(*)c(*)c(*)c1*", "*F"], 4, 1),
    (["*c1ccc(*)cc1", "*CC*", "*CO*"], 5, 2),
]


@pytest.mark.parametrize(("blocks", "max_blocks", "min_blocks"), COUNTED, ids=str)
def test_counts_equal_the_enumeration(blocks: list[str], max_blocks: int, min_blocks: int) -> None:
    dag = tiny(blocks, max_blocks=max_blocks, min_blocks=min_blocks)
    states = all_states(dag)
    assert (dag.declared_num_states, dag.declared_num_terminal_states) == (len(states), len(dag.terminal_states()))
    assert dag.max_length == len(list(dag.levels())) - 1


def test_blocks_with_stems_that_are_not_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the published tables, the first atom is the arm, and entries with the same stems are one block."""
    smiles, stems = ["CO", "CO", "c1ccncc1", "c1ccncc1", "F"], [[0, 1], [1, 0, 0], [0, 2], [2, 0], [0]]
    tables = {
        "block_smi": dict(zip("01234", smiles, strict=True)),
        "block_r": dict(zip("01234", stems, strict=True)),
    }
    vocabulary = published(tables)
    assert len(vocabulary.kinds) == 4
    monkeypatch.setattr(datasets, "read", lambda name: json.dumps(tables).encode())
    dag = tiny("pdb105", max_blocks=4)
    assert check_dag(dag).exhaustive
    assert dag.declared_num_states == len(all_states(dag))
    # s0 has one action per kind. The 5 entries are 4 kinds.
    assert dag.forward_mask(dag.source(1)).sum() == 4


# ---------------------------------------------------------------------- canonical forms


def random_drawing(rng: np.random.Generator, groups: list[np.ndarray], m: int) -> list[list[int]]:
    """A tree as a list of (kind, parent, port, entry) that uses each stem at most once."""
    tree = [[int(rng.integers(len(groups))), 0, 0, 0]]
    free = [(0, p) for p in range(groups[tree[0][0]].shape[1])]
    while len(tree) < m and free:
        parent, port = free.pop(int(rng.integers(len(free))))
        kind = int(rng.integers(len(groups)))
        entry = int(rng.integers(groups[kind].shape[1]))
        free += [(len(tree), p) for p in range(groups[kind].shape[1]) if p != entry]
        tree.append([kind, parent, port, entry])
    return tree


def redrawn(rng: np.random.Generator, groups: list[np.ndarray], tree: list[list[int]]) -> list[list[int]]:
    """The same tree with another root, another order of blocks, and positions permuted by automorphisms."""
    bonds = [(v, entry, parent, port) for v, (_, parent, port, entry) in enumerate(tree) if v]
    image = [groups[kind][rng.integers(len(groups[kind]))] for kind, *_ in tree]
    new, result = {}, []
    root = int(rng.integers(len(tree)))
    new[root] = 0
    result.append([tree[root][0], 0, 0, 0])
    while len(new) < len(tree):
        links = [
            (a, p, b, q) for x in bonds for a, p, b, q in (x, (x[2], x[3], x[0], x[1])) if a in new and b not in new
        ]
        a, p, b, q = links[rng.integers(len(links))]
        new[b] = len(result)
        result.append([tree[b][0], new[a], int(image[a][p]), int(image[b][q])])
    return result


def packed(trees: list[list[list[int]]], m: int) -> Trees:
    arrays = np.zeros((4, len(trees), m), dtype=np.int64)
    for i, tree in enumerate(trees):
        arrays[:, i, : len(tree)] = np.array(tree).T
        arrays[0, i, : len(tree)] += 1
    return Trees(*arrays)


def test_all_representations_of_a_tree_have_one_canonical_form() -> None:
    rng = np.random.default_rng(0)
    cyclic = np.array([np.roll(np.arange(4), -i) for i in range(4)])
    groups = [
        np.array([[0, 1, 2]]),
        np.array([[0, 1], [1, 0]]),
        cyclic,
        np.array(list(itertools.permutations(range(3)))),
    ]
    forms = BlockTrees(groups)
    drawings = [random_drawing(rng, groups, 8) for _ in range(400)]
    first = packed(drawings, 8)
    second = packed([redrawn(rng, groups, tree) for tree in drawings], 8)
    one, moved = forms.canonical(first, forms.contents(first))
    two, _ = forms.canonical(second, forms.contents(second))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    # The codes of a canonical form follow from those of any other, without a new hash.
    for a, b in zip(moved.contents, forms.contents(one), strict=True):
        np.testing.assert_array_equal(a, b)
    again = forms.canonical(one, forms.contents(one))[0]
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_masks_do_not_depend_on_the_steps_before() -> None:
    """A step keeps codes for the masks of its children."""
    dag, rng = FragmentMolecule(max_blocks=6), np.random.default_rng(0)
    states = dag.source(40)
    while len(states):
        actions = np.array([rng.choice(np.flatnonzero(row)) for row in dag.forward_mask(states)])
        children = dag.step(states, actions)
        rows = rng.permutation(len(children))
        for asked in (children, children[rows[:9]], np.repeat(children[rows], 2, axis=0), states):
            fresh = pickle.loads(pickle.dumps(dag))
            np.testing.assert_array_equal(dag.forward_mask(asked), fresh.forward_mask(asked))
            np.testing.assert_array_equal(dag.backward_mask(asked), fresh.backward_mask(asked))
        states = children[~dag.is_terminal(children)]


def test_a_step_and_its_mask_hash_each_tree_once(monkeypatch: pytest.MonkeyPatch) -> None:
    envs, calls, contents = (
        gymnasium.make_vec("GFN/FragmentMolecule-v0", num_envs=8, reward=len_of),
        [],
        BlockTrees.contents,
    )
    mask = envs.reset()[1]["action_mask"]
    monkeypatch.setattr(
        BlockTrees, "contents", lambda self, trees: calls.append(len(trees.kind)) or contents(self, trees)
    )
    for _ in range(4):
        mask = envs.step(mask.argmax(1))[-1]["action_mask"]
    assert calls == [8] * 4


def len_of(mol: Any) -> float:
    return float(1 + mol.GetNumAtoms())


# ---------------------------------------------------------------------- vocabularies


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "blocks: a vocabulary must have at least one block"),
        (["*C", "*CQ"], "blocks, row 1: '*CQ' is not a valid SMILES"),
        (["*C", "*O", "CC"], "blocks, row 2: 'CC' has no attachment point"),
        (["*C", "C*"], "blocks, row 1: 'C*' is the same block as row 0"),
        (
            ["*#C"],
            "blocks, row 0: '*#C' has an attachment point not bonded to exactly one atom by a single or double bond",
        ),
        (["C*C"], "not bonded to exactly one atom by a single or double bond"),
        (["**"], "has no atoms except attachment points"),
        (["*C.*O"], "must be one connected molecule"),
    ],
)
def test_bad_blocks_are_named(blocks: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FragmentMolecule(blocks)


def test_a_file_of_blocks(tmp_path: Any) -> None:
    path = tmp_path / "blocks.smi"
    path.write_text("*C methyl\n\n*c1ccc(*)cc1\tphenylene\n")
    assert [kind.smiles for kind in load_vocabulary(path).kinds] == ["*C", "*c1ccc(*)cc1"]
    path.write_text("*C methyl\n\n*C(C benzene\n")
    with pytest.raises(ValueError, match=r"blocks\.smi, line 3: '\*C\(C' is not a valid SMILES"):
        FragmentMolecule(str(path))
    with pytest.raises(FileNotFoundError):
        FragmentMolecule("no-such-file.smi")


def test_symmetries_of_blocks() -> None:
    sizes = {
        "*c1c(*)c(*)c(*)c(*)c1*": 12,
        "*c1ccc(*)nc1": 1,
        "*C(*)(*)*": 1,  # The stems of one atom are equivalent without a symmetry.
        "*CC*": 2,
        "*c1c[nH]c(*)n1": 1,  # The nitrogens of imidazole differ.
        "*[N+](=O)[O-]": 1,
        "*C12C3(*)C4C1C5C2C3C45": 2,
    }
    for smiles, size in sizes.items():
        assert len(from_smiles([smiles], "x").kinds[0].automorphisms) == size
    assert len(from_smiles(packaged_blocks(), "x").kinds) == 55
