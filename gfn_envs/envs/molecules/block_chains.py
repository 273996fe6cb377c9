"""Molecules of blocks with two attachment points each, bonded in a line, as published for QM9str and sEHstr."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.molecules import scores
from gfn_envs.envs.molecules.kinds import bond_type, chemistry, drop_hydrogens, parsed


class BlockChains:
    """Molecules as rows of block numbers.

    The second attachment point of a block is bonded to the first one of the block to its right.

    Args:
        blocks: the SMILES of each block and the indices of its two attachment points among its atoms. Both may be the
            same atom.
        length: number of positions of a row; None: any.

    Raises:
        ValueError: a SMILES is invalid, or a block has no such atoms.
        ImportError: RDKit is not installed.
    """

    def __init__(self, blocks: Iterable[tuple[str, Sequence[int]]], length: int | None = None):
        self.length = length
        self._blocks: list[tuple[Any, int, int]] = []
        for smiles, points in blocks:
            mol = parsed(smiles)
            if len(points) != 2 or not all(0 <= atom < mol.GetNumAtoms() for atom in points):
                raise ValueError(f"block {smiles}: expected two atoms below {mol.GetNumAtoms()}, got {list(points)}")
            self._blocks.append((mol, *points))

    def mols(self, tokens: IntArray) -> list[Any]:
        """A sanitized RDKit Mol per row of ``tokens`` (n, length), the numbers of its blocks from left to right.

        Open attachment points carry hydrogens. Numbers that are no block, which stand for empty positions, are left
        out.

        Raises:
            ValueError: the rows have another length, as whole states have.
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or (self.length is not None and tokens.shape[1] != self.length):
            raise ValueError(f"expected blocks of shape (n, {self.length or 'length'}), got {tokens.shape}")
        return [self._mol([k for k in row if 0 <= k < len(self._blocks)]) for row in tokens.tolist()]

    def smiles(self, tokens: IntArray) -> list[str]:
        """Canonical SMILES of :meth:`mols`."""
        return [chemistry().MolToSmiles(mol) for mol in self.mols(tokens)]

    def distances(self, tokens: IntArray) -> FloatArray:
        """Tanimoto distances, 1 - similarity of Morgan fingerprints (radius 2, 1024 bits), float64 (n, n).

        They are the distances of Shen et al. 2023.
        """
        prints = [scores.fingerprint(mol, 1024) for mol in self.mols(tokens)]
        return 1.0 - scores.similarities(prints, prints)

    def _mol(self, row: Sequence[int]) -> Any:
        chem = chemistry()
        mol, end = chem.RWMol(), -1
        for k in row:
            block, first, second = self._blocks[k]
            start = mol.GetNumAtoms()
            mol.InsertMol(block)
            if end >= 0:
                mol.AddBond(end, start + first, bond_type(1))
                for atom in (end, start + first):
                    drop_hydrogens(mol.GetAtomWithIdx(atom), 1)
            end = start + second
        chem.SanitizeMol(mol)
        return mol.GetMol()


@functools.lru_cache(maxsize=4)
def published(name: str, checksum: str, length: int) -> BlockChains:
    """The blocks of a data set: a JSON object with ``block_smi`` and ``block_r``, by number.

    Args:
        name: "qm9str-blocks" or "sehstr-blocks".
        checksum: that of the data set, so that a replaced file is read again.
        length: number of positions of a row.

    Raises:
        DatasetError: the data set is not available.
    """
    table = json.loads(datasets.read(name))
    numbers = sorted(table["block_smi"], key=int)
    return BlockChains(((table["block_smi"][i], table["block_r"][i]) for i in numbers), length)
