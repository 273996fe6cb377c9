"""Canonical SMILES that do not depend on the order of atoms, also of cages where RDKit's do."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.kinds import chemistry

#: Orders of atoms that are tried if RDKit's ranks are ambiguous. Each gives each SMILES about equally often.
ORDERS_TRIED = 32


def automorphisms(mol: Any) -> IntArray:
    """The image of each atom under each symmetry of a sanitized Mol, hydrogens included, int64 (g, atoms)."""
    hydrogens = [atom.GetTotalNumHs() for atom in mol.GetAtoms()]
    matches = mol.GetSubstructMatches(mol, uniquify=False, maxMatches=1_000_000)
    # A substructure match does not compare hydrogens.
    return np.array([m for m in matches if all(hydrogens[a] == h for a, h in zip(m, hydrogens, strict=True))])


def canonical_smiles(mol: Any) -> str:
    """The canonical SMILES of a sanitized Mol.

    In some molecules of three or more rings, such as C12=C3C4C5=C6C1C25C364, RDKit's ranks tie atoms that no symmetry
    exchanges. Its SMILES then depends on the order of atoms (seen in 2026.09), and the first in the alphabet counts.
    """
    chem = chemistry()
    smiles, n = chem.MolToSmiles(mol), mol.GetNumAtoms()
    if mol.GetNumBonds() < n + 2:
        return str(smiles)
    classes = len(set(chem.CanonicalRankAtoms(mol, breakTies=False)))
    if classes == n or classes == len(np.unique(automorphisms(mol).min(0))):
        return str(smiles)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (ORDERS_TRIED, 1)), axis=1).tolist()
    return min(smiles, *(chem.MolToSmiles(chem.RenumberAtoms(mol, order)) for order in orders))
