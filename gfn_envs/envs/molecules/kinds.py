"""One building block: from a SMILES to a :class:`Kind`, with stems and symmetries. vocabulary.py defines the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray

#: Largest allowed number of automorphisms of a block. It limits memory: tables are as wide as the largest group.
MAX_AUTOMORPHISMS = 200


def chemistry() -> Any:
    """The module ``rdkit.Chem``.

    Raises:
        ImportError: RDKit is not installed; the message names the extra to install.
    """
    try:
        from rdkit import Chem
    except ImportError:
        raise ImportError('molecules need RDKit: pip install "gfn-envs[mols]"') from None
    return Chem


@dataclass(frozen=True)
class Kind:
    """A block with its stems.

    Attributes:
        smiles: canonical SMILES with an asterisk per stem.
        mol: RDKit Mol with hydrogens instead of the stems.
        atoms: atom index at each position, ascending, s integers.
        capacity: number of stems at each position, s integers.
        automorphisms: image of each position under each automorphism, (g, s).
    """

    smiles: str
    mol: Any
    atoms: tuple[int, ...]
    capacity: tuple[int, ...]
    automorphisms: IntArray


def parsed(smiles: str) -> Any:
    """The sanitized Mol of a SMILES, without stereochemistry, isotopes and atom map numbers.

    Raises:
        ValueError: the SMILES is invalid, or is not one connected molecule.
    """
    from rdkit import rdBase

    chem = chemistry()
    with rdBase.BlockLogs():
        mol = chem.MolFromSmiles(smiles) if isinstance(smiles, str) else None
    if mol is None:
        raise ValueError("is not a valid SMILES")
    if len(chem.GetMolFrags(mol)) != 1:
        raise ValueError("must be one connected molecule")
    chem.RemoveStereochemistry(mol)
    for atom in mol.GetAtoms():
        atom.SetIsotope(0)
        atom.SetAtomMapNum(0)
    return mol


def check_marks(smiles: str) -> None:
    """Raise ValueError if a valid SMILES has stereochemistry, isotopes or atom map numbers."""
    chem = chemistry()
    from rdkit import rdBase

    with rdBase.BlockLogs():
        mol = chem.MolFromSmiles(smiles) if isinstance(smiles, str) else None
    if mol is None:
        return
    atoms, bonds = mol.GetAtoms(), mol.GetBonds()
    for mark, found in (
        ("a chiral center (@)", any(atom.GetChiralTag() != chem.ChiralType.CHI_UNSPECIFIED for atom in atoms)),
        ("a stereo double bond (/ or \\)", any(bond.GetStereo() > chem.BondStereo.STEREOANY for bond in bonds)),
        ("an isotope", any(atom.GetIsotope() for atom in atoms)),
        ("an atom map number", any(atom.GetAtomMapNum() for atom in atoms)),
    ):
        if found:
            raise ValueError(f"has {mark}, which blocks do not keep; leave it out")


def split(smiles: str) -> tuple[Any, list[int]]:
    """The Mol with hydrogens instead of asterisks, and the atom that each asterisk is bonded to.

    Raises:
        ValueError: the SMILES is invalid, or an asterisk is not an attachment point.
    """
    chem = chemistry()
    mol = parsed(smiles)
    dummies = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    if not dummies:
        raise ValueError("has no attachment point (an asterisk, as in '*C')")
    if len(dummies) == mol.GetNumAtoms():
        raise ValueError("has no atoms except attachment points")
    for dummy in dummies:
        bonds = dummy.GetBonds()
        single = len(bonds) == 1 and bonds[0].GetBondType() == chem.BondType.SINGLE
        if not single or bonds[0].GetOtherAtom(dummy).GetAtomicNum() == 0:
            raise ValueError("has an attachment point that is not bonded to exactly one atom by a single bond")
    stems = [dummy.GetNeighbors()[0].GetIdx() for dummy in dummies]
    kept = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum()]
    for dummy in dummies:
        dummy.SetAtomicNum(1)
        dummy.SetNoImplicit(True)
    capped = chem.RemoveHs(mol)
    if capped.GetNumAtoms() != len(kept):
        raise ValueError("has hydrogens that cannot be made implicit")
    return capped, [kept.index(stem) for stem in stems]


def make_kind(mol: Any, stems: Sequence[int]) -> tuple[Kind, dict[int, int]]:
    """The kind of a Mol with stems at the given atoms, and the position of each of these atoms.

    Raises:
        ValueError: there are no stems; an atom does not exist or lacks the valence for its stems; or the block has too
            many symmetries.
    """
    from rdkit import rdBase

    chem = chemistry()
    if not stems:
        raise ValueError("has no attachment point")
    for stem in stems:
        if not 0 <= stem < mol.GetNumAtoms():
            raise ValueError(f"has no atom {stem}")
    try:
        with rdBase.BlockLogs():
            marked = with_asterisks(mol, stems)
    except ValueError as error:
        raise ValueError(f"lacks the valence for its stems ({error})") from None
    smiles = chem.MolToSmiles(marked)
    written = [a for a in marked.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"] if a < mol.GetNumAtoms()]
    capped, atoms_of_stems = split(smiles)
    atoms = sorted(set(atoms_of_stems))
    capacity = tuple(atoms_of_stems.count(atom) for atom in atoms)
    kind = Kind(smiles, capped, tuple(atoms), capacity, _automorphisms(capped, atoms, capacity))
    return kind, {stem: atoms.index(written.index(stem)) for stem in stems}


def with_asterisks(mol: Any, stems: Sequence[int]) -> Any:
    """A sanitized copy with a dummy atom bonded to each atom in ``stems``, once per listing."""
    chem = chemistry()
    marked = chem.RWMol(mol)
    for stem in stems:
        drop_hydrogen(marked.GetAtomWithIdx(stem))
        marked.AddBond(stem, marked.AddAtom(chem.Atom(0)), chem.BondType.SINGLE)
    chem.SanitizeMol(marked)
    return marked


def drop_hydrogen(atom: Any) -> None:
    """Free a valence for a bond: remove one explicit hydrogen, if any. RDKit recounts the implicit ones."""
    if atom.GetNumExplicitHs():
        atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)


def _automorphisms(mol: Any, atoms: Sequence[int], capacity: Sequence[int]) -> IntArray:
    """Distinct permutations of the stem positions by the symmetries of a Mol, (g, s)."""

    def label(atom: int) -> tuple[int, ...]:
        a = mol.GetAtomWithIdx(atom)
        stems = capacity[list(atoms).index(atom)] if atom in atoms else 0
        return a.GetAtomicNum(), a.GetFormalCharge(), a.GetTotalNumHs(), a.GetNumRadicalElectrons(), stems

    # A substructure match does not compare hydrogens, so the labels do.
    labels = [label(atom) for atom in range(mol.GetNumAtoms())]
    matches = mol.GetSubstructMatches(mol, uniquify=False, maxMatches=100_000)
    images = {
        tuple(list(atoms).index(match[atom]) for atom in atoms)
        for match in matches
        if all(labels[atom] == labels[image] for atom, image in enumerate(match))
    }
    if len(images) > MAX_AUTOMORPHISMS:
        raise ValueError(f"has {len(images)} symmetries; allowed: at most {MAX_AUTOMORPHISMS}")
    return np.array(sorted(images), dtype=np.int64).reshape(-1, len(atoms))
