"""FragmentMolecule: walks on full vocabularies, rewards by their definitions, the sEH proxy by loops."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import QED, AllChem, Crippen
from rdkit.Contrib.SA_Score import sascorer

from gfn_envs import FragmentMolecule
from gfn_envs.checker.explore import random_legal
from gfn_envs.envs.molecules import qed
from gfn_envs.envs.molecules import seh_proxy as seh
from tests.helpers import run_python

# ---------------------------------------------------------------------- full vocabularies


def dummies(mol: Any) -> list[int]:
    return [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]


def walks(dag: FragmentMolecule, n: int, seed: int = 0) -> np.ndarray:
    """Final states of n uniform walks. Every edge is undone and redone on the way."""
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
    """The molecule by RDKit's molzip, from blocks with numbered dummy atoms."""
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


def test_rewards_equal_those_of_rdkit(some: Any) -> None:
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
        ({"reward": {}}, "a product of scores needs at least one name, got {}"),
        ({"reward": {"qed": math.inf}}, "the power of qed must be finite, got inf"),
        ({"reward": 3}, "reward must be a name, a mapping from names to powers, or a callable, got 3"),
        ({"reward": "similarity"}, "target, a SMILES, must be given if and only if the reward is 'similarity'"),
        ({"target": "CC"}, "target, a SMILES, must be given if and only if the reward is 'similarity'"),
        ({"reward": "similarity", "target": "CQ"}, "target 'CQ' is not a valid SMILES"),
        ({"reward_of": "graph"}, "reward_of must be one of ('mol', 'smiles'), got 'graph'"),
        ({"exponent": 0.0}, "exponent must be finite and > 0, got 0.0"),
        ({"floor": -1.0}, "floor must be finite and >= 0, got -1.0"),
        ({"max_blocks": 1}, "max_blocks must be an integer from 2 to 200, got 1"),
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
    """The proxy of one molecule in float64, with loops over atoms and bonds."""
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
def test_the_proxy_equals_a_loop_over_atoms_and_bonds(where: str, some: Any) -> None:
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
    # Values are the same to the bit, alone and in any batch.
    alone = np.concatenate([proxy([mol], [s]) for mol, s in zip(mols, stems, strict=True)])
    np.testing.assert_array_equal(found, alone)
    np.testing.assert_array_equal(proxy(mols[::-1], stems[::-1])[::-1], found)


@pytest.mark.data("seh-proxy")
def test_the_seh_reward_is_the_published_formula(some: Any) -> None:
    objects, mols = some
    p = [
        proxy_oracle(seh.published_parameters(), m, s)
        for m, s in zip(mols, stems_of(FragmentMolecule(), objects), strict=True)
    ]
    expected = 10 * np.log(np.maximum(0.1, p) / 8)
    np.testing.assert_allclose(FragmentMolecule(reward="seh").log_reward(objects), expected, rtol=0, atol=1e-2)


def test_unsupported_molecules_raise() -> None:
    proxy = seh.SEHProxy(random_parameters())
    with pytest.raises(ValueError, match="supports elements 1 to 56, got Au"):
        proxy([Chem.MolFromSmiles("C[Au]")], [[]])
    with pytest.raises(ValueError, match="without atoms"):
        proxy([Chem.Mol()], [[]])


@pytest.mark.parametrize("blocks", [None, pytest.param("pdb105", marks=pytest.mark.data("fragment-blocks"))])
def test_properties_of_qed_are_those_of_rdkit(blocks: str | None) -> None:
    """Charges, rings of both kinds, open stems with hydrogens, and hydrogens that are atoms."""
    dag, rng = FragmentMolecule(blocks), np.random.default_rng(0)
    states, mols = (
        dag.source(60),
        [Chem.AddHs(Chem.MolFromSmiles("CCO")), Chem.MolFromSmiles("C1CC2CCC1CC2.[Na+].[Cl-]")],
    )
    while len(states):
        actions = np.array([rng.choice(np.flatnonzero(row)) for row in dag.forward_mask(states)])
        states = dag.step(states, actions)
        mols += dag.molecules(states)
        states = states[~dag.is_terminal(states)]
    rings = [[tuple(ring) for ring in mol.GetRingInfo().AtomRings()] for mol in mols]
    assert [qed.properties(mol) for mol in mols] == [QED.properties(mol) for mol in mols]
    assert rings == [[tuple(ring) for ring in mol.GetRingInfo().AtomRings()] for mol in mols]
    assert sum(QED.properties(mol).ALERTS > 0 for mol in mols) > 20


@pytest.mark.parametrize(
    "blocks",
    [
        None,
        pytest.param("pdb105", marks=pytest.mark.data("fragment-blocks")),
        ["*n1c(*)c(*)c2[nH]c(*)cc12", "*[N+](*)(*)C", "*C(*)=O", "*S(=O)(=O)*"],
    ],
)
def test_bonded_blocks_are_sanitized_as_a_whole_molecule_is(blocks: Any) -> None:
    """Sanitization leaves out steps that bonds between blocks do not need."""
    dag, rng, states = FragmentMolecule(blocks), np.random.default_rng(1), None
    states, seen = dag.source(40), []
    while len(states):
        states = dag.step(states, random_legal(dag.forward_mask(states), rng))
        seen += dag.molecules(states)
        states = states[~dag.is_terminal(states)]
    for mol in seen:
        whole = Chem.RWMol(mol)
        for atom in whole.GetAtoms():
            atom.SetHybridization(Chem.HybridizationType.UNSPECIFIED)
        for bond in whole.GetBonds():
            bond.SetIsConjugated(False)
        Chem.SanitizeMol(whole)
        assert described(whole) == described(mol)
        assert described(Chem.MolFromSmiles(Chem.MolToSmiles(mol)), ordered=False) == described(mol, ordered=False)


def described(mol: Any, ordered: bool = True) -> Any:
    """All that RDKit perceives, by atom and bond."""
    atoms = [
        (a.GetAtomicNum(), a.GetFormalCharge(), a.GetTotalNumHs(), a.GetNumRadicalElectrons(), a.GetIsAromatic())
        + (str(a.GetHybridization()), a.IsInRing(), a.GetTotalValence())
        for a in mol.GetAtoms()
    ]
    bonds = [(str(b.GetBondType()), b.GetIsAromatic(), b.GetIsConjugated(), b.IsInRing()) for b in mol.GetBonds()]
    return (atoms, bonds) if ordered else (sorted(atoms), sorted(bonds))
