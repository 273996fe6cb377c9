"""Alignments of nucleotide sequences: files, benchmark data sets, checks, encoding."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.phylogenetics.fasta import read_fasta
from gfn_envs.envs.phylogenetics.nexus import read_nexus
from gfn_envs.envs.phylogenetics.nucleotides import BITS
from gfn_envs.envs.phylogenetics.phylip import is_phylip, read_phylip
from gfn_envs.envs.phylogenetics.taxa import unknown_letter
from gfn_envs.text_files import read_text

#: The constant C in the reward of each benchmark alignment (Zhou et al. 2024).
CONSTANTS = dict(zip([f"DS{k}" for k in range(1, 9)], [5800, 8000, 8800, 3500, 2300, 2300, 12500, 2800], strict=True))


def benchmark_alignment(name: str) -> dict[str, str]:
    """Taxa and sequences of the benchmark alignment "DS1", ..., "DS8". A process reads each file once.

    Raises:
        DatasetError: :func:`gfn_envs.data.registry.read` raises it.
    """
    return dict(_benchmark_alignment(name))


@functools.cache
def _benchmark_alignment(name: str) -> dict[str, str]:
    return dict(json.loads(datasets.read(f"phylo-{name.lower()}")))


def load_alignment(alignment: Any, where: str) -> dict[str, str]:
    """Taxa and sequences of a benchmark alignment by name, of a file by path, or of a mapping.

    Raises:
        DatasetError, FileNotFoundError, TypeError, ValueError: the functions below raise them.
    """
    if not isinstance(alignment, str | os.PathLike):
        return checked_alignment(alignment, where)
    if alignment in CONSTANTS:
        return benchmark_alignment(str(alignment))
    return read_alignment(Path(alignment), where)


def read_alignment(path: Path, where: str) -> dict[str, str]:
    """Taxa and sequences of a FASTA, NEXUS or PHYLIP file, plain or compressed with gzip.

    The first characters of the file determine its format.

    Raises:
        FileNotFoundError: the file does not exist; the message lists the benchmark alignments.
        ValueError: :func:`gfn_envs.text_files.read_text` or the reader of the format raises it, or the file has another
            format.
    """
    try:
        text = read_text(path, where)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{where}: alignment {str(path)!r} is neither a file nor one of {', '.join(CONSTANTS)}"
        ) from None
    place, start = f"{where}: {path}", text.lstrip()
    if start[:6].upper() == "#NEXUS":
        found = read_nexus(text, place)
    elif start[:1] == ">" or (start[:1] == ";" and "\n>" in start):
        found = read_fasta(text, place)
    elif is_phylip(text):
        found = read_phylip(text, place)
    else:
        raise ValueError(
            f"{place} must be a FASTA file, which begins with '>', a NEXUS file, which begins with '#NEXUS', or a "
            f"PHYLIP file, which begins with the numbers of taxa and sites; got {start[:20]!r}"
        )
    if len(found) < 2:
        raise ValueError(f"{place}: an alignment must have at least 2 taxa, got {len(found)}")
    return found


def checked_alignment(alignment: Any, where: str) -> dict[str, str]:
    """A mapping from names of taxa to sequences, as a dictionary.

    Raises:
        TypeError: it is something else, or a name or a sequence is not a string.
        ValueError: a name is empty.
    """
    if not isinstance(alignment, Mapping):
        raise TypeError(
            f"{where}: alignment must be the path of a file, one of {', '.join(CONSTANTS)}, or a mapping from taxa to "
            f"sequences, got {type(alignment).__name__} (dict(...) or .to_dict() may make one)"
        )
    for name, sequence in alignment.items():
        if not isinstance(name, str) or not isinstance(sequence, str):
            raise TypeError(
                f"{where}: taxa and their sequences must be strings, got {name!r}: {type(sequence).__name__}"
            )
        if not name.strip():
            raise ValueError(f"{where}: a taxon must have a name, got {name!r}")
    return dict(alignment)


def encode_alignment(sequences: Mapping[str, str], where: str) -> IntArray:
    """Sets of possible nucleotides as bits (see :data:`nucleotides.STATES`), uint8 (taxa, sites).

    Raises:
        ValueError: there are fewer than two taxa or no sites; sequences have different lengths; or a letter is unknown.
            The message names the taxon and the site, from 1.
    """
    if len(sequences) < 2:
        raise ValueError(f"{where}: an alignment must have at least 2 taxa, got {len(sequences)}")
    (first, reference), *rest = sequences.items()
    if not reference:
        raise ValueError(f"{where}: taxon {first!r} has no sites")
    for name, sequence in rest:
        if len(sequence) != len(reference):
            raise ValueError(
                f"{where}: all taxa must have the same number of sites, but {name!r} has {len(sequence)} and "
                f"{first!r} has {len(reference)}"
            )
    rows = []
    for name, sequence in sequences.items():
        row = [BITS.get(letter, 0) for letter in sequence]
        if 0 in row:
            site = row.index(0)
            raise ValueError(f"{where}: {unknown_letter(name, site + 1, sequence[site])}")
        rows.append(row)
    return np.array(rows, dtype=np.uint8)


def site_patterns(encoded: IntArray) -> tuple[IntArray, FloatArray]:
    """Distinct columns of an alignment, uint8 (taxa, patterns), and the count of each, float64 (patterns,).

    Sites at which one nucleotide is possible for all taxa are omitted, because no tree needs a mutation there.
    """
    varied = np.bitwise_and.reduce(encoded, axis=0) == 0
    patterns, counts = np.unique(encoded[:, varied], axis=1, return_counts=True)
    return np.ascontiguousarray(patterns), counts.astype(np.float64)


def all_patterns(encoded: IntArray) -> tuple[FloatArray, FloatArray]:
    """All distinct columns of an alignment for likelihoods, which take a gap as an unknown nucleotide.

    Returns:
        ``(possible, counts)``: 1.0 for each nucleotide that is possible, float64 (taxa, 4, patterns), and the count of
        each pattern, float64 (patterns,).
    """
    nucleotides = np.where(encoded == BITS["-"], BITS["N"], encoded) & (BITS["N"] ^ BITS["-"])
    patterns, counts = np.unique(nucleotides, axis=1, return_counts=True)
    possible = patterns[:, None] >> np.arange(4)[:, None] & 1
    return possible.astype(np.float64), counts.astype(np.float64)
