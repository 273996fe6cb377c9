"""Contacts between the residues of a protein: distances from files, and the energies of Miyazawa and Jernigan."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS

#: Contact energies e_ij in units of RT: diagonal and upper triangle of table 3 of Miyazawa and Jernigan 1996 (J. Mol.
#: Biol. 256:623), with the residues in the order of that table.
MJ_ORDER = "CMFILVWYAGTSNQDEHRKP"
MJ_TABLE = """
-5.44 -4.99 -5.80 -5.50 -5.83 -4.96 -4.95 -4.16 -3.57 -3.16 -3.11 -2.86 -2.59 -2.85 -2.41 -2.27 -3.60 -2.57 -1.95 -3.07
-5.46 -6.56 -6.02 -6.41 -5.32 -5.55 -4.91 -3.94 -3.39 -3.51 -3.03 -2.95 -3.30 -2.57 -2.89 -3.98 -3.12 -2.48 -3.45
-7.26 -6.84 -7.28 -6.29 -6.16 -5.66 -4.81 -4.13 -4.28 -4.02 -3.75 -4.10 -3.48 -3.56 -4.77 -3.98 -3.36 -4.25
-6.54 -7.04 -6.05 -5.78 -5.25 -4.58 -3.78 -4.03 -3.52 -3.24 -3.67 -3.17 -3.27 -4.14 -3.63 -3.01 -3.76
-7.37 -6.48 -6.14 -5.67 -4.91 -4.16 -4.34 -3.92 -3.74 -4.04 -3.40 -3.59 -4.54 -4.03 -3.37 -4.20
-5.52 -5.18 -4.62 -4.04 -3.38 -3.46 -3.05 -2.83 -3.07 -2.48 -2.67 -3.58 -3.07 -2.49 -3.32
-5.06 -4.66 -3.82 -3.42 -3.22 -2.99 -3.07 -3.11 -2.84 -2.99 -3.98 -3.41 -2.69 -3.73
-4.17 -3.36 -3.01 -3.01 -2.78 -2.76 -2.97 -2.76 -2.79 -3.52 -3.16 -2.60 -3.19
-2.72 -2.31 -2.32 -2.01 -1.84 -1.89 -1.70 -1.51 -2.41 -1.83 -1.31 -2.03
-2.24 -2.08 -1.82 -1.74 -1.66 -1.59 -1.22 -2.15 -1.72 -1.15 -1.87
-2.12 -1.96 -1.88 -1.90 -1.80 -1.74 -2.42 -1.90 -1.31 -1.90
-1.67 -1.58 -1.49 -1.63 -1.48 -2.11 -1.62 -1.05 -1.57
-1.68 -1.71 -1.68 -1.51 -2.08 -1.64 -1.21 -1.53
-1.54 -1.46 -1.42 -1.98 -1.80 -1.29 -1.73
-1.21 -1.02 -2.32 -2.29 -1.68 -1.33
-0.91 -2.15 -2.27 -1.80 -1.26
-3.05 -2.16 -1.35 -2.25
-1.55 -0.59 -1.70
-0.12 -0.97
-1.75
"""

CODES = "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR"
THREE_LETTERS = {CODES[4 * i : 4 * i + 3]: letter for i, letter in enumerate(AMINO_ACIDS)}


def miyazawa_jernigan() -> IntArray:
    """Symmetric contact energies in hundredths of RT, int64 (20, 20), with the residues in the order of AMINO_ACIDS.

    They are integers so that sums do not depend on the order of the terms.
    """
    matrix = np.zeros((20, 20), dtype=np.int64)
    for i, line in enumerate(MJ_TABLE.split("\n")[1:-1]):
        matrix[i, i:] = matrix[i:, i] = [round(100 * float(cell)) for cell in line.split()]
    order = [MJ_ORDER.index(letter) for letter in AMINO_ACIDS]
    return matrix[np.ix_(order, order)]


def contact_pairs(distances: FloatArray, cutoff: float, numbers: IntArray, min_separation: int) -> IntArray:
    """Pairs i < j closer than ``cutoff`` whose residue numbers differ by at least ``min_separation``, int64 (2, c)."""
    near = (distances < cutoff) & (np.abs(numbers[:, None] - numbers) >= min_separation)
    return np.array(np.nonzero(np.triu(near, 1)), dtype=np.int64)


def distance_matrix(value: Any, where: str) -> FloatArray:
    """``value`` as a matrix of distances, float64 (n, n). Booleans give 0 for residues in contact and inf otherwise.

    Raises:
        ValueError: the matrix is not square or not symmetric; or an entry is negative, non-finite, or 0 between two
            residues; or all numbers are 0 or 1, which suggests contacts instead of distances.
    """
    try:
        matrix = np.array(value)
        contacts = matrix.dtype == np.bool_
        matrix = matrix if contacts else matrix.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: distances must be a square matrix of numbers: {error}") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
        raise ValueError(f"{where}: distances must be a square matrix of at least two rows, got shape {matrix.shape}")
    if contacts:
        if (matrix != matrix.T).any():
            raise ValueError(f"{where}: contacts must be symmetric")
        return np.where(matrix, 0.0, np.inf)
    if not (np.isfinite(matrix).all() and (matrix >= 0).all() and np.allclose(matrix, matrix.T, atol=1e-3)):
        raise ValueError(f"{where}: distances must be finite, >= 0 and symmetric")
    first, second = np.nonzero(np.triu(matrix == 0, 1))
    binary = ((matrix == 0) | (matrix == 1)).all()
    if len(first) or binary:
        given = "only 0 and 1" if binary else f"0 between residues {first[0]} and {second[0]}"
        raise ValueError(
            f"{where}: distances must be > 0 between different residues, got {given}; a contact map must be a "
            "matrix of booleans"
        )
    return matrix


def read_backbone(path: Path, chain: str | None, where: str) -> tuple[FloatArray, IntArray, str | None]:
    """Read the backbone of a PDB file or of a CSV file of distances.

    Returns:
        ``(distances, numbers, sequence)``: distances in angstrom (n, n), residue numbers (n,), and the sequence, which
        is None for a CSV file.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: :func:`read_distances` or :func:`read_pdb` raises it; or ``chain`` is given for a CSV file; or the
            file is an mmCIF file or compressed.
    """
    suffix = path.suffix.lower()
    if suffix in (".cif", ".gz"):
        raise ValueError(
            f"{where}: {path} is not a PDB file; allowed: an uncompressed PDB file, or a CSV file of distances"
        )
    if suffix != ".csv":
        return read_pdb(path, chain, where)
    if chain is not None:
        raise ValueError(f"{where}: chain is only for PDB files, got {chain!r} with {path}")
    return *read_distances(path.read_bytes(), f"{where}: {path}"), None


def read_distances(data: bytes, where: str) -> tuple[FloatArray, IntArray]:
    """Read a CSV table of distances whose first line and first column hold the residue numbers.

    Returns:
        ``(distances, numbers)``: distances in angstrom (n, n), residue numbers (n,).

    Raises:
        ValueError: the table has another form, or :func:`distance_matrix` raises it.
    """
    rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig", errors="replace"))) if row]
    try:
        numbers = np.array([int(cell) for cell in rows[0][1:]], dtype=np.int64)
        column = [int(row[0]) for row in rows[1:]]
    except (IndexError, ValueError):
        raise ValueError(f"{where}: the first line and the first column must hold residue numbers") from None
    if column != numbers.tolist():
        raise ValueError(f"{where}: the first line and the first column must hold the same residue numbers")
    matrix = distance_matrix([[cell or "0" for cell in row[1:]] for row in rows[1:]], where)
    if len(matrix) != len(numbers):
        raise ValueError(f"{where}: {len(numbers)} residue numbers, but {len(matrix)} rows")
    return matrix, numbers


def read_pdb(path: str | os.PathLike[str], chain: str | None, where: str) -> tuple[FloatArray, IntArray, str]:
    """Read one chain of the first model of a PDB file.

    Distances are between CB atoms, or CA atoms for residues without CB (glycine). If a residue has alternate locations
    or alternate names, the first is used; atoms without a location belong to all locations. Residues other than the 20
    amino acids are omitted. Residues with an insertion code keep their number.

    Args:
        path: the file.
        chain: identifier of the chain; None: the first chain that has an amino acid.
        where: prefix of error messages.

    Returns:
        ``(distances, numbers, sequence)``: distances in angstrom (n, n), residue numbers (n,), sequence of n letters.

    Raises:
        ValueError: the chain has fewer than two amino acids; or the coordinates of an atom are invalid or non-finite,
            and the message has the line number.
    """
    atoms: dict[tuple[str, str], dict[str, list[float]]] = {}
    names: dict[tuple[str, str], str] = {}
    locations: dict[tuple[str, str], str] = {}
    for number, line in enumerate(Path(path).read_text("utf-8", errors="replace").splitlines(), 1):
        if line.startswith("ENDMDL"):
            break
        if not line.startswith("ATOM  ") or line[17:20] not in THREE_LETTERS:
            continue
        name, residue = line[12:16].strip(), (line[21], line[22:27])
        if name not in ("CA", "CB") or (chain is not None and line[21] != chain):
            continue
        chain = line[21]
        try:
            int(line[22:26])
            xyz = [float(line[start : start + 8]) for start in (30, 38, 46)]
        except ValueError:
            raise ValueError(
                f"{where}: {path}, line {number}: expected an ATOM record of a PDB file, got {line!r}"
            ) from None
        if not np.isfinite(xyz).all():
            raise ValueError(f"{where}: {path}, line {number}: coordinates must be finite, got {line!r}")
        if names.setdefault(residue, line[17:20]) != line[17:20]:
            continue
        if line[16] != " " and locations.setdefault(residue, line[16]) != line[16]:
            continue
        atoms.setdefault(residue, {}).setdefault(name, xyz)
    if len(atoms) < 2:
        in_chain = "" if chain is None else f" in chain {chain!r}"
        raise ValueError(f"{where}: {path} has {len(atoms)} amino acids{in_chain}; at least two are required")
    coordinates = np.array([found.get("CB") or found["CA"] for found in atoms.values()])
    sequence = "".join(THREE_LETTERS[name] for name in names.values())
    distances = np.sqrt(((coordinates[:, None] - coordinates) ** 2).sum(2))
    return distances, np.array([int(residue[1][:4]) for residue in atoms]), sequence
