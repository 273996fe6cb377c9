"""RDKit molecules of block trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.kinds import Kind, chemistry, drop_hydrogen


class MoleculeBuilder:
    """Builds the Mol of a tree from the Mols of its blocks.

    Args:
        kinds: the kinds of blocks.
    """

    def __init__(self, kinds: Sequence[Kind]):
        self.kinds = kinds

    def mol(self, kind: Sequence[int], parent: Sequence[int], port: Sequence[int], entry: Sequence[int]) -> Any:
        """The sanitized Mol of one tree, whose fields are those of :class:`Trees`, each of m numbers.

        The atoms are in the order of the blocks. Open stems carry hydrogens.
        """
        chem = chemistry()
        mol = chem.RWMol()
        starts = self._starts(kind)
        for k in kind[: len(starts)]:
            mol.InsertMol(self.kinds[k - 1].mol)
        for block in range(1, len(starts)):
            ends = (parent[block], port[block]), (block, entry[block])
            atoms = [starts[b] + self.kinds[kind[b] - 1].atoms[position] for b, position in ends]
            for atom in atoms:
                drop_hydrogen(mol.GetAtomWithIdx(atom))
            mol.AddBond(*atoms, chem.BondType.SINGLE)
        chem.SanitizeMol(mol)
        return mol.GetMol()

    def stem_atoms(self, kind: Sequence[int], open_stems: IntArray) -> list[int]:
        """Indices of the atoms of the Mol with open stems, each repeated once per open stem.

        ``open_stems`` (m, s) has the number of open stems at each position of each block.
        """
        starts = self._starts(kind)
        blocks, positions = open_stems.nonzero()
        pairs = zip(blocks.tolist(), positions.tolist(), strict=True)
        return [starts[b] + self.kinds[kind[b] - 1].atoms[p] for b, p in pairs for _ in range(open_stems[b, p])]

    def _starts(self, kind: Sequence[int]) -> list[int]:
        """Index of the first atom of each block."""
        starts, total = [], 0
        for k in kind:
            if k:
                starts.append(total)
                total += self.kinds[k - 1].mol.GetNumAtoms()
        return starts
