"""Alignments in FASTA format."""

from __future__ import annotations

from gfn_envs.envs.phylogenetics.taxa import Taxon, checked_sequences


def read_fasta(text: str, place: str) -> dict[str, str]:
    """Taxa and sequences of a FASTA file.

    A line that begins with ``>`` begins a sequence; its first word is the name. Lines that begin with ``;`` are
    comments, as in the first FASTA programs. Blanks in sequences do not count.

    Raises:
        ValueError: there is text before the first name, or :func:`checked_sequences` raises it.
    """
    taxa: list[Taxon] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(">"):
            taxa.append(Taxon((line[1:].split() or [""])[0], number))
        elif line.startswith(";") or not line.strip():
            continue
        elif not taxa:
            raise ValueError(f"{place}, line {number}: a FASTA file must begin with '>', got {line.strip()[:40]!r}")
        else:
            taxa[-1].add(number, "".join(line.split()))
    return checked_sequences(taxa, place)
