"""Alignments of nucleotide sequences: FASTA and NEXUS files, benchmark data sets, simulation, encoding."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets

#: Possible nucleotides of each letter, with one bit each for A, C, G, T and a gap. IUPAC codes; N, X and ? match all.
STATES = {"A": 1, "C": 2, "G": 4, "T": 8, "U": 8, "-": 16, "N": 31, "X": 31, "?": 31}
STATES |= {"R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3, "B": 14, "D": 13, "H": 11, "V": 7}

#: The constant C in the reward of each benchmark alignment (Zhou et al. 2024).
CONSTANTS = dict(zip([f"DS{k}" for k in range(1, 9)], [5800, 8000, 8800, 3500, 2300, 2300, 12500, 2800], strict=True))


def benchmark_alignment(name: str) -> dict[str, str]:
    """Taxa and sequences of the benchmark alignment "DS1", ..., "DS8".

    Raises:
        DatasetError: :func:`gfn_envs.data.registry.read` raises it.
    """
    return dict(json.loads(datasets.read(f"phylo-{name.lower()}")))


def read_alignment(path: Path, where: str) -> dict[str, str]:
    """Taxa and sequences of a FASTA or NEXUS file. The first characters of the file determine its format.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file has another format, two taxa with the same name, or no sequences.
    """
    text = path.read_text(encoding="utf-8-sig")
    text = text.lstrip()
    if text[:1] == ">":
        found = _fasta(text, where, path)
    elif text[:6].upper() == "#NEXUS":
        found = _nexus(text, where, path)
    else:
        raise ValueError(
            f"{where}: {path} must be a FASTA file, which begins with '>', or a NEXUS file, which begins with '#NEXUS'"
        )
    if not found:
        raise ValueError(f"{where}: {path} has no sequences")
    return found


def _fasta(text: str, where: str, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for block in re.split(r"^>", text, flags=re.M)[1:]:
        header, _, sequence = block.partition("\n")
        name = (header.split() or [""])[0]
        if not name or name in found:
            raise ValueError(f"{where}: {path}: sequences must have different names, got {name!r}")
        found[name] = "".join(sequence.split())
    return found


def _nexus(text: str, where: str, path: Path) -> dict[str, str]:
    """Sequences in the MATRIX of a DATA or CHARACTERS block, interleaved or not. Lengths must equal NCHAR, if given."""
    text = re.sub(r"\[[^\]]*\]", "", text)
    block = re.search(r"begin\s+(?:data|characters)\s*;(.*?)\bend(?:block)?\s*;", text, re.I | re.S)
    matrix = re.search(r"\bmatrix\b(.*?);", block[1], re.I | re.S) if block else None
    if block is None or matrix is None:
        raise ValueError(f"{where}: {path} has no DATA or CHARACTERS block with a MATRIX")
    symbols = {}
    for symbol, standard in (("missing", "?"), ("gap", "-"), ("matchchar", "=")):
        if match := re.search(rf"\b{symbol}\s*=\s*[\"']?(\S)", block[1], re.I):
            symbols[match[1]] = standard
    given = re.search(r"\bnchar\s*=\s*(\d+)", block[1], re.I)
    sites = int(given[1]) if given else None
    lines = [words for line in matrix[1].splitlines() if (words := _words(line))]
    alone = [words[0] for words in lines if len(words) == 1]
    if alone and sites is None:
        raise ValueError(f"{where}: {path}: {alone[0]!r} is alone on its line, and NCHAR is missing")
    found = _by_line(lines)
    # If not every line begins with a taxon, a sequence continues on the next lines until it has NCHAR sites.
    if sites is not None and (alone or {len(sequence) for sequence in found.values()} != {sites}):
        found = _by_length([word for words in lines for word in words], sites)
    if sites is not None and (wrong := [name for name, sequence in found.items() if len(sequence) != sites]):
        raise ValueError(f"{where}: {path}: taxon {wrong[0]!r} has {len(found[wrong[0]])} sites, but NCHAR is {sites}")
    found = {name: "".join(symbols.get(letter, letter) for letter in sequence) for name, sequence in found.items()}
    first = next(iter(found.values()), "")
    # A match character stands for the letter of the first taxon.
    return {
        name: "".join(first[i] if letter == "=" and i < len(first) else letter for i, letter in enumerate(sequence))
        for name, sequence in found.items()
    }


def _words(text: str) -> list[str]:
    """Words separated by white space; a name in quotes is one word."""
    return [a or b or c for a, b, c in re.findall(r"'([^']+)'|\"([^\"]+)\"|(\S+)", text)]


def _by_line(lines: list[list[str]]) -> dict[str, str]:
    """Sequences if each line begins with its taxon; the lines of a taxon are concatenated."""
    found: dict[str, str] = {}
    for name, *parts in lines:
        found[name] = found.get(name, "") + "".join(parts)
    return found


def _by_length(words: list[str], sites: int) -> dict[str, str]:
    """Sequences if the words after a taxon belong to it until it has ``sites`` sites."""
    found: dict[str, str] = {}
    name = None
    for word in words:
        if name is None or len(found[name]) >= sites:
            name = word
            found[name] = ""
        else:
            found[name] += word
    return found


def encode_alignment(sequences: Mapping[str, str], where: str) -> IntArray:
    """Sets of possible nucleotides as bits (see :data:`STATES`), uint8 (taxa, sites).

    Raises:
        ValueError: there are fewer than two taxa or no sites; sequences have different lengths; or a letter is unknown.
            The message names the taxon and the site.
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
        row = [STATES.get(letter, 0) for letter in sequence.upper()]
        if 0 in row:
            site = row.index(0)
            raise ValueError(
                f"{where}: taxon {name!r}, site {site}: unknown letter {sequence[site]!r}; "
                f"allowed: {' '.join(sorted(STATES))}"
            )
        rows.append(row)
    return np.array(rows, dtype=np.uint8)


def site_patterns(encoded: IntArray) -> tuple[IntArray, FloatArray]:
    """Distinct columns of an alignment, uint8 (taxa, patterns), and the count of each, float64 (patterns,).

    Sites at which one nucleotide is possible for all taxa are omitted, because no tree needs a mutation there.
    """
    varied = np.bitwise_and.reduce(encoded, axis=0) == 0
    patterns, counts = np.unique(encoded[:, varied], axis=1, return_counts=True)
    return np.ascontiguousarray(patterns), counts.astype(np.float64)


def simulate_alignment(
    num_taxa: int, num_sites: int, mutation_probability: float, rng: np.random.Generator
) -> dict[str, str]:
    """Sequences at the leaves of a random tree, under the model of Jukes and Cantor 1969.

    The tree is built by splitting random leaves until there are ``num_taxa``. On each edge, a site changes to another
    nucleotide with probability ``mutation_probability``.
    """
    leaves = [rng.integers(4, size=num_sites)]

    def mutated(sequence: IntArray) -> IntArray:
        change = rng.random(num_sites) < mutation_probability
        return np.where(change, (sequence + rng.integers(1, 4, size=num_sites)) % 4, sequence)

    while len(leaves) < num_taxa:
        parent = leaves.pop(int(rng.integers(len(leaves))))
        leaves += [mutated(parent), mutated(parent)]
    order = rng.permutation(num_taxa)
    return {f"taxon{i}": "".join("ACGT"[k] for k in leaves[place]) for i, place in enumerate(order)}
