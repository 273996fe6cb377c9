"""One taxon of an alignment file, and the checks that every format needs: names, letters, lengths."""

from __future__ import annotations

from dataclasses import dataclass, field

from gfn_envs.envs.phylogenetics.nucleotides import ALLOWED, BITS


@dataclass
class Taxon:
    """A taxon as it stands in a file.

    Attributes:
        name: its name.
        line: number of the line with its name, from 1.
        pieces: ``(line, letters)`` of each line of its sequence, in order.
        key: taxa with the same key are the same taxon; the name if it is empty.
    """

    name: str
    line: int
    pieces: list[tuple[int, str]] = field(default_factory=list)
    key: str = ""

    def add(self, line: int, letters: str) -> None:
        if letters:
            self.pieces.append((line, letters))

    @property
    def sequence(self) -> str:
        return "".join(letters for _, letters in self.pieces)

    def __len__(self) -> int:
        return sum(len(letters) for _, letters in self.pieces)


def checked_sequences(taxa: list[Taxon], place: str, num_taxa: int | None = None) -> dict[str, str]:
    """The sequences of an alignment by name, in the order of the file.

    Args:
        taxa: the taxa of the file.
        place: beginning of every message, the environment and the file.
        num_taxa: number of taxa that the file declares, if it does.

    Raises:
        ValueError: there is no taxon; a name is empty or occurs twice; a sequence is empty or has another length than
            the first; a letter is unknown; or the number of taxa is not the declared one.
    """
    if not taxa:
        raise ValueError(f"{place} has no sequences")
    check_names(taxa, place)
    for taxon in taxa:
        if not len(taxon):
            raise ValueError(f"{place}, line {taxon.line}: taxon {taxon.name!r} has no sequence")
        check_letters(taxon, place)
    if num_taxa is not None and len(taxa) != num_taxa:
        raise ValueError(f"{place} declares {num_taxa} taxa, but has {len(taxa)}: {listed([t.name for t in taxa])}")
    check_lengths(taxa, place)
    return {taxon.name: taxon.sequence for taxon in taxa}


def check_names(taxa: list[Taxon], place: str) -> None:
    """Raise ValueError if a name is empty, or two taxa have the same name or key."""
    named: dict[str, Taxon] = {}
    keyed: dict[str, Taxon] = {}
    for taxon in taxa:
        if not taxon.name:
            raise ValueError(f"{place}, line {taxon.line}: a sequence must have a name")
        for before in (named.setdefault(taxon.name, taxon), keyed.setdefault(taxon.key or taxon.name, taxon)):
            if before is not taxon:
                raise ValueError(
                    f"{place}, line {taxon.line}: sequences must have different names, got {taxon.name!r}, and "
                    f"{before.name!r} on line {before.line}"
                )


def check_lengths(taxa: list[Taxon], place: str) -> None:
    """Raise ValueError if a taxon has another number of sites than the first; the message has both."""
    first = taxa[0]
    for taxon in taxa[1:]:
        if len(taxon) != len(first):
            raise ValueError(
                f"{place}, line {taxon.line}: all taxa must have the same number of sites, but {taxon.name!r} has "
                f"{len(taxon)} and {first.name!r} has {len(first)}"
            )


def check_letters(taxon: Taxon, place: str) -> None:
    """Raise ValueError if a letter of a sequence is unknown. The message names line, taxon and site, from 1."""
    site = 0
    for line, letters in taxon.pieces:
        for letter in letters:
            site += 1
            if letter not in BITS:
                raise ValueError(f"{place}, line {line}: {unknown_letter(taxon.name, site, letter)}")


def unknown_letter(name: str, site: int, letter: str) -> str:
    """The message about a letter that is not a nucleotide."""
    hint = " (a letter like that of the first taxon must be written out)" if letter == "." else ""
    return f"taxon {name!r}, site {site}: unknown letter {letter!r}{hint}; allowed: {ALLOWED}"


def listed(names: list[str]) -> str:
    """At most five names, for messages."""
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
