"""The backbone of one chain of a PDB file, in the columns of format version 3.3. No residue is left out silently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.proteins.amino_acids import LETTERS, THREE_LETTERS
from gfn_envs.validation import check_size

#: A coordinate: eight columns, of which the last four are a point and three digits.
_COORDINATE = re.compile(r" *-?[0-9]+\.[0-9]{3}")
#: The part of a line that only an atom has: name and number of its residue, and coordinates.
_LIKE_AN_ATOM = re.compile(r"\b[A-Z]{3,4}\s+\S?\s*-?[0-9]+[A-Z]?\s+(?:-?[0-9]+\.[0-9]{3}\s*){3}")
#: Records with such a part that are not atoms.
_OTHERS = ("ANISOU", "SIGATM", "SIGUIJ", "REMARK")
#: Number of columns of a line.
_LINE = 80


class Atom(NamedTuple):
    """An atom: its line from 1, whether it is a HETATM record, and the columns of its record without blanks."""

    line: int
    hetero: bool
    name: str
    location: str
    residue: str
    chain: str
    number: int
    insertion: str
    place: tuple[float, float, float]


@dataclass
class Residue:
    """Consecutive atoms of one chain that have the same residue number and insertion code."""

    atoms: list[Atom]

    @property
    def first(self) -> Atom:
        return self.atoms[0]

    @property
    def identity(self) -> tuple[str, int, str]:
        return self.first.chain, self.first.number, self.first.insertion

    def __str__(self) -> str:
        return f"{self.first.residue} {self.first.number}{self.first.insertion}"


def read_chain(text: str, chain: str | None, model: int | None, place: str) -> tuple[FloatArray, IntArray, str]:
    """Read one chain of one model of a PDB file.

    A chain has the amino acids of its ATOM and HETATM records up to TER. Residues without a CA atom, such as water,
    ions, nucleotides and caps, and HETATM records after TER are not amino acids. The names in
    :mod:`gfn_envs.envs.proteins.amino_acids` are read, and modified residues whose amino acid a MODRES record states.

    Distances are between CB atoms, or CA atoms for residues without CB (glycine, and all residues of a file that has CA
    only). If a residue has alternate locations or names, the first is used; atoms without a location belong to all
    locations. Residues with an insertion code keep their number. Residues without coordinates are not in the chain.

    Args:
        text: content of the file.
        chain: identifier of the chain; None: the first chain that has an amino acid.
        model: place of the model in the file, from 1; None: the first.
        place: beginning of every message, the environment and the file.

    Returns:
        ``(distances, numbers, sequence)``: distances in angstrom (n, n), residue numbers (n,), sequence of n letters.

    Raises:
        ValueError: an atom cannot be read, and the message has the line number; there is no such chain or model, and
            the message lists those of the file; the chain has fewer than two amino acids, one whose name is unknown, or
            one without CA and CB; two molecules share the chain; or a residue or an atom occurs twice.
    """
    lines = text.split("\n")
    models = _models(lines, place)
    if not models:
        raise ValueError(f"{place} has no ATOM records; allowed: PDB files, and .csv files of distances")
    if model is not None and model > len(models):
        raise ValueError(f"{place} has {len(models)} models; model must be 1 to {len(models)}, got {model}")
    parents = _parents(lines, place)
    chains = _chains(models[(model or 1) - 1], lines, parents, place)
    if chain is None and chains:
        chain = next(iter(chains))
    residues = chains.get(chain or "", [])
    if len(residues) < 2:
        found = ", ".join(f"{len(found)} in chain {name!r}" for name, found in chains.items()) or "0"
        asked = "" if chain is None else f" in chain {chain!r}"
        raise ValueError(f"{place} has {len(residues)} amino acids{asked}; at least two are required (it has {found})")
    where = f"{place}, chain {chain!r}"
    sequence = _sequence(residues, parents, where)
    check_size(f"chain {chain!r} of {len(residues)} residues", len(residues) ** 2, place)
    coordinates = np.array([_center(residue, where) for residue in residues])
    squares: FloatArray = sum((axis[:, None] - axis) ** 2 for axis in coordinates.T)
    first, second = np.nonzero(np.triu(squares == 0, 1))
    if len(first):
        raise ValueError(f"{where}: residues {residues[first[0]]} and {residues[second[0]]} are at the same place")
    return np.sqrt(squares), np.array([residue.first.number for residue in residues], dtype=np.int64), sequence


# ---------------------------------------------------------------------- records


def _models(lines: list[str], place: str) -> list[list[int]]:
    """Indices of the ATOM, HETATM and TER lines of each model that has atoms."""
    models: list[list[int]] = []
    current: list[int] = []
    for k, line in enumerate(lines):
        record = line[:6].rstrip()
        if record in ("ATOM", "HETATM"):
            if not current:
                models.append(current)
            current.append(k)
        elif record == "TER":
            if current:
                current.append(k)
        elif record in ("MODEL", "ENDMDL", "END"):
            current = []
        elif record.upper() in ("ATOM", "HETATM") or (
            record not in _OTHERS and _LIKE_AN_ATOM.search(line[:_LINE]) is not None
        ):
            raise ValueError(f"{place}, line {k + 1}: expected an ATOM or HETATM record, got {line[:_LINE]!r}")
    return models


def _parents(lines: list[str], place: str) -> dict[str, str]:
    """Letter of the amino acid that each modified residue stands for, from the MODRES records."""
    found: dict[str, str] = {}
    for k, line in enumerate(lines):
        if line.startswith("MODRES") and line[24:27] in THREE_LETTERS:
            name, letter = line[12:15].strip(), THREE_LETTERS[line[24:27]]
            if found.setdefault(name, letter) != letter:
                raise ValueError(f"{place}, line {k + 1}: MODRES gives {name} another amino acid than before")
    return found


def _atom(line: str, number: int, place: str) -> Atom:
    where = f"{place}, line {number}"
    columns = [line[start : start + 8] for start in (30, 38, 46)]
    try:
        xyz = [float(cell) for cell in columns]
        residue_number = int(line[22:26])
    except ValueError:
        raise ValueError(f"{where}: expected an ATOM record of a PDB file, got {line[:_LINE]!r}") from None
    if not np.isfinite(xyz).all():
        raise ValueError(f"{where}: coordinates must be finite, got {line[:_LINE]!r}")
    # A line with a character too many or too few has its numbers in other columns.
    if not all(map(_COORDINATE.fullmatch, columns)) or not re.fullmatch(" *-?[0-9]+", line[22:26]):
        raise ValueError(
            f"{where}: coordinates must have three decimals and be in columns 31 to 54, got {line[:_LINE]!r}"
        )
    name, location, residue, chain = line[12:16].strip(), line[16].strip(), line[17:21].strip(), line[21]
    insertion, hetero = line[26].strip(), line.startswith("HETATM")
    return Atom(number, hetero, name, location, residue, chain, residue_number, insertion, (xyz[0], xyz[1], xyz[2]))


# ---------------------------------------------------------------------- chains


def _chains(records: list[int], lines: list[str], parents: dict[str, str], place: str) -> dict[str, list[Residue]]:
    """The amino acids of each chain of a model that has some."""
    chains: dict[str, list[Residue]] = {}
    ended: dict[str, int] = {}  # line of the first TER of each chain
    known: dict[tuple[str, int, str], Residue] = {}
    last = ""  # chain of the last amino acid that is not a HETATM
    for residue in _residues(records, lines, place):
        if isinstance(residue, tuple):
            if residue[0] in chains:
                ended.setdefault(*residue)
            continue
        if not _is_amino_acid(residue, parents):
            continue
        atom, where = residue.first, f"{place}, line {residue.first.line}"
        if atom.chain in ended:
            if atom.hetero:  # Ligands follow the TER records of all chains.
                continue
            raise ValueError(
                f"{where}: a second molecule in chain {atom.chain!r}, which has ended with TER on line "
                f"{ended[atom.chain]}; each needs its own chain identifier"
            )
        if (before := known.setdefault(residue.identity, residue)) is not residue:
            raise ValueError(
                f"{where}: residue {residue} of chain {atom.chain!r} has the number of {before} on line "
                f"{before.first.line}; each molecule needs its own chain identifier"
            )
        if not atom.hetero:
            if atom.chain != last and any(not other.first.hetero for other in chains.get(atom.chain, [])):
                raise ValueError(f"{where}: chain {atom.chain!r} continues after chain {last!r}")
            last = atom.chain
        chains.setdefault(atom.chain, []).append(residue)
    return chains


def _residues(records: list[int], lines: list[str], place: str) -> Iterator[Residue | tuple[str, int]]:
    """The residues of a model in order; for a TER record, the chain that it ends and its line."""
    current: Residue | None = None
    for k in records:
        if lines[k][:6].rstrip() == "TER":
            if current is not None:
                yield current
                yield current.first.chain, k + 1
            current = None
            continue
        atom = _atom(lines[k], k + 1, place)
        if current is not None and current.identity == (atom.chain, atom.number, atom.insertion):
            current.atoms.append(atom)
            continue
        if current is not None:
            yield current
        current = Residue([atom])
    if current is not None:
        yield current


def _is_amino_acid(residue: Residue, parents: dict[str, str]) -> bool:
    """True if a residue has the name of an amino acid, or an atom CA that is not a calcium ion."""
    return any(
        atom.residue in LETTERS or atom.residue in parents or (atom.name == "CA" and atom.residue != "CA")
        for atom in residue.atoms
    )


def _sequence(residues: list[Residue], parents: dict[str, str], where: str) -> str:
    unknown = [r for r in residues if r.first.residue not in LETTERS and r.first.residue not in parents]
    if unknown:
        some = ", ".join(f"{residue} (line {residue.first.line})" for residue in unknown[:5])
        raise ValueError(
            f"{where}: {len(unknown)} residues have no letter: {some}; rename or remove them, or add MODRES records; "
            f"allowed: {' '.join(LETTERS)}"
        )
    return "".join(LETTERS.get(r.first.residue) or parents[r.first.residue] for r in residues)


def _center(residue: Residue, where: str) -> tuple[float, float, float]:
    """Coordinates of CB, or of CA without it, in the first alternate location."""
    first, location = residue.first, ""
    found: dict[tuple[str, str], Atom] = {}
    for atom in residue.atoms:
        if atom.residue != first.residue:
            if not (atom.location and first.location):
                raise ValueError(f"{where}, line {atom.line}: residue {residue} is also called {atom.residue}")
            continue
        if atom.name in ("CA", "CB"):
            location = location or atom.location
            if found.setdefault((atom.name, atom.location), atom) is not atom:
                raise ValueError(f"{where}, line {atom.line}: residue {residue} has two atoms {atom.name}")
    for key in (("CB", location), ("CB", ""), ("CA", location), ("CA", "")):
        if key in found:
            return found[key].place
    raise ValueError(f"{where}, line {first.line}: residue {residue} has neither a CB nor a CA atom")
