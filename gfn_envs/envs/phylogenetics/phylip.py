"""Alignments in PHYLIP format.

The format has variants that a file does not declare. Names have 10 characters, which may be blanks (strict), or end at
the first blank (relaxed). The lines of a taxon follow each other (sequential), or there are blocks with one line per
taxon, of which the first has the names (interleaved). All four are tried, and what fits must be one alignment.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gfn_envs.envs.phylogenetics.taxa import Taxon, checked_sequences

#: Number of characters of a name in the strict variants.
NAME = 10

Lines = list[tuple[int, str]]


class _Misfit(ValueError):
    """A file does not have this variant. Attribute ``line``: the line at which it does not fit."""

    def __init__(self, line: int, reason: str):
        super().__init__(f"line {line}: {reason}")
        self.line = line


def is_phylip(text: str) -> bool:
    """True if the first line has two numbers, those of taxa and sites."""
    return re.match(r"\s*[0-9]{1,9}[ \t]+[0-9]{1,9}(\s|$)", text) is not None


def read_phylip(text: str, place: str) -> dict[str, str]:
    """Taxa and sequences of a PHYLIP file: strict or relaxed, sequential or interleaved.

    Raises:
        ValueError: no variant fits, two variants fit and differ, the numbers of taxa and sites are not those of the
            first line, or :func:`checked_sequences` raises it.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    header, *rest = lines
    words = header[1].split()
    if len(words) != 2:
        raise ValueError(
            f"{place}, line {header[0]}: the first line must have the numbers of taxa and sites only, "
            f"got {header[1].strip()[:60]!r}"
        )
    num_taxa, num_sites = map(int, words)
    if not num_taxa or not num_sites:
        raise ValueError(f"{place}, line {header[0]}: {num_taxa} taxa and {num_sites} sites; allowed: at least 1")
    found: dict[str, list[Taxon]] = {}
    misfits: list[_Misfit] = []
    for names, split in (("relaxed", _relaxed), ("strict", _strict)):
        for order, arrange in (("interleaved", _interleaved), ("sequential", _sequential)):
            try:
                found[f"{names} {order}"] = arrange(rest, num_taxa, num_sites, split, header[0])
            except _Misfit as misfit:
                misfits.append(misfit)
    read: dict[str, dict[str, str]] = {}
    errors = []
    for variant, taxa in found.items():
        try:
            read[variant] = checked_sequences(taxa, place, num_taxa=num_taxa)
        except ValueError as error:
            errors.append(error)
    if not read:
        if errors:
            raise errors[0]
        furthest = max(misfits, key=lambda misfit: misfit.line)
        raise ValueError(f"{place} declares {num_taxa} taxa with {num_sites} sites, but {furthest}")
    (variant, result), *others = read.items()
    for other, alignment in others:
        if list(alignment.items()) != list(result.items()):
            raise ValueError(
                f"{place} can be read as {variant} and as {other} PHYLIP, which differ: "
                f"{_difference(result, alignment)}"
            )
    return result


def _difference(one: dict[str, str], other: dict[str, str]) -> str:
    a, b = next(pair for pair in zip(one.items(), other.items(), strict=True) if pair[0] != pair[1])
    return " or ".join(f"taxon {name!r} with {sequence[:20]}..." for name, sequence in (a, b))


def _relaxed(line: str) -> tuple[str, str]:
    name, *sequence = line.split(maxsplit=1)
    return name, "".join(sequence)


def _strict(line: str) -> tuple[str, str]:
    return line[:NAME].strip(), line[NAME:]


Split = Callable[[str], tuple[str, str]]


def _begin(number: int, line: str, split: Split) -> Taxon:
    if split is _strict and ("\t" in line[:NAME] or not line[NAME:].strip()):
        raise _Misfit(number, f"a name must have {NAME} characters, without tabs, and a sequence on its line")
    name, sequence = split(line)
    if not name:
        raise _Misfit(number, "a name is missing")
    taxon = Taxon(name, number)
    taxon.add(number, "".join(sequence.split()))
    return taxon


def _sequential(lines: Lines, num_taxa: int, num_sites: int, split: Split, end: int) -> list[Taxon]:
    taxa: list[Taxon] = []
    for number, line in lines:
        if taxa and len(taxa[-1]) < num_sites:
            taxa[-1].add(number, "".join(line.split()))
        elif len(taxa) == num_taxa:
            raise _Misfit(number, f"there is more after {num_taxa} taxa: {line.strip()[:40]!r}")
        else:
            taxa.append(_begin(number, line, split))
        if len(taxa[-1]) > num_sites:
            raise _Misfit(number, f"taxon {taxa[-1].name!r} has at least {len(taxa[-1])} sites")
        end = number
    _check_complete(taxa, num_taxa, num_sites, end)
    return taxa


def _interleaved(lines: Lines, num_taxa: int, num_sites: int, split: Split, end: int) -> list[Taxon]:
    taxa = [_begin(number, line, split) for number, line in lines[:num_taxa]]
    for k, (number, line) in enumerate(lines[num_taxa:]):
        letters, taxon = "".join(line.split()), taxa[k % num_taxa]
        if len(taxon) + len(letters) > num_sites:
            raise _Misfit(number, f"taxon {taxon.name!r} has at least {len(taxon) + len(letters)} sites")
        taxon.add(number, letters)
        end = number
    for taxon in taxa:
        if len(taxon) > num_sites:
            raise _Misfit(taxon.line, f"taxon {taxon.name!r} has {len(taxon)} sites")
    _check_complete(taxa, num_taxa, num_sites, max([end, *(taxon.line for taxon in taxa)]))
    return taxa


def _check_complete(taxa: list[Taxon], num_taxa: int, num_sites: int, end: int) -> None:
    if len(taxa) != num_taxa:
        raise _Misfit(end, f"only {len(taxa)} taxa are there")
    for taxon in taxa:
        if len(taxon) != num_sites:
            raise _Misfit(end, f"taxon {taxon.name!r} has {len(taxon)} sites")
