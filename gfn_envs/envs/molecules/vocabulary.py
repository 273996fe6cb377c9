"""Vocabularies of building blocks: from SMILES with attachment points, or the 105 published blocks.

A *kind* is a block with its stems, the attachment points at which other blocks can be bonded. An atom can have several
stems. An *arm* is a kind and the position of the stem atom by which the kind is bonded when it is added.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import ordered

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


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Kinds, and the arms by which they are added.

    Attributes:
        kinds: distinct kinds of blocks.
        arms: (kind, position) of each arm, int64 (e, 2). Arms that an automorphism exchanges may both be listed.
        names: name of each arm.
    """

    kinds: tuple[Kind, ...]
    arms: IntArray
    names: tuple[str, ...]


def load_vocabulary(blocks: str | os.PathLike[str] | Sequence[str] | None) -> Vocabulary:
    """A vocabulary by name, from a file, or from SMILES.

    Args:
        blocks: None for the packaged vocabulary; "pdb105" for the 105 blocks of Bengio et al. 2021 (data set
            fragment-blocks); a sequence of SMILES with attachment points, such as ``"*c1ccc(*)cc1"``; or the path of a
            text file with one such SMILES at the start of each line. A name may follow it, after spaces, a tab, a comma
            or a semicolon. A first line without an asterisk is a header if its first word is a name such as SMILES.

    Raises:
        TypeError: the blocks have no order, such as a set, or labels that would be dropped, such as a mapping.
        ValueError: a row is not a valid block, or the file is not UTF-8; the message has the number of the line.
        FileNotFoundError: the file does not exist.
        DatasetError: the published blocks are not available.
    """
    if blocks is None:
        return packaged_vocabulary()
    if isinstance(blocks, str) and blocks == "pdb105":
        return published(json.loads(datasets.read("fragment-blocks")))
    if isinstance(blocks, (str, os.PathLike)):
        numbers, smiles = _read(Path(blocks))
        return from_smiles(smiles, f"FragmentMolecule: {blocks}", "line", numbers)
    ordered_blocks = ordered(blocks, "FragmentMolecule", "blocks")
    if not hasattr(ordered_blocks, "__len__"):
        raise TypeError(f"FragmentMolecule: blocks must be a list of SMILES or a path, got {blocks!r}")
    return from_smiles(list(ordered_blocks), "FragmentMolecule: blocks")


#: First words of a line that names the columns of a file.
HEADERS = ("smiles", "smi", "block", "blocks", "fragment", "fragments", "structure", "canonical_smiles", "molecule")


def _read(path: Path) -> tuple[list[int], list[str]]:
    """The line numbers and SMILES of a text file."""
    numbers: list[int] = []
    smiles: list[str] = []
    for number, line in enumerate(read_text(path, "FragmentMolecule").splitlines(), 1):
        # SMILES have neither of these separators.
        words = re.split(r"[\s,;]+", line.strip(), maxsplit=1)
        word = words[0].strip("\"'")
        if not line.strip() or (not numbers and word.lower() in HEADERS):
            continue
        if not word or ("*" not in word and len(words) > 1 and "*" in words[1]):
            raise ValueError(
                f"FragmentMolecule: {path}, line {number}: the line must begin with the SMILES of a block, got {line!r}"
            )
        numbers.append(number)
        smiles.append(word)
    return numbers, smiles


def packaged_blocks() -> list[str]:
    """SMILES of the packaged vocabulary."""
    text = importlib.resources.files("gfn_envs").joinpath("data", "fragments.json").read_text("utf-8")
    return list(json.loads(text).values())


def from_smiles(
    blocks: Sequence[str], where: str, row: str = "row", numbers: Sequence[int] | None = None
) -> Vocabulary:
    """A vocabulary from SMILES, in which each asterisk is a stem, and every stem is an arm.

    Blocks with stereochemistry, isotopes or atom map numbers raise, because trees of blocks do not keep them.

    Args:
        blocks: the SMILES.
        where: prefix of error messages.
        row: name of a row in error messages.
        numbers: number of each row in error messages; None: 0, 1, ...

    Raises:
        ValueError: there are no rows; a SMILES is invalid, has no attachment point, or has marks that would be lost; or
            a block is listed twice.
    """
    if not blocks:
        raise ValueError(f"{where}: a vocabulary must have at least one block")
    kinds: dict[str, Kind] = {}
    first: dict[str, int] = {}
    arms: list[tuple[int, int]] = []
    for number, smiles in zip(numbers or range(len(blocks)), blocks, strict=True):
        try:
            _check_marks(smiles)
            kind, _ = make_kind(*_split(smiles))
        except ValueError as error:
            raise ValueError(f"{where}, {row} {number}: {smiles!r} {error}") from None
        if kind.smiles in kinds:
            raise ValueError(f"{where}, {row} {number}: {smiles!r} is the same block as {row} {first[kind.smiles]}")
        # One arm per class of positions that automorphisms exchange.
        arms += [(len(kinds), int(p)) for p in np.unique(kind.automorphisms.min(0))]
        kinds[kind.smiles], first[kind.smiles] = kind, number
    return _vocabulary(list(kinds.values()), arms)


def published(tables: Any) -> Vocabulary:
    """A vocabulary from the tables of Bengio et al. 2021.

    ``block_smi`` has the SMILES of each entry, and ``block_r`` the atoms with stems, of which the first is the arm.
    Entries with the same SMILES and stems are one kind with several arms.

    Raises:
        ValueError: a table is missing, or an entry is not a valid block; the message has its key.
    """
    try:
        entries = [(key, tables["block_smi"][key], list(tables["block_r"][key])) for key in tables["block_smi"]]
    except (KeyError, TypeError):
        raise ValueError("blocks: expected the tables block_smi and block_r, with the same keys") from None
    kinds: dict[str, Kind] = {}
    arms: list[tuple[int, int]] = []
    for key, smiles, stems in entries:
        try:
            kind, position = make_kind(_parsed(smiles), stems)
        except ValueError as error:
            raise ValueError(f"blocks, entry {key}: {smiles!r} {error}") from None
        kinds.setdefault(kind.smiles, kind)
        arms.append((list(kinds).index(kind.smiles), position[stems[0]]))
    return _vocabulary(list(kinds.values()), arms)


def _vocabulary(kinds: list[Kind], arms: list[tuple[int, int]]) -> Vocabulary:
    names = tuple(kinds[k].smiles if len(kinds[k].atoms) == 1 else f"{kinds[k].smiles} by {p}" for k, p in arms)
    return Vocabulary(tuple(kinds), np.array(arms, dtype=np.int64), names)


# ---------------------------------------------------------------------- single blocks


def _parsed(smiles: str) -> Any:
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


def _check_marks(smiles: str) -> None:
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


def _split(smiles: str) -> tuple[Any, list[int]]:
    """The Mol with hydrogens instead of asterisks, and the atom that each asterisk is bonded to.

    Raises:
        ValueError: the SMILES is invalid, or an asterisk is not an attachment point.
    """
    chem = chemistry()
    mol = _parsed(smiles)
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
    capped, atoms_of_stems = _split(smiles)
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


@functools.cache
def packaged_vocabulary() -> Vocabulary:
    """The packaged vocabulary; repeated calls return the same object."""
    return from_smiles(packaged_blocks(), "the packaged vocabulary")
