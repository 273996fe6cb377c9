"""Files of molecules: SMILES and names from .smi, .csv, .tsv and .txt files, with or without a header, also gzipped."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gfn_envs.text_files import read_text

#: Names of a column of SMILES in any position.
COLUMNS = ("smiles", "canonical_smiles", "isomeric_smiles", "rdkit_smiles", "smi")
#: Names of a first column of SMILES. Behind a SMILES, such a word may be the name of a molecule.
HEADERS = (*COLUMNS, *("block", "blocks", "fragment", "fragments", "structure", "molecule", "mol", "object"))
SUFFIXES = (".smi", ".csv", ".tsv", ".txt", ".gz", ".smiles", ".ism", ".cxsmiles")


class SmilesRow(NamedTuple):
    """A line of a file: its number from 1, its SMILES, and whatever follows."""

    line: int
    smiles: str
    rest: str


def is_file(value: Any) -> bool:
    """True if ``value`` is a path, not a SMILES: a path object, or text that ends like a file of SMILES."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value.lower().endswith(SUFFIXES))


def read_smiles(path: str | os.PathLike[str], where: str) -> list[SmilesRow]:
    """The SMILES of a file.

    If the first line that is not empty has a column of :data:`COLUMNS`, or begins with one of :data:`HEADERS`, it is a
    header, and that column has the SMILES. Otherwise they are the first word of each line. Commas, semicolons and tabs
    separate columns; in files without them, spaces do.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8, or a line has no SMILES or is too long; the message has its number.
    """
    lines = [(n, line) for n, line in enumerate(read_text(Path(path), where).splitlines(), 1) if line.strip()]
    rows: list[SmilesRow] = []
    column = 0
    for place, (number, line) in enumerate(lines):
        try:
            cells = _cells(line)
        except csv.Error as error:
            raise ValueError(f"{where}: {path}, line {number}: {error}") from None
        if place == 0 and (found := _column(cells)) is not None:
            column = found
            continue
        # "C[C@H](N)O alanine": the SMILES ends at the first space.
        words = cells[column].split() if column < len(cells) else []
        if not words:
            raise ValueError(f"{where}: {path}, line {number}: there is no SMILES in column {column + 1}: {line!r}")
        others = [*cells[:column], *words[1:], *cells[column + 1 :]]
        rows.append(SmilesRow(number, words[0].strip("\"'"), " ".join(cell for cell in others if cell)))
    return rows


def _cells(line: str) -> list[str]:
    """The columns of a line. SMILES have no commas, semicolons, tabs and spaces."""
    separator = next((mark for mark in ("\t", ";", ",") if mark in line), None)
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _column(cells: Sequence[str]) -> int | None:
    """The column of the SMILES if ``cells`` are a header."""
    names = [cell.strip("\"'#").lower().replace(" ", "_") for cell in cells]
    return 0 if names[0] in HEADERS else next((names.index(name) for name in COLUMNS if name in names), None)
