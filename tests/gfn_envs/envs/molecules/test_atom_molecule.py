"""AtomMolecule against brute force: multigraphs up to isomorphism, without RDKit's canonical SMILES."""

from __future__ import annotations

import functools
import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import networkx as nx
import numpy as np
import pytest
from rdkit import Chem

from benchmarks import molecule_counts
from gfn_envs import check_dag, make_dag
from gfn_envs.envs.molecules.atom_counting import count_acyclic
from gfn_envs.envs.molecules.canonical_smiles import canonical_smiles
from tests.gfn_envs.envs.molecules.burnside import connected as connected_multigraphs
from tests.helpers import all_states

ID = "GFN/AtomMolecule-v0"
VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}
#: Everything is allowed, so objects are connected multigraphs.
ANY: dict[str, Any] = {"strained": True, "forbidden_bonds": None}
#: No aromatic ring of RDKit has fewer than 5 atoms and no triple bond, so Kekule structures are molecules below.
SMILES = ["c1ccccc1", "Cc1ccccc1C", "C1=CC=CC1", "c1c[nH]cn1", "Cc1cc(O)no1", "c1ccc2c(c1)CC2", "C1#CCCCC1", "C=C=CC#N"]


def multigraphs(elements: str, atoms: int, max_order: int = 3) -> set[tuple[Any, ...]]:
    """Connected multigraphs of ``atoms`` atoms within the valences, up to isomorphism: the smallest of all drawings."""
    pairs = list(itertools.combinations(range(atoms), 2))
    permutations = list(itertools.permutations(range(atoms)))
    found = set()
    for letters in itertools.combinations_with_replacement(elements, atoms):
        for orders in itertools.product(range(max_order + 1), repeat=len(pairs)):
            bonds = dict(zip(pairs, orders, strict=True))
            degree = [sum(o for pair, o in bonds.items() if atom in pair) for atom in range(atoms)]
            if any(d > VALENCE[letter] for d, letter in zip(degree, letters, strict=True)):
                continue
            if not connected(atoms, [pair for pair, o in bonds.items() if o]):
                continue
            table = np.zeros((atoms, atoms), dtype=int)
            for (i, j), o in bonds.items():
                table[i, j] = table[j, i] = o
            drawings = ((*(letters[i] for i in p), *table[np.ix_(p, p)].ravel().tolist()) for p in permutations)
            found.add(min(drawings))
    return found


def connected(atoms: int, bonds: list[tuple[int, int]]) -> bool:
    reached, edge = {0}, True
    while edge:
        edge = {b for pair in bonds for a, b in (pair, pair[::-1]) if a in reached and b not in reached}
        reached |= edge
    return len(reached) == atoms


def rings(graph: tuple[Any, ...], atoms: int) -> int:
    table = np.array(graph[atoms:]).reshape(atoms, atoms)
    return int((table > 0).sum()) // 2 - atoms + 1


def by_size(dag: Any) -> list[int]:
    objects = dag.terminal_states()
    return np.bincount((objects[:, : dag.max_atoms] > 0).sum(1), minlength=dag.max_atoms + 1)[1:].tolist()


@pytest.mark.parametrize(("elements", "most"), [("CNOF", 3), ("CO", 4)])
def test_objects_are_the_multigraphs_within_the_valences(elements: str, most: int) -> None:
    dag = make_dag(ID, max_atoms=most, elements=list(elements), reward="sa", **ANY)
    graphs = [multigraphs(elements, atoms) for atoms in range(1, most + 1)]
    assert by_size(dag) == [len(level) for level in graphs]
    acyclic = make_dag(ID, max_atoms=most, elements=list(elements), max_rings=0, **ANY)
    trees = sum(rings(graph, atoms) == 0 for atoms, level in enumerate(graphs, 1) for graph in level)
    assert acyclic.declared_num_terminal_states == len(acyclic.terminal_states()) == trees


@pytest.mark.parametrize(("elements", "most"), [("C", 5), ("CO", 5), ("CNOF", 3)])
def test_numbers_by_burnsides_lemma(elements: str, most: int) -> None:
    """Molecules of at most 5 such atoms have one Kekule structure, so they are as many as multigraphs."""
    expected = connected_multigraphs([VALENCE[letter] for letter in elements], most)
    assert by_size(make_dag(ID, max_atoms=most, elements=list(elements), reward=one, **ANY)) == expected


def atlas_multigraphs(atoms: int) -> Iterator[list[tuple[int, int, int]]]:
    """Every way to give the edges of NetworkX's connected graphs orders 1 to 3, at most four bonds per atom."""
    for graph in nx.graph_atlas_g():
        if len(graph) == atoms and nx.is_connected(graph) and max(d for _, d in graph.degree) <= 4:
            drawings: list[tuple[list[tuple[int, int, int]], list[int]]] = [([], [4] * atoms)]
            for i, j in graph.edges:
                drawings = [
                    ([*bonds, (i, j, order)], [f - order * (a in (i, j)) for a, f in enumerate(free)])
                    for bonds, free in drawings
                    for order in range(1, min(3, free[i], free[j]) + 1)
                ]
            yield from (bonds for bonds, _ in drawings)


@functools.cache
def six_carbons() -> dict[str, list[tuple[int, int, int]]]:
    """Canonical SMILES of the molecules of six carbon atoms, without the environment, and a drawing of each."""
    return {molecule_counts.canonical_smiles("C" * 6, bonds): bonds for bonds in atlas_multigraphs(6)}


def test_six_carbons_have_770_molecules_of_772_multigraphs() -> None:
    """The two others are second Kekule structures. A search without the environment finds the same molecules."""
    assert connected_multigraphs([4], 6)[-1] == 772
    assert molecule_counts.by_environment("C", 6, **ANY)[-1] == set(six_carbons())
    assert len(six_carbons()) == 770
    hydrogens = [24 - 2 * sum(order for *_, order in bonds) for bonds in six_carbons().values()]
    assert hydrogens.count(6) == 217  # the isomers of benzene (Nagendrappa 2001)


@pytest.mark.parametrize(
    "rules", [{}, {"min_ring_size": 5}, {"min_ring_size": 4, "max_rings": 1}, {"min_ring_size": 6, "strained": True}]
)
def test_rules_on_rings_of_six_carbons(rules: dict[str, Any]) -> None:
    """The environment reaches exactly the multigraphs whose rings follow the rules, by a breadth-first search."""
    expected = {name for name, bonds in six_carbons().items() if molecule_counts.allowed(bonds, 6, **rules)}
    assert 0 < len(expected) < 770
    dag = make_dag(ID, max_atoms=6, elements="C", reward=one, **rules)
    if len(expected) < 300:
        assert molecule_counts.by_environment("C", 6, **rules)[-1] == expected
    else:  # The enumeration takes a second.
        moves = dag._moves
        assert {name for name in six_carbons() if moves.row_of(name) is not None} == expected


def test_names_differ_and_are_rdkits_canonical_smiles() -> None:
    dag = make_dag(ID, max_atoms=4, elements="C,N")
    names = dag.object_names(dag.terminal_states())
    assert len(set(names)) == len(names)
    assert names == [Chem.CanonSmiles(name) for name in names]
    assert np.array_equal(dag.from_smiles(names), dag.terminal_states())


def test_the_formula_counts_alkanes() -> None:
    """Numbers of alkanes C1 to C12 (OEIS A000602)."""
    assert count_acyclic([4], [[True]], 12, 1)[1:] == [1, 1, 1, 2, 3, 5, 9, 18, 35, 75, 159, 355]


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_atoms": 3, "elements": "C,N,O,F"},
        {"max_atoms": 4, "elements": "C,N", "min_atoms": 3, "max_rings": 1},
        {"max_atoms": 4, "elements": "C,O", **ANY},
    ],
    ids=str,
)
def test_the_checker_passes_on_every_state(arguments: dict[str, Any]) -> None:
    assert check_dag(make_dag(ID, **arguments)).exhaustive


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [{"max_atoms": 6, "elements": "C", **ANY}, {"max_atoms": 5, "elements": "C,N", **ANY}], ids=str
)
def test_the_checker_passes_with_aromatic_rings(arguments: dict[str, Any]) -> None:
    assert check_dag(make_dag(ID, **arguments, reward=one), max_states=50_000).exhaustive


def one(mol: Any) -> float:
    return 1.0


def test_kekule_structures_are_one_state_and_moves_are_inverse() -> None:
    """From molecules with aromatic rings, every way back leads to s0, and every step back can be redone."""
    dag = make_dag(ID, **ANY)
    first, other = dag.from_smiles(["CC1=C(C)C=CC=C1", "CC1=CC=CC=C1C"])
    assert np.array_equal(first, other)
    states = dag.undo(dag.from_smiles(SMILES), np.full(len(SMILES), dag.num_backward_actions - 1))
    seen: set[str] = set()
    while len(states):
        row, parents, actions = dag.parents(states)
        assert set(row.tolist()) == set(range(len(states)))
        assert np.array_equal(dag.step(parents, actions), states[row])
        assert dag.forward_mask(parents)[np.arange(len(row)), actions].all()
        seen |= set(dag.to_smiles(parents))
        states = np.unique(parents[:40], axis=0)
        states = states[states[:, 0] > 0]
    assert len(seen) > 100


def test_a_cage_with_two_canonical_smiles_is_one_state() -> None:
    """RDKit writes each of these molecules in two ways, depending on the order of atoms."""
    dag = make_dag(ID, max_atoms=8, elements="C", reward=one)
    for names in (
        ["C12=C3C4C5=C6C1C25C364", "C12=C3C4C5=C6C1C36C254"],
        ["C12=C3C1C21C2=C4C2C341", "C12=C3C1C31C3=C4C3C241"],
    ):
        mols = list(map(Chem.MolFromSmiles, names))
        assert mols[0].HasSubstructMatch(mols[1])
        assert mols[0].GetNumBonds() == mols[1].GetNumBonds()
        objects = dag.from_smiles(names)
        np.testing.assert_array_equal(objects[0], objects[1])
        np.testing.assert_array_equal(dag.from_smiles(dag.object_names(objects)), objects)
        states = dag.undo(objects[:1], np.array([dag.num_backward_actions - 1]))
        row, parents, actions = dag.parents(states)
        np.testing.assert_array_equal(dag.step(parents, actions), states[row])
        orders = (np.random.default_rng(seed).permutation(8).tolist() for seed in range(9))
        assert len({canonical_smiles(Chem.RenumberAtoms(mols[0], order)) for order in orders}) == 1


def test_removing_a_bond_of_benzene_opens_the_ring_in_two_ways() -> None:
    dag = make_dag(ID, max_atoms=6, elements="C")
    _, parents, _ = dag.parents(dag.undo(dag.from_smiles(["c1ccccc1"]), np.array([dag.num_backward_actions - 1])))
    assert set(dag.to_smiles(parents)) == {"C=CC=CC=C", "CC=CC=CC"}


@pytest.mark.parametrize(
    ("arguments", "missing", "kept"),
    [
        ({"strained": False}, ["C1#CC1", "C1=C=C1", "C1=C=CC1"], ["C1=CC1", "C#CC", "C=C=C"]),
        ({"min_ring_size": 4}, ["C1CC1", "CC1CC1"], ["C1CCC1", "CCCC"]),
        ({"max_rings": 1}, ["C1C2CC12"], ["C1CC1", "C1CCC1"]),
        ({"elements": "C,O"}, ["OO", "COOC"], ["COC", "C1COC1"]),
        ({"elements": "C,O", "forbidden_bonds": None}, [], ["OO", "COOC", "C1OO1"]),
        ({"min_atoms": 3, "elements": "C,N"}, ["CC", "C", "N=N"], ["CCC", "N#N"]),  # N#N ends
    ],
    ids=str,
)
def test_rules(arguments: dict[str, Any], missing: list[str], kept: list[str]) -> None:
    dag = make_dag(ID, **{"max_atoms": 4, "elements": "C", **arguments})
    names = set(dag.object_names(dag.terminal_states()))
    assert names.isdisjoint(map(Chem.CanonSmiles, missing))
    assert names >= set(map(Chem.CanonSmiles, kept))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_atoms": 1}, "max_atoms must be an integer from 2 to 16, got 1"),
        ({"max_atoms": 4, "min_atoms": 5}, "min_atoms must be an integer from 1 to 4, got 5"),
        ({"elements": "C,Xx"}, "elements must be symbols such as 'C' and 'Cl', not H, got 'Xx'"),
        ({"elements": "H"}, "not H, got 'H'"),
        ({"elements": ["C", "C"]}, "each once"),
        ({"elements": "He"}, "He has no valence for bonds"),
        ({"min_ring_size": 2}, "min_ring_size must be an integer >= 3, got 2"),
        ({"strained": 1}, "strained must be True or False, got 1"),
        ({"reward": "qde"}, "unknown reward 'qde'"),
        ({"forbidden_bonds": "C"}, "forbidden_bonds must be pairs of elements such as 'N-O', got 'C'"),
    ],
)
def test_arguments_that_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^AtomMolecule: .*{message}"):
        make_dag(ID, **arguments)


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ("CCCCCC", "has 6 atoms; allowed: 1 to 5"),
        ("CCl", "has Cl; allowed: C, N, O, F"),
        ("C[NH3+]", "has N with a charge"),
        ("[CH3]", "a radical"),
        ("COOC", "has a bond O-O, which is forbidden"),
        ("C[C@H](N)F", "a chiral center"),
        ("C/C=C/C", "a stereo double bond"),
        ("C1#CC1", "max_rings, min_ring_size or strained exclude"),
        ("C.C", "one connected molecule"),
        ("C(", "not a valid SMILES"),
    ],
)
def test_smiles_of_other_molecules_raise(smiles: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^AtomMolecule: .*{message}"):
        make_dag(ID, max_atoms=5).from_smiles([smiles])


def test_copies_and_default_size() -> None:
    dag = make_dag(ID)
    assert not dag.has_at_most(2_000_000)  # by the formula, without enumeration
    copy = pickle.loads(pickle.dumps(dag))
    states = copy.from_smiles(["Cc1ccccc1O"])
    assert copy.log_reward(states) == dag.log_reward(states)
    assert dag.render_text(states[0]) == "Cc1ccccc1O"
    assert dag.action_label(dag.num_actions - 1) == "stop"
    assert [dag.action_label(a) for a in (0, 9, 181 - 109)] == ["-C to atom 0", "-C to atom 1", "bond - of atoms 0, 1"]
    assert len(all_states(make_dag(ID, max_atoms=2))) == 1 + 2 * (4 + 14)
