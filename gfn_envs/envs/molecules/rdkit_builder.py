"""RDKit molecules of block trees."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.kinds import Kind, Stem, bond_type, chemistry, drop_hydrogens


@functools.cache
def _needed_steps() -> Any:
    """The steps of RDKit's sanitization that bonds between sanitized blocks need.

    A single bond in place of a hydrogen changes neither the aromaticity of a block nor its charges.
    """
    steps = chemistry().SanitizeFlags
    done = steps.SANITIZE_CLEANUP | steps.SANITIZE_CLEANUP_ORGANOMETALLICS | steps.SANITIZE_ADJUSTHS
    return steps.SANITIZE_ALL ^ done ^ steps.SANITIZE_KEKULIZE ^ steps.SANITIZE_SETAROMATICITY


class MoleculeBuilder:
    """Builds the Mol of a tree from the Mols of its blocks.

    Args:
        kinds: the kinds of blocks.
    """

    def __init__(self, kinds: Sequence[Kind]):
        self.kinds = kinds
        #: For each kind and position: True if hydrogens of the atom are explicit, so that a bond must remove one.
        self._explicit = [[k.mol.GetAtomWithIdx(a).GetNumExplicitHs() > 0 for a in k.atoms] for k in kinds]

    def mol(self, kind: Sequence[int], parent: Sequence[int], port: Sequence[int], entry: Sequence[int]) -> Any:
        """The sanitized Mol of one tree, whose fields are those of :class:`Trees`, each of m numbers.

        The atoms are in the order of the blocks. Open stems carry hydrogens.
        """
        chem, only_single = chemistry(), True
        mol = chem.RWMol()
        starts = self._starts(kind)
        for k in kind[: len(starts)]:
            mol.InsertMol(self.kinds[k - 1].mol)
        for block in range(1, len(starts)):
            atoms = []
            for b, position in ((parent[block], port[block]), (block, entry[block])):
                k = kind[b] - 1
                atoms.append(starts[b] + self.kinds[k].atoms[position])
                if self._explicit[k][position]:
                    drop_hydrogens(mol.GetAtomWithIdx(atoms[-1]), self.kinds[k].orders[position])
            order = self.kinds[kind[block] - 1].orders[entry[block]]
            mol.AddBond(*atoms, bond_type(order))
            only_single &= order == 1
        chem.SanitizeMol(mol, _needed_steps() if only_single else chem.SanitizeFlags.SANITIZE_ALL)
        return mol.GetMol()

    def stems(self, kind: Sequence[int], open_stems: IntArray) -> list[Stem]:
        """Each open stem, with its atom of the Mol.

        ``open_stems`` (m, s) has the number of open stems at each position of each block.
        """
        starts = self._starts(kind)
        blocks, positions = open_stems.nonzero()
        found: list[Stem] = []
        for b, p in zip(blocks.tolist(), positions.tolist(), strict=True):
            block = self.kinds[kind[b] - 1]
            found += [Stem(starts[b] + block.atoms[p], block.labels[p], block.orders[p])] * int(open_stems[b, p])
        return found

    def _starts(self, kind: Sequence[int]) -> list[int]:
        """Index of the first atom of each block."""
        starts, total = [], 0
        for k in kind:
            if k:
                starts.append(total)
                total += self.kinds[k - 1].mol.GetNumAtoms()
        return starts


def mol_block(mol: Any) -> str:
    """The MDL mol block of a Mol, with 2-D coordinates and an empty title."""
    from rdkit.Chem import rdDepictor

    drawn = chemistry().Mol(mol)
    rdDepictor.Compute2DCoords(drawn)
    return chemistry().MolToMolBlock(drawn)
