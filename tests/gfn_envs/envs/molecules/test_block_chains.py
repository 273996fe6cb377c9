"""Strings of blocks as molecules: bonds, formulas and distances, against molecules that are known."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from gfn_envs import QM9Str, SEHStr
from gfn_envs.envs.molecules.block_chains import BlockChains

#: Carbon, para-phenylene, an amide read from nitrogen to carbon, and pyrrole bonded by its nitrogen.
BLOCKS = BlockChains([("C", (0, 0)), ("c1ccccc1", (0, 3)), ("NC=O", (0, 1)), ("c1cc[nH]c1", (3, 0))])
HYDROGEN = 1.008


@pytest.mark.parametrize(
    ("row", "smiles"),
    [
        ([0, 0, 0], "CCC"),
        ([0, 1, 0], "Cc1ccc(C)cc1"),
        ([1, 2, 0], "CC(=O)Nc1ccccc1"),  # Acetanilide: phenyl at nitrogen, methyl at carbon.
        ([0, 2, 1], "CNC(=O)c1ccccc1"),  # The other direction: N-methylbenzamide.
        ([1, 3, 0], "Cc1ccn(-c2ccccc2)c1"),  # The hydrogen of the pyrrole is gone.
        ([2], "NC=O"),
        ([0, 4, 0], "CC"),  # 4 is an empty position.
        ([4, 4], ""),
    ],
)
def test_known_molecules(row: list[int], smiles: str) -> None:
    assert BLOCKS.smiles(np.array([row])) == [Chem.CanonSmiles(smiles) if smiles else ""]


@pytest.mark.data("sehstr-blocks", "qm9str-blocks", "sehstr-model", "qm9str")
@pytest.mark.parametrize("make", [SEHStr, QM9Str])
def test_each_bond_takes_two_hydrogens(make: type[SEHStr | QM9Str]) -> None:
    dag = make()
    alone = np.full((dag.num_letters, dag.length), dag.num_letters)  # One block, and empty positions.
    alone[:, 0] = np.arange(dag.num_letters)
    one = dag.block_chains.mols(alone)
    weights = np.array([Descriptors.MolWt(mol) for mol in one])
    tokens = np.random.default_rng(0).integers(dag.num_letters, size=(200, dag.length))
    found = [Descriptors.MolWt(mol) for mol in dag.block_chains.mols(tokens)]
    assert found == pytest.approx(weights[tokens].sum(1) - 2 * HYDROGEN * (dag.length - 1), abs=1e-6)
    with pytest.raises(ValueError, match=r"expected blocks of shape"):  # Whole states have one number more.
        dag.block_chains.mols(np.column_stack([tokens, tokens[:, 0]]))
    with pytest.raises(ValueError, match=r"expected blocks of shape"):
        dag.block_chains.mols(tokens[0])
    smiles = dag.block_chains.smiles(tokens)
    assert [Chem.CanonSmiles(text) for text in smiles] == smiles  # RDKit reads each of them again.


def test_distances_are_those_of_similar_molecules() -> None:
    distances = BLOCKS.distances(np.array([[0, 1], [1, 0], [2, 3]]))
    assert np.diag(distances) == pytest.approx(0)
    assert distances[0, 1] == 0  # Toluene from both sides.
    assert 0.5 < distances[0, 2] <= 1
    assert (distances == distances.T).all()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (("C", (0, 1)), r"block C: expected two atoms below 1, got \[0, 1\]"),
        (("CC", (0,)), r"block CC: expected two atoms below 2, got \[0\]"),
        (("C(", (0, 0)), "is not a valid SMILES"),
    ],
)
def test_bad_blocks_raise(block: tuple[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BlockChains([block])
