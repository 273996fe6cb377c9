"""Rules for molecules of single atoms: elements, bonds and rings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gfn_envs.envs.molecules.bonds import BondPairs, is_element, texts
from gfn_envs.envs.molecules.kinds import chemistry
from gfn_envs.validation import shown


@dataclass(frozen=True)
class Rules:
    """Rules for the contents of molecules. Removing an atom or a ring bond never breaks a rule.

    Attributes:
        forbidden_bonds: pairs of elements that may not be bonded.
        max_rings: largest number of rings, bonds - atoms + 1; None: any.
        min_ring_size: smallest number of atoms in a ring.
        strained: whether rings may have triple bonds and cumulated double bonds.
    """

    forbidden_bonds: BondPairs
    max_rings: int | None
    min_ring_size: int
    strained: bool

    def allow_rings(self, mol: Any) -> bool:
        """True if a sanitized Mol breaks no rule on rings."""
        atoms, rings = range(mol.GetNumAtoms()), mol.GetRingInfo()
        if self.max_rings is not None and mol.GetNumBonds() - len(atoms) + 1 > self.max_rings:
            return False
        if any(rings.NumAtomRings(i) and rings.MinAtomRingSize(i) < self.min_ring_size for i in atoms):
            return False
        if self.strained:
            return True
        doubles = [0] * len(atoms)
        for bond in mol.GetBonds():
            order = bond.GetBondTypeAsDouble() if bond.IsInRing() else 0
            if order == 3:
                return False
            for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
                doubles[atom] += order == 2
        return max(doubles, default=0) < 2


def check_molecule(mol: Any, valence: Mapping[str, int], rules: Rules) -> None:
    """Raise ValueError, with the reason, if a sanitized Mol has other atoms or bonds, or marks that would be lost.

    Args:
        mol: the molecule.
        valence: valence of each element.
        rules: for the forbidden bonds.
    """
    chem = chemistry()
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        if symbol not in valence:
            raise ValueError(f"has {symbol}; allowed: {', '.join(valence)}")
        if atom.GetFormalCharge() or atom.GetNumRadicalElectrons() or atom.GetTotalValence() != valence[symbol]:
            raise ValueError(f"has {symbol} with a charge, a radical or a valence other than {valence[symbol]}")
        if atom.GetIsotope() or atom.GetAtomMapNum() or atom.GetChiralTag() != chem.ChiralType.CHI_UNSPECIFIED:
            raise ValueError("has an isotope, an atom map number or a chiral center, which states do not keep")
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()
        if rules.forbidden_bonds.has(*ends):
            raise ValueError(f"has a bond {'-'.join(ends)}, which is forbidden")
        if bond.GetStereo() > chem.BondStereo.STEREOANY:
            raise ValueError("has a stereo double bond, which states do not keep")


def symbols(elements: str | Sequence[str], where: str) -> list[str]:
    """Symbols of distinct elements with a default valence >= 1, from a list or text with commas.

    Raises:
        TypeError: ``elements`` is neither.
        ValueError: one is not an element, is hydrogen, makes no bonds, or is listed twice.
    """
    given = elements.split(",") if isinstance(elements, str) else texts(elements, where, "elements")
    found = [symbol.strip() for symbol in given]
    for symbol in found:
        if not is_element(symbol) or symbol == "H":
            raise ValueError(f"{where}: elements must be symbols such as 'C' and 'Cl', not H, got {shown(symbol)}")
        if chemistry().GetPeriodicTable().GetDefaultValence(symbol) < 1:
            raise ValueError(f"{where}: {symbol} has no valence for bonds")
    if not found or len(set(found)) < len(found):
        raise ValueError(f"{where}: elements must be at least one, each once, got {shown(elements)}")
    return found
