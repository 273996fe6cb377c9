"""One building block: from a SMILES to a :class:`Kind`, with stems and symmetries. vocabulary.py defines the words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


def without_log() -> Any:
    """A context in which RDKit prints nothing. Raises ImportError as :func:`chemistry` does."""
    chemistry()
    from rdkit import rdBase

    return rdBase.BlockLogs()


class Stem(NamedTuple):
    """An attachment point: its atom, its label, 0 if it has none, and the order of its bond, 1 or 2."""

    atom: int
    label: int = 0
    order: int = 1


@dataclass(frozen=True)
class Kind:
    """A block with its stems.

    Attributes:
        smiles: canonical SMILES with an asterisk per stem, and its label as the isotope.
        mol: RDKit Mol with hydrogens instead of the stems.
        atoms: atom index at each position, ascending, s integers. Stems of one atom with different labels or orders
            have different positions.
        capacity: number of stems at each position, s integers.
        labels: label of the stems at each position, 0 if they have none, s integers.
        orders: order of the bonds of the stems at each position, 1 or 2, s integers.
        automorphisms: image of each position under each automorphism, (g, s).
    """

    smiles: str
    mol: Any
    atoms: tuple[int, ...]
    capacity: tuple[int, ...]
    labels: tuple[int, ...]
    orders: tuple[int, ...]
    automorphisms: IntArray

    def element(self, position: int) -> str:
        """Symbol of the atom at a position."""
        return str(self.mol.GetAtomWithIdx(self.atoms[position]).GetSymbol())


def parse_quietly(smiles: Any) -> Any:
    """The sanitized Mol of a SMILES, or None if it is invalid, without RDKit's log."""
    with without_log():
        return chemistry().MolFromSmiles(smiles) if isinstance(smiles, str) else None


def parsed(smiles: str) -> Any:
    """The sanitized Mol of a SMILES.

    Raises:
        ValueError: the SMILES is invalid, or is not one connected molecule.
    """
    mol = parse_quietly(smiles)
    if mol is None:
        raise ValueError("is not a valid SMILES")
    if len(chemistry().GetMolFrags(mol)) != 1:
        raise ValueError("must be one connected molecule")
    return mol


def without_stereo(mol: Any) -> Any:
    """The Mol of a published block, which has no stereochemistry in its tables."""
    chemistry().RemoveStereochemistry(mol)
    return mol


def marked(smiles: str) -> Any:
    """The sanitized Mol of the SMILES of a block, all of whose marks a tree of blocks keeps.

    Stereochemistry is kept unless it involves an attachment point, where the rest of the molecule decides its meaning.

    Raises:
        ValueError: the SMILES is invalid, is not one connected molecule, or has a mark that would be lost.
    """
    chem, mol = chemistry(), parsed(smiles)
    for atom in mol.GetAtoms():  # [*:1] is another way to write [1*].
        if not atom.GetAtomicNum() and atom.GetAtomMapNum() and not atom.GetIsotope():
            atom.SetIsotope(atom.GetAtomMapNum())
            atom.SetAtomMapNum(0)
    at_stem = {other.GetIdx() for atom in mol.GetAtoms() if not atom.GetAtomicNum() for other in atom.GetNeighbors()}
    centers = {atom.GetIdx() for atom in mol.GetAtoms() if atom.GetChiralTag() != chem.ChiralType.CHI_UNSPECIFIED}
    double = [bond for bond in mol.GetBonds() if bond.GetStereo() > chem.BondStereo.STEREOANY]
    ends = {atom for bond in double for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
    found = {
        "an isotope": any(atom.GetIsotope() for atom in mol.GetAtoms() if atom.GetAtomicNum()),
        "an atom map number": any(atom.GetAtomMapNum() for atom in mol.GetAtoms()),
        "a chiral center (@) at an attachment point": centers & at_stem,
        "a stereo double bond (/ or \\) at an attachment point": ends & at_stem,
        # RDKit drops marks without a meaning in the block, such as a center with two equal branches.
        "a chiral center (@) with equal neighbors": len(re.findall("@+", smiles)) > len(centers),
        "a stereo mark (/ or \\) without a stereo double bond": {"/", "\\"} & set(smiles) and not double,
    }
    for mark, present in found.items():
        if present:
            raise ValueError(f"has {mark}, which blocks do not keep; leave it out")
    return mol


def split(mol: Any) -> tuple[Any, list[Stem]]:
    """The Mol with hydrogens instead of asterisks, one per order of the bond; and the stem of each asterisk.

    Raises:
        ValueError: an asterisk is not an attachment point.
    """
    chem = chemistry()
    mol, orders = chem.RWMol(mol), {chem.BondType.SINGLE: 1, chem.BondType.DOUBLE: 2}
    dummies = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
    if not dummies:
        raise ValueError("has no attachment point (an asterisk, as in '*C')")
    if len(dummies) == mol.GetNumAtoms():
        raise ValueError("has no atoms except attachment points")
    for dummy in dummies:
        bonds = dummy.GetBonds()
        one = len(bonds) == 1 and bonds[0].GetBondType() in orders
        if not one or bonds[0].GetOtherAtom(dummy).GetAtomicNum() == 0:
            raise ValueError("has an attachment point not bonded to exactly one atom by a single or double bond")
    bonds = [dummy.GetBonds()[0] for dummy in dummies]
    stems = [
        Stem(bond.GetOtherAtomIdx(dummy.GetIdx()), dummy.GetIsotope(), orders[bond.GetBondType()])
        for dummy, bond in zip(dummies, bonds, strict=True)
    ]
    if any(stem.order == 2 for stem in stems):  # Aromatic rings can depend on double bonds at their atoms.
        chem.Kekulize(mol, clearAromaticFlags=True)
    kept = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum()]
    for dummy, bond, stem in zip(dummies, bonds, stems, strict=True):
        dummy.SetAtomicNum(1)
        dummy.SetIsotope(0)
        dummy.SetNoImplicit(True)
        bond.SetBondType(chem.BondType.SINGLE)
        for _ in range(stem.order - 1):
            mol.AddBond(stem.atom, mol.AddAtom(chem.Atom(1)), chem.BondType.SINGLE)
    capped = chem.RemoveHs(mol)
    if capped.GetNumAtoms() != len(kept):
        raise ValueError("has hydrogens that cannot be made implicit")
    return capped, [stem._replace(atom=kept.index(stem.atom)) for stem in stems]


def make_kind(mol: Any, stems: Sequence[Stem]) -> tuple[Kind, dict[int, int]]:
    """The kind of a Mol with hydrogens at its stems, and a position of each of their atoms.

    Raises:
        ValueError: there are no stems; an atom does not exist or lacks the valence for its stems; or the block has too
            many symmetries.
    """
    chem = chemistry()
    if not stems:
        raise ValueError("has no attachment point")
    for stem in stems:
        if not 0 <= stem.atom < mol.GetNumAtoms():
            raise ValueError(f"has no atom {stem.atom}")
    try:
        with without_log():
            marked = with_asterisks(mol, stems)
    except ValueError as error:
        raise ValueError(f"lacks the valence for its stems ({error})") from None
    smiles = chem.MolToSmiles(marked)
    written = [a for a in marked.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"] if a < mol.GetNumAtoms()]
    capped, found = split(parsed(smiles))
    places = sorted(set(found))
    capacity = tuple(found.count(place) for place in places)
    atoms, labels, orders = (tuple(values) for values in zip(*places, strict=True))
    kind = Kind(smiles, capped, atoms, capacity, labels, orders, _automorphisms(capped, places, capacity))
    return kind, {stem.atom: atoms.index(written.index(stem.atom)) for stem in stems}


def with_asterisks(mol: Any, stems: Sequence[Stem]) -> Any:
    """A sanitized copy with a dummy atom at each stem instead of hydrogens, with the label as its isotope."""
    chem = chemistry()
    marked = chem.RWMol(mol)
    for stem in stems:
        drop_hydrogens(marked.GetAtomWithIdx(stem.atom), stem.order)
        dummy = chem.Atom(0)
        dummy.SetIsotope(stem.label)
        marked.AddBond(stem.atom, marked.AddAtom(dummy), bond_type(stem.order))
    chem.SanitizeMol(marked)
    return marked


def bond_type(order: int) -> Any:
    """RDKit's type of a bond of order 1, 2 or 3."""
    types = chemistry().BondType
    return (types.SINGLE, types.DOUBLE, types.TRIPLE)[order - 1]


def drop_hydrogens(atom: Any, order: int) -> None:
    """Free the valences of a bond: remove explicit hydrogens, if any. RDKit recounts the implicit ones."""
    atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - order))


def _automorphisms(mol: Any, places: Sequence[Stem], capacity: Sequence[int]) -> IntArray:
    """Distinct permutations of the stem positions by the symmetries of a Mol, (g, s)."""

    def description(index: int) -> tuple[Any, ...]:
        atom = mol.GetAtomWithIdx(index)
        stems = tuple((*place[1:], c) for place, c in zip(places, capacity, strict=True) if place.atom == index)
        radicals = atom.GetNumRadicalElectrons()
        return atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetTotalNumHs(), radicals, stems

    # A substructure match does not compare hydrogens, so the descriptions do.
    described = [description(atom) for atom in range(mol.GetNumAtoms())]
    matches = mol.GetSubstructMatches(mol, uniquify=False, useChirality=True, maxMatches=100_000)
    images = {
        tuple(list(places).index(place._replace(atom=match[place.atom])) for place in places)
        for match in matches
        if all(described[atom] == described[image] for atom, image in enumerate(match))
    }
    if len(images) > MAX_AUTOMORPHISMS:
        raise ValueError(f"has {len(images)} symmetries; allowed: at most {MAX_AUTOMORPHISMS}")
    return np.array(sorted(images), dtype=np.int64).reshape(-1, len(places))
