"""Fragment molecules: states and parents against RDKit's canonical SMILES, rewards against their definitions."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import QED, AllChem, Crippen
from rdkit.Contrib.SA_Score import sascorer

from gfn_envs import FragmentMolecule, check_dag
from gfn_envs.checker.explore import random_legal
from gfn_envs.data import registry as datasets
from gfn_envs.envs.molecules import seh_proxy as seh
from gfn_envs.envs.molecules.canonical_trees import BlockTrees, Trees
from gfn_envs.envs.molecules.vocabulary import from_smiles, load_vocabulary, packaged_blocks, published
from tests.helpers import all_states, run_python

#: Vocabularies of four, whose molecules can be cut into blocks in one way only.
REDUCED = {
    "symmetric": ["*C", "*O*", "*c1cc(*)cc(*)c1", "*N(*)*"],
    "asymmetric": ["*F", "*NC(*)=O", "*c1ccc(*)nc1", "*S*"],
    "crowded": ["*Cl", "*C(*)(*)*", "*c1c(*)cccc1*", "*[SiH](*)C(*)*"],
}
SIZES = {"symmetric": 4, "asymmetric": 4, "crowded": 3}


# ---------------------------------------------------------------------- an oracle on SMILES with dummy atoms


def joined(left: Any, left_dummy: int, right: Any, right_dummy: int) -> Any:
    """Two Mols bonded where one dummy atom of each was."""
    shift = left.GetNumAtoms()
    mol = Chem.RWMol(Chem.CombineMols(left, right))
    ends = [mol.GetAtomWithIdx(d).GetNeighbors()[0].GetIdx() for d in (left_dummy, right_dummy + shift)]
    mol.AddBond(*ends, Chem.BondType.SINGLE)
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
    """The same of a Mol with dummy atoms in place of open stems."""
    stems = [mol.GetAtomWithIdx(d).GetNeighbors()[0].GetIdx() for d in dummies(mol)]
    plain = Chem.RWMol(mol)
    for dummy in dummies(mol):
        plain.GetAtomWithIdx(dummy).SetAtomicNum(1)
    for stem in stems:
        atom = plain.GetAtomWithIdx(stem)
        atom.SetAtomMapNum(atom.GetAtomMapNum() + 1)
    return Chem.MolToSmiles(Chem.RemoveHs(plain.GetMol()))


def grown(blocks: list[str], max_blocks: int) -> tuple[list[set[str]], dict[str, set[str]]]:
    """Molecules of 1, 2, ... blocks, and the parents of each, by joining whatever can be joined."""
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
def test_states_and_parents_are_those_of_canonical_smiles(name: str) -> None:
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
    # Parents of every molecule that is not one because it was stopped.
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
def test_counts_are_those_of_the_enumeration(blocks: list[str], max_blocks: int, min_blocks: int) -> None:
    dag = tiny(blocks, max_blocks=max_blocks, min_blocks=min_blocks)
    states = all_states(dag)
    assert (dag.declared_num_states, dag.declared_num_terminal_states) == (len(states), len(dag.terminal_states()))
    assert dag.max_length == len(list(dag.levels())) - 1


def test_blocks_that_only_some_stems_attach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published form: the first atom is the arm; entries with the same stems are one block."""
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
    # From s0, one action for each kind; 4 of the 5 entries.
    assert dag.forward_mask(dag.source(1)).sum() == 4


# ---------------------------------------------------------------------- canonical forms


def random_drawing(rng: np.random.Generator, groups: list[np.ndarray], m: int) -> list[list[int]]:
    """A tree as a list of (kind, parent, port, entry), stems used once each."""
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
    """The same tree from another root, its blocks in another order, their positions renumbered by automorphisms."""
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


def test_every_drawing_of_a_tree_has_one_form() -> None:
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
    one, two = (forms.canonical(trees, forms.contents(trees))[0] for trees in (first, second))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    again = forms.canonical(one, forms.contents(one))[0]
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------- full vocabularies


def walks(dag: FragmentMolecule, n: int, seed: int = 0) -> np.ndarray:
    """The ends of n uniform walks; every edge on the way is taken back and forth."""
    rng, states, ended = np.random.default_rng(seed), dag.source(n), []
    for _ in range(dag.max_length + 1):
        mask = dag.forward_mask(states)
        ended.append(states[~mask.any(1)])
        states, mask = states[mask.any(1)], mask[mask.any(1)]
        if not len(states):
            break
        actions = random_legal(mask, rng)
        children, back = dag.step(states, actions), dag.backward_action(states, actions)
        legal = dag.backward_mask(children)
        assert legal[np.arange(len(states)), back].all()
        np.testing.assert_array_equal(dag.undo(children, back), states)
        np.testing.assert_array_equal(dag.forward_action(children, back), actions)
        other = random_legal(legal, rng)
        parents = dag.undo(children, other)
        np.testing.assert_array_equal(dag.step(parents, dag.forward_action(children, other)), children)
        states = children
    ends = np.concatenate(ended)
    assert len(ends) == n
    return ends


@pytest.mark.data("fragment-blocks", "seh-proxy")
def test_a_thousand_walks_on_the_published_vocabulary() -> None:
    dag = FragmentMolecule("pdb105", reward="seh")
    assert dag.num_arms == 105
    objects = walks(dag, 1000)
    log_reward = dag.log_reward(objects)
    assert np.isfinite(log_reward).all()
    assert log_reward.min() >= 10 * math.log(0.1 / 8) - 1e-9
    for state, smiles in zip(objects, dag.to_smiles(objects), strict=True):
        assert Chem.MolFromSmiles(smiles).GetNumAtoms() == dag.to_mol(state).GetNumAtoms()
        assert dag.is_terminal(state[None])[0]


def test_walks_on_the_packaged_vocabulary() -> None:
    dag = FragmentMolecule()
    objects = walks(dag, 300)
    assert np.isfinite(dag.log_reward(objects[:60])).all()
    for state in objects[:150]:
        assert Chem.MolToSmiles(by_dummies(dag, state)) == dag.to_smiles(state[None])[0]


def by_dummies(dag: FragmentMolecule, state: np.ndarray) -> Any:
    """The molecule by another route: blocks with numbered dummy atoms, zipped by RDKit."""
    m, mols = dag.max_blocks, []
    kind, parent, port, entry = (state[i * m : (i + 1) * m].tolist() for i in range(4))
    bonds = [(v, entry[v], parent[v], port[v], v) for v in range(1, m) if kind[v]]
    for v in range(m):
        if not kind[v]:
            break
        mol = Chem.MolFromSmiles(dag.vocabulary.kinds[kind[v] - 1].smiles)
        at = [mol.GetAtomWithIdx(d).GetNeighbors()[0].GetIdx() for d in dummies(mol)]
        ends = [(a, p, number) for a, p, _, _, number in bonds] + [(b, q, number) for _, _, b, q, number in bonds]
        free = list(zip(at, dummies(mol), strict=True))
        for block, position, number in ends:
            if block == v:
                taken = next(pair for pair in free if pair[0] == sorted(set(at))[position])
                free.remove(taken)
                mol.GetAtomWithIdx(taken[1]).SetAtomMapNum(number)
        for _, dummy in free:
            mol.GetAtomWithIdx(dummy).SetAtomicNum(1)
        mols.append(mol)
    whole = mols[0]
    for mol in mols[1:]:
        whole = Chem.CombineMols(whole, mol)
    return Chem.RemoveHs(Chem.molzip(whole)) if bonds else Chem.RemoveHs(whole)


# ---------------------------------------------------------------------- vocabularies


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "blocks: a vocabulary needs at least one block"),
        (["*C", "*CQ"], "blocks, row 1: '*CQ' is not a valid SMILES"),
        (["*C", "*O", "CC"], "blocks, row 2: 'CC' has no attachment point"),
        (["*C", "C*"], "blocks, row 1: 'C*' is the block of row 0 again"),
        (["*=C"], "blocks, row 0: '*=C' has an attachment point that is not singly bonded to one atom"),
        (["C*C"], "not singly bonded to one atom"),
        (["**"], "has no atom besides its attachment points"),
        (["*C.*O"], "must be one molecule, in one piece"),
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
        "*C(*)(*)*": 1,  # One atom: its stems are alike without any symmetry.
        "*CC*": 2,
        "*c1c[nH]c(*)n1": 1,  # Imidazole's nitrogens differ.
        "*[N+](=O)[O-]": 1,
        "*C12C3(*)C4C1C5C2C3C45": 2,
    }
    for smiles, size in sizes.items():
        assert len(from_smiles([smiles], "x").kinds[0].automorphisms) == size
    assert len(from_smiles(packaged_blocks(), "x").kinds) == 55


def test_without_rdkit_the_package_still_works() -> None:
    code = (
        "import sys; sys.modules['rdkit'] = None; import gfn_envs; gfn_envs.make_dag('GFN/Bag-v0')\n"
        "try: gfn_envs.make_dag('GFN/FragmentMolecule-v0')\nexcept ImportError as error: print(error)"
    )
    assert 'pip install "gfn-envs[mols]"' in run_python("-c", code).stdout


# ---------------------------------------------------------------------- rewards


@pytest.fixture(scope="module")
def some() -> tuple[np.ndarray, list[Any]]:
    dag = FragmentMolecule(min_blocks=3)
    objects = walks(dag, 8, seed=3)
    return objects, [dag.to_mol(state) for state in objects]


def scored(objects: np.ndarray, **kwargs: Any) -> np.ndarray:
    return np.exp(FragmentMolecule(min_blocks=3, **kwargs).log_reward(objects))


def test_rewards_are_those_of_rdkit(some: Any) -> None:
    objects, mols = some
    quality, access = [QED.qed(mol) for mol in mols], [sascorer.calculateScore(mol) for mol in mols]
    ease = [(10 - sa) / 9 for sa in access]
    np.testing.assert_allclose(scored(objects), quality, rtol=1e-9)
    np.testing.assert_allclose(scored(objects, reward="sa", exponent=2.0), np.square(ease), rtol=1e-9)
    rings = [max([len(ring) for ring in mol.GetRingInfo().AtomRings()] or [0]) for mol in mols]
    logp = [Crippen.MolLogP(m) - sa - max(0, ring - 6) for m, sa, ring in zip(mols, access, rings, strict=True)]
    np.testing.assert_allclose(scored(objects, reward="penalized_logp"), np.maximum(np.exp(logp), 1e-6), rtol=1e-9)
    product = scored(objects, reward={"qed": 2.0, "sa": 0.5})
    np.testing.assert_allclose(product, np.square(quality) * np.sqrt(ease), rtol=1e-9)
    target = Chem.MolFromSmiles("c1ccccc1CC(=O)N")
    prints = [AllChem.GetMorganFingerprintAsBitVect(mol, 2, 2048) for mol in (target, *mols)]
    similar = np.maximum(DataStructs.BulkTanimotoSimilarity(prints[0], prints[1:]), 1e-3)
    np.testing.assert_allclose(scored(objects, reward="similarity", target="NC(=O)Cc1ccccc1"), similar, rtol=1e-9)
    np.testing.assert_allclose(scored(objects, floor=0.5), np.maximum(quality, 0.5), rtol=1e-9)


def test_callables_on_mols_and_smiles(some: Any) -> None:
    objects, mols = some
    np.testing.assert_allclose(scored(objects, reward=QED.qed), scored(objects), rtol=1e-12)
    lengths = scored(objects, reward=len, reward_of="smiles")
    np.testing.assert_allclose(lengths, [len(Chem.MolToSmiles(mol)) for mol in mols], rtol=1e-12)
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="allowed: finite and > 0"):
            scored(objects, reward=lambda mol, value=value: value)


def test_objects_are_molecules() -> None:
    dag = FragmentMolecule(reward="sa", exponent=2.0)
    objects = walks(dag, 5)
    assert dag.has("molecules")
    assert [Chem.MolToSmiles(mol) for mol in dag.molecules(objects)] == dag.to_smiles(objects)
    image = dag.draw_molecules(objects, 3, (120, 100))
    assert (image.shape, image.dtype) == ((200, 360, 3), np.uint8)
    assert np.ptp(image) > 0


def test_scores_are_computed_once_in_one_batch() -> None:
    calls: list[Any] = []
    dag = FragmentMolecule(reward=lambda mol: calls.append(mol) or 1.5, min_blocks=1)
    objects = np.repeat(walks(dag, 5), 3, axis=0)
    for _ in range(2):
        dag.log_reward(objects)
    assert len(calls) == len(np.unique(objects[:, :-1], axis=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "qde"}, "unknown reward 'qde'; allowed: qed, sa, penalized_logp, similarity, seh"),
        ({"reward": {"qed": 1.0, "x": 2.0}}, "unknown reward 'x'"),
        ({"reward": {}}, "a product needs scores with finite powers"),
        ({"reward": {"qed": math.inf}}, "a product needs scores with finite powers"),
        ({"reward": 3}, "reward must be a name, a mapping from names to powers, or a callable, got 3"),
        ({"reward": "similarity"}, "target, a SMILES, goes with the reward 'similarity'"),
        ({"target": "CC"}, "target, a SMILES, goes with the reward 'similarity'"),
        ({"reward": "similarity", "target": "CQ"}, "target 'CQ' is not a valid SMILES"),
        ({"reward_of": "graph"}, "reward_of must be 'mol' or 'smiles', got 'graph'"),
        ({"exponent": 0.0}, "exponent must be finite and > 0, got 0.0"),
        ({"floor": -1.0}, "floor must be finite and >= 0, got -1.0"),
        ({"max_blocks": 1}, "max_blocks must be an integer >= 2, got 1"),
        ({"min_blocks": 9}, "min_blocks must be at most max_blocks, got min_blocks=9, max_blocks=8"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        FragmentMolecule(**arguments)


def test_distances_modes_and_pictures(some: Any) -> None:
    objects, mols = some
    dag = FragmentMolecule(min_blocks=3, mode_threshold=0.4)
    table = dag.distance(objects, objects[:5])
    prints = [AllChem.GetMorganFingerprintAsBitVect(mol, 2, 2048) for mol in mols]
    expected = [[1 - DataStructs.TanimotoSimilarity(a, b) for b in prints[:5]] for a in prints]
    np.testing.assert_allclose(table, expected, atol=1e-12)
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    modes, scores = dag.mode_index(objects), np.array([QED.qed(mol) for mol in mols])
    np.testing.assert_array_equal(modes >= 0, scores >= 0.4)
    assert (modes >= 0).any()
    scaffolds = [MurckoScaffoldSmiles(mol=mol) for mol in mols]
    for i, j in itertools.combinations(np.flatnonzero(modes >= 0), 2):
        assert (modes[i] == modes[j]) == (scaffolds[i] == scaffolds[j])
    pictures = [dag.render_image(state) for state in (dag.source(1)[0], *objects[:3])]
    assert {picture.shape for picture in pictures} == {(300, 300, 3)}
    assert pictures[0].min() == 255 > pictures[1].min()
    assert dag.render_text(dag.source(1)[0]) == "(empty)"


# ---------------------------------------------------------------------- the sEH proxy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.01 * x)


def proxy_oracle(parameters: Sequence[np.ndarray], mol: Any, stems: Sequence[int]) -> float:
    """One molecule in float64, atom by atom and bond by bond."""
    w = [np.asarray(a, dtype=np.float64) for a in parameters]
    matrix = [(w[6] @ leaky(w[4] @ one_hot + w[5]) + w[7]).reshape(64, 64) for one_hot in np.eye(4)]
    nodes = []
    for atom in mol.GetAtoms():
        x = np.zeros(71)
        symbols = ["H", "C", "N", "O", "F"]
        x[symbols.index(atom.GetSymbol()) if atom.GetSymbol() in symbols else 5] = 1
        x[9] = atom.GetIsAromatic()
        kinds = [Chem.HybridizationType.SP, Chem.HybridizationType.SP2, Chem.HybridizationType.SP3]
        x[10:13] = [atom.GetHybridization() == kind for kind in kinds]
        x[13] = atom.GetTotalNumHs()
        x[14 + atom.GetAtomicNum() - 1] = 1
        x[70] = atom.GetIdx() in stems or (not stems and atom.GetIdx() == 0)
        nodes.append(leaky(w[0] @ x + w[1]))
    types = [Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC]
    for _ in range(12):
        updated = []
        for atom in mol.GetAtoms():
            messages = []
            for bond in atom.GetBonds():
                other = nodes[bond.GetOtherAtomIdx(atom.GetIdx())]
                messages.append(other @ matrix[types.index(bond.GetBondType())])
            mean = np.mean(messages, axis=0) if messages else 0.0
            x, h = leaky(mean + nodes[atom.GetIdx()] @ w[2].T + w[3]), nodes[atom.GetIdx()]
            (xr, xz, xn), (hr, hz, hn) = np.split(w[8] @ x + w[10], 3), np.split(w[9] @ h + w[11], 3)
            z = sigmoid(xz + hz)
            updated.append((1 - z) * np.tanh(xn + sigmoid(xr + hr) * hn) + z * h)
        nodes = updated
    atoms, star, hidden, cell = np.array(nodes), np.zeros(128), np.zeros(64), np.zeros(64)
    for _ in range(3):
        i, f, g, o = np.split(w[16] @ star + w[18] + w[17] @ hidden + w[19], 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        attention = np.exp(atoms @ hidden)
        star = np.concatenate([hidden, attention @ atoms / attention.sum()])
    return float((w[20] @ star + w[21])[0])


def random_parameters() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.normal(size=s) / math.sqrt(s[-1]) * 0.8).astype(np.float32) for s in seh.SHAPES]


def stems_of(dag: FragmentMolecule, states: np.ndarray) -> list[list[int]]:
    return [dag.stem_atoms(state) for state in states]


@pytest.mark.parametrize("where", ["random", pytest.param("published", marks=pytest.mark.data("seh-proxy"))])
def test_the_proxy_agrees_with_one_molecule_at_a_time(where: str, some: Any) -> None:
    parameters = random_parameters() if where == "random" else seh.published_parameters()
    objects, mols = some
    dag = FragmentMolecule(min_blocks=3)
    stems = stems_of(dag, objects)
    odd = [Chem.MolFromSmiles(s) for s in ("C", "C#CBr", "O=S(=O)(O)c1ccc2[nH]ccc2c1", "[NH3+]C[Si](C)(C)C")]
    mols, stems = [*mols, *odd], [*stems, [], [1], [0, 4], []]
    proxy = seh.SEHProxy(parameters)
    found = proxy(mols, stems)
    expected = [proxy_oracle(parameters, mol, s) for mol, s in zip(mols, stems, strict=True)]
    assert np.ptp(expected) > 1e-2
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    # The same to the bit, alone or in any batch.
    alone = np.concatenate([proxy([mol], [s]) for mol, s in zip(mols, stems, strict=True)])
    np.testing.assert_array_equal(found, alone)
    np.testing.assert_array_equal(proxy(mols[::-1], stems[::-1])[::-1], found)


@pytest.mark.data("seh-proxy")
def test_the_seh_reward_is_the_published_form(some: Any) -> None:
    objects, mols = some
    p = [
        proxy_oracle(seh.published_parameters(), m, s)
        for m, s in zip(mols, stems_of(FragmentMolecule(), objects), strict=True)
    ]
    expected = 10 * np.log(np.maximum(0.1, p) / 8)
    np.testing.assert_allclose(FragmentMolecule(reward="seh").log_reward(objects), expected, rtol=0, atol=1e-2)


def test_what_the_proxy_does_not_know() -> None:
    proxy = seh.SEHProxy(random_parameters())
    with pytest.raises(ValueError, match="knows elements 1 to 56, got Au"):
        proxy([Chem.MolFromSmiles("C[Au]")], [[]])
    with pytest.raises(ValueError, match="without atoms"):
        proxy([Chem.Mol()], [[]])
