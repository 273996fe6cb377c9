"""Distances between the residues of a protein, from arrays, CSV files and PDB files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.proteins.pdb import read_chain
from gfn_envs.text_files import read_text

#: Ends of the names of files of distances, and of files that cannot be read. ".gz" may follow.
TABLES, OTHERS = (".csv",), (".cif", ".mmcif", ".bcif", ".xml", ".npy", ".npz", ".mmtf")
_NUMBER = re.compile(r"\s*[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")


def distance_matrix(value: Any, where: str, names: Sequence[object] | None = None) -> FloatArray:
    """``value`` as a matrix of distances, float64 (n, n). Booleans give 0 for residues in contact and inf otherwise.

    Args:
        value: a square matrix.
        where: beginning of every message.
        names: names of the residues for messages; None: their positions.

    Raises:
        ValueError: the matrix is not square or not symmetric; or an entry is negative, non-finite, or 0 between two
            residues; or all numbers are 0 or 1, which suggests contacts instead of distances. The message names the
            residues.
        TypeError: the matrix has labels or a mask, which would be lost.
    """
    if hasattr(value, "to_numpy") or hasattr(value, "mask"):
        raise TypeError(
            f"{where}: distances must be a matrix without labels or mask, got {type(value).__name__}; "
            "give distances.to_numpy() or a plain array"
        )
    try:
        matrix = np.array(value)
        contacts = matrix.dtype == np.bool_
        if matrix.dtype.kind not in "biufO":
            raise TypeError(f"got {matrix.dtype}")
        matrix = matrix if contacts else matrix.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{where}: distances must be a square matrix of numbers: {error}") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"{where}: distances must be a square matrix of at least two rows, got shape {matrix.shape}")
    if contacts:
        if (matrix != matrix.T).any():
            raise ValueError(f"{where}: contacts must be symmetric")
        return np.where(matrix, 0.0, np.inf)
    names = range(len(matrix)) if names is None else names
    wrong = ~np.isfinite(matrix) | (matrix < 0)
    with np.errstate(invalid="ignore"):
        wrong |= ~np.isclose(matrix, matrix.T, atol=1e-3)
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"{where}: distances must be finite, >= 0 and symmetric, got {matrix[i, j]:g} from residue {names[i]} to "
            f"{names[j]} and {matrix[j, i]:g} back"
        )
    first, second = np.nonzero(np.triu(matrix == 0, 1))
    binary = ((matrix == 0) | (matrix == 1)).all()
    if len(first) or binary:
        given = "only 0 and 1" if binary else f"0 between residues {names[first[0]]} and {names[second[0]]}"
        raise ValueError(
            f"{where}: distances must be > 0 between different residues, got {given}; a contact map must be a "
            "matrix of booleans"
        )
    return matrix


def read_backbone(
    path: Path, chain: str | None, model: int | None, where: str
) -> tuple[FloatArray, IntArray, str | None]:
    """Read the backbone of a PDB file or of a CSV file of distances, plain or compressed with gzip.

    Returns:
        ``(distances, numbers, sequence)``: distances in angstrom (n, n), residue numbers (n,), and the sequence, which
        is None for a CSV file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: :func:`read_distances`, :func:`gfn_envs.envs.proteins.pdb.read_chain` or
            :func:`gfn_envs.text_files.read_text` raises it; or ``chain`` or ``model`` is given for a CSV file; or the
            file has another format, such as mmCIF.
    """
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(OTHERS):
        raise ValueError(
            f"{where}: {path} is not a PDB file; allowed: a PDB file, or a CSV file of distances, plain or gzip"
        )
    text = read_text(path, where)
    if name.endswith(TABLES):
        for setting, value in (("chain", chain), ("model", model)):
            if value is not None:
                raise ValueError(f"{where}: {setting} is only for PDB files, got {value!r} with {path}")
        return *read_distances(text, f"{where}: {path}"), None
    if re.match(r"\s*(#[^\n]*\s+)*(data_|loop_)", text):
        raise ValueError(f"{where}: {path} is an mmCIF file; allowed: a PDB file, or a CSV file of distances")
    return read_chain(text, chain, model, f"{where}: {path}")


def read_distances(text: str, where: str) -> tuple[FloatArray, IntArray]:
    """Read a CSV table of distances whose first line and first column hold the residue numbers.

    The first cell must not be a number, which would be a distance: a matrix without residue numbers is no such table.

    Returns:
        ``(distances, numbers)``: distances in angstrom (n, n), residue numbers (n,).

    Raises:
        ValueError: the table has another form, or :func:`distance_matrix` raises it.
    """
    rows, lines = _rows(text, where)
    if not rows or (rows[0] and _NUMBER.fullmatch(rows[0][0])):
        raise ValueError(
            f"{where}: the first line must be an empty cell and the residue numbers, got "
            f"{','.join(rows[0])[:60] if rows else 'nothing'!r}; a matrix without residue numbers must be given as an "
            "array"
        )
    numbers, column = rows[0][1:], [row[0] for row in rows[1:]]
    for line, cells in ((lines[0], numbers), *zip(lines[1:], ([cell] for cell in column), strict=True)):
        if wrong := [cell for cell in cells if not re.fullmatch("-?[0-9]{1,9}", cell)]:
            raise ValueError(
                f"{where}, line {line}: the first line and the first column must hold residue numbers, got {wrong[0]!r}"
            )
    if column != numbers:
        raise ValueError(
            f"{where}: the first line and the first column must hold the same residue numbers, but have "
            f"{len(numbers)} and {len(column)}"
            + next((f", first {a} and {b}" for a, b in zip(numbers, column, strict=False) if a != b), "")
        )
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{where}: residue number {max(numbers, key=numbers.count)} occurs twice")
    for line, row in zip(lines[1:], rows[1:], strict=True):
        if len(row) != len(numbers) + 1:
            raise ValueError(f"{where}, line {line}: expected {len(numbers)} distances, got {len(row) - 1}")
        if wrong := [cell for cell in row[1:] if cell and not _NUMBER.fullmatch(cell)]:
            raise ValueError(f"{where}, line {line}: expected distances, got {wrong[0][:40]!r}")
    # An empty cell is the distance of a residue to itself; elsewhere, 0 raises.
    matrix = distance_matrix([[float(cell or 0) for cell in row[1:]] for row in rows[1:]], where, numbers)
    return matrix, np.array([int(number) for number in numbers], dtype=np.int64)


def _rows(text: str, where: str) -> tuple[list[list[str]], list[int]]:
    """The rows of a CSV table that are not empty, and their line numbers."""
    rows, lines = [], []
    reader = csv.reader(io.StringIO(text))
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{where}, line {reader.line_num}: {error}") from None
    return rows, lines
