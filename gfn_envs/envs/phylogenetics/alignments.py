"""Alignments of nucleotide sequences: read from FASTA or NEXUS, checked, encoded, simulated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: What each letter may stand for, one bit each for A, C, G, T and a gap (IUPAC codes; N, X and ? for anything).
STATES = {"A": 1, "C": 2, "G": 4, "T": 8, "U": 8, "-": 16, "N": 31, "X": 31, "?": 31}
STATES |= {"R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3, "B": 14, "D": 13, "H": 11, "V": 7}


def read_alignment(path: Path, where: str) -> dict[str, str]:
    """Taxa and sequences of a FASTA or NEXUS file, told apart by how it begins.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither format, two taxa of one name, or no sequences.
    """
    text = path.read_text(encoding="utf-8-sig")
    begin = text.lstrip()
    if begin[:1] == ">":
        found = _fasta(begin, where, path)
    elif begin[:6].upper() == "#NEXUS":
        found = _nexus(begin, where, path)
    else:
        raise ValueError(f"{where}: {path} is neither FASTA (it begins with '>') nor NEXUS ('#NEXUS')")
    if not found:
        raise ValueError(f"{where}: {path} holds no sequences")
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
    """The MATRIX of a DATA or CHARACTERS block, interleaved or not; NCHAR, where it is given, is held to."""
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
        raise ValueError(f"{where}: {path}: {alone[0]!r} stands alone on its line, and NCHAR is missing")
    found = _by_line(lines)
    # Where not every line begins with its taxon, sequences go on below it until they have NCHAR sites.
    if sites is not None and (alone or {len(sequence) for sequence in found.values()} != {sites}):
        found = _by_length([word for words in lines for word in words], sites)
    if sites is not None and (wrong := [name for name, sequence in found.items() if len(sequence) != sites]):
        raise ValueError(f"{where}: {path}: taxon {wrong[0]!r} has {len(found[wrong[0]])} sites, and NCHAR is {sites}")
    found = {name: "".join(symbols.get(letter, letter) for letter in sequence) for name, sequence in found.items()}
    first = next(iter(found.values()), "")
    # A match character repeats the first taxon's letter.
    return {
        name: "".join(first[i] if letter == "=" and i < len(first) else letter for i, letter in enumerate(sequence))
        for name, sequence in found.items()
    }


def _words(text: str) -> list[str]:
    """What white space separates; a name in quotes is one word."""
    return [a or b or c for a, b, c in re.findall(r"'([^']+)'|\"([^\"]+)\"|(\S+)", text)]


def _by_line(lines: list[list[str]]) -> dict[str, str]:
    """Each line begins with its taxon; the lines of one are joined."""
    found: dict[str, str] = {}
    for name, *parts in lines:
        found[name] = found.get(name, "") + "".join(parts)
    return found


def _by_length(words: list[str], sites: int) -> dict[str, str]:
    """Each taxon's words follow its name, until there are so many sites."""
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
    """Sets of nucleotides as bits (:data:`STATES`), uint8 (taxa, sites).

    Raises:
        ValueError: fewer than two taxa, no site, sequences of different lengths, or an unknown letter; naming the taxon
            and the site.
    """
    if len(sequences) < 2:
        raise ValueError(f"{where}: an alignment has at least 2 taxa, got {len(sequences)}")
    (first, reference), *rest = sequences.items()
    if not reference:
        raise ValueError(f"{where}: taxon {first!r} has no sites")
    for name, sequence in rest:
        if len(sequence) != len(reference):
            raise ValueError(
                f"{where}: the alignment is ragged: taxon {name!r} has {len(sequence)} sites, "
                f"{first!r} {len(reference)}"
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
    """Distinct columns (taxa, patterns) in which trees can differ, and how often each occurs, float64 (patterns,).

    Left out are sites where one nucleotide fits all taxa: no tree needs a mutation there.
    """
    varied = np.bitwise_and.reduce(encoded, axis=0) == 0
    patterns, counts = np.unique(encoded[:, varied], axis=1, return_counts=True)
    return np.ascontiguousarray(patterns), counts.astype(np.float64)


def simulate_alignment(
    num_taxa: int, num_sites: int, mutation_probability: float, rng: np.random.Generator
) -> dict[str, str]:
    """Sequences at the leaves of a random tree: on each edge a site changes to another nucleotide with a probability.

    The tree is had by splitting a leaf drawn at random until there are enough; the sites follow Jukes and Cantor 1969.
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
