"""Sequences from FASTA files. `gfn sample` writes them (agents/export)."""

from __future__ import annotations

import os

from gfn_envs.text_files import read_text

SUFFIXES = (".fasta", ".fa", ".faa", ".fna", ".fas")


def is_fasta(text: str) -> bool:
    """True if ``text`` is the path of a FASTA file by its suffix, compressed with gzip or not."""
    return text.lower().removesuffix(".gz").endswith(SUFFIXES)


def read_fasta(path: str | os.PathLike[str], where: str = "read_fasta") -> dict[str, str]:
    """Sequences by the first word of their header, in the order of the file.

    Lines that begin with ``;`` are comments. Blanks in sequences do not count. Letters keep their case.

    Raises:
        OSError: the file cannot be read.
        ValueError: it does not begin with ``>``, repeats a name, or has an empty sequence.
    """
    text = read_text(os.fspath(path), where)
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(">"):
            name = (line[1:].split() or [""])[0]
            if name in found:
                raise ValueError(f"{where}: {path}, line {number}: a second sequence is named {name!r}")
            lines = found[name] = []
        elif line.startswith(";") or not line.strip():
            continue
        elif lines is None:
            raise ValueError(f"{where}: {path}, line {number}: a FASTA file must begin with '>', got {line[:40]!r}")
        else:
            lines.append("".join(line.split()))
    sequences = {name: "".join(parts) for name, parts in found.items()}
    if empty := [name for name, sequence in sequences.items() if not sequence]:
        raise ValueError(f"{where}: {path}: the sequence {empty[0]!r} is empty")
    if not sequences:
        raise ValueError(f"{where}: {path} has no sequence")
    return sequences
