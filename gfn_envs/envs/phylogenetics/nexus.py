"""Alignments in NEXUS format: the MATRIX of a DATA or CHARACTERS block, checked against all that the file declares."""

from __future__ import annotations

import itertools
import re

from gfn_envs.envs.phylogenetics.nexus_format import (
    MATCH,
    Format,
    check_options,
    read_dimensions,
    read_format,
)
from gfn_envs.envs.phylogenetics.nexus_tokens import Block, Token, blocks
from gfn_envs.envs.phylogenetics.nucleotides import letter_of_set
from gfn_envs.envs.phylogenetics.taxa import Taxon, check_lengths, check_names, checked_sequences, listed

#: Commands of the block that are read, and those that only describe its characters or the block itself.
READ = ("DIMENSIONS", "FORMAT", "OPTIONS", "TAXLABELS", "MATRIX")
DESCRIBE = ("TITLE", "LINK", "BLOCKID", "ID", "CHARLABELS", "CHARSTATELABELS", "STATELABELS")


def read_nexus(text: str, place: str) -> dict[str, str]:
    """Taxa and sequences of a NEXUS file, interleaved or not.

    Several states of a taxon at a site, ``{AG}`` or ``(AG)``, become the IUPAC letter of the set. Names keep their
    underscores, but ``a_b`` and ``'A b'`` are the same name, as the format demands. A file without NCHAR must have a
    taxon per line. Blocks other than TAXA, DATA and CHARACTERS are not read.

    Raises:
        ValueError: the file has no matrix or several; declarations (NTAX, NCHAR, TAXLABELS, DATATYPE) and the matrix
            disagree; something cannot be read, which the message names; :func:`checked_sequences` raises it.
    """
    found = blocks(text, place)
    block = _the_block([block for block in found if block.name in ("DATA", "CHARACTERS")], place)
    _check_assumptions(found, place)
    for command in block.commands:
        name = command[0].text.upper()
        if name not in READ + DESCRIBE:
            raise ValueError(f"{place}, line {command[0].line}: {command[0]!r} in a {block.name} block cannot be read")
        if name in READ and block.find(name) != command[1:]:
            raise ValueError(f"{place}, line {command[0].line}: a second {name} in the {block.name} block")
    dimensions = read_dimensions(block.find("DIMENSIONS"), place)
    check_options(block.find("OPTIONS") or [], place)
    form, words = read_format(block.find("FORMAT") or [], place), block.find("MATRIX") or []
    if form.interleaved or "NCHAR" not in dimensions:
        taxa = _by_line(words, form, place)
    else:
        taxa = _by_length(words, form, dimensions["NCHAR"], place)
    check_names(taxa, place)
    _check_declared(taxa, block, dimensions, found, place)
    check_lengths(taxa, place)
    _write_out(taxa, place)
    return checked_sequences(taxa, place)


def _the_block(candidates: list[Block], place: str) -> Block:
    with_matrix = [block for block in candidates if block.find("MATRIX")]
    if not with_matrix:
        raise ValueError(f"{place} has no DATA or CHARACTERS block with a MATRIX")
    if len(with_matrix) > 1:
        where = " and ".join(f"{block.name} on line {block.line}" for block in with_matrix)
        raise ValueError(f"{place} has several alignments, in blocks {where}; leave one")
    return with_matrix[0]


def _check_assumptions(found: list[Block], place: str) -> None:
    """Raise ValueError for sets that change the data by default: excluded and weighted characters."""
    for block in found:
        for command in block.commands if block.name == "ASSUMPTIONS" else []:
            if command[0].text.upper() in ("EXSET", "WTSET", "TYPESET") and command[1:2] and command[1].text[:1] == "*":
                raise ValueError(
                    f"{place}, line {command[0].line}: a default {command[0]!r} cannot be applied; remove its *"
                )


# ---------------------------------------------------------------------- the matrix


def _lines(words: list[Token]) -> list[list[Token]]:
    return [list(line) for _, line in itertools.groupby(words, key=lambda word: word.line)]


def _taxon(word: Token) -> Taxon:
    text = word.text if word.quoted else word.text.replace("_", " ")
    return Taxon(word.text, word.line, key=text.casefold())


def _by_line(words: list[Token], form: Format, place: str) -> list[Taxon]:
    """Taxa of a matrix in which each line begins with the name of a taxon.

    Interleaved, the names follow each other in the same order in every part, and the lines of a part are equally long.
    """
    taxa: list[Taxon] = []
    again = None  # place of the taxon of the last line in the order, from the second part on
    width = 0
    for name, *rest in _lines(words):
        taxon, where = _taxon(name), f"{place}, line {name.line}"
        if not rest:
            hint = "" if form.interleaved else ", and NCHAR is missing"
            raise ValueError(f"{where}: {name!r} is alone on its line{hint}")
        if form.interleaved and taxa and again is None and taxon.key == taxa[0].key:
            again = len(taxa) - 1
        if again is None:
            taxa.append(taxon)
        else:
            again = (again + 1) % len(taxa)
            if taxa[again].key != taxon.key:
                raise ValueError(f"{where}: expected taxon {taxa[again].name!r}, got {name!r}")
            taxon = taxa[again]
        letters = _letters(rest, form, f"{where}: taxon {taxon.name!r}")
        if taxon is taxa[0]:
            width = len(letters)
        elif form.interleaved and len(letters) != width:
            raise ValueError(
                f"{where}: taxon {taxon.name!r} has {len(letters)} sites in this part, and {taxa[0].name!r} {width}"
            )
        taxon.add(name.line, letters)
    if again is not None and again != len(taxa) - 1:
        raise ValueError(f"{place}: the last part of the matrix ends before taxon {taxa[again + 1].name!r}")
    return taxa


def _by_length(words: list[Token], form: Format, sites: int, place: str) -> list[Taxon]:
    """Taxa of a matrix in which a sequence continues until it has ``sites`` sites."""
    taxa: list[Taxon] = []
    continued = False  # the sequence of the last taxon has more than one line
    for line in _lines(words):
        k = 0
        while k < len(line):
            word = line[k]
            where = f"{place}, line {word.line}"
            if not taxa or len(taxa[-1]) == sites:
                if k and continued:
                    raise ValueError(f"{where}: a taxon must begin a line, got {word!r} (NCHAR is {sites})")
                taxa.append(_taxon(word))
                continued, k = False, k + 1
                continue
            taxon = taxa[-1]
            if word.quoted:
                raise ValueError(_wrong_length(taxon, sites, where))
            continued |= not k
            end = k + 1
            while end < len(line) and _is_open(line[k:end]):
                end += 1
            taxon.add(word.line, _letters(line[k:end], form, f"{where}: taxon {taxon.name!r}"))
            if len(taxon) > sites:
                raise ValueError(_wrong_length(taxon, sites, where, "at least "))
            k = end
    if taxa and len(taxa[-1]) != sites:
        raise ValueError(_wrong_length(taxa[-1], sites, f"{place}, line {words[-1].line}"))
    return taxa


def _wrong_length(taxon: Taxon, sites: int, where: str, at_least: str = "") -> str:
    return (
        f"{where}: taxon {taxon.name!r} has {at_least}{len(taxon)} sites, but NCHAR is {sites} (an interleaved matrix "
        "needs INTERLEAVE in its FORMAT)"
    )


def _is_open(words: list[Token]) -> bool:
    """True if a set of states has not ended."""
    text = "".join(word.text for word in words)
    return max(text.rfind("{"), text.rfind("(")) > max(text.rfind("}"), text.rfind(")"))


def _letters(words: list[Token], form: Format, place: str) -> str:
    """The letters of a part of a sequence, with sets of states as IUPAC letters."""
    if quoted := [word for word in words if word.quoted]:
        raise ValueError(f"{place}: expected letters, got {quoted[0]!r} in quotes")
    found = []
    for site in re.findall(r"\{[^{}()]*\}|\([^{}()]*\)|.", " ".join(word.text for word in words)):
        if len(site) > 1:
            states = "".join(form.letters.get(letter, letter) for letter in re.sub(r"[\s,]", "", site[1:-1]))
            letter = letter_of_set(states)
            if letter is None:
                raise ValueError(f"{place}: no IUPAC letter stands for the states {site}")
        elif site == " ":
            continue
        else:
            states = letter = form.letters.get(site, site)
        if foreign := [state for state in states.upper() if state in form.foreign]:
            raise ValueError(f"{place}: {foreign[0]!r} is not a letter of the DATATYPE; NUCLEOTIDE has T and U")
        found.append(letter)
    return "".join(found)


def _write_out(taxa: list[Taxon], place: str) -> None:
    """Replace match characters by the letters of the first taxon."""
    first = taxa[0].sequence if taxa else ""
    if MATCH in first:
        raise ValueError(f"{place}: the first taxon, {taxa[0].name!r}, has match characters")
    for taxon in taxa[1:]:
        start = 0
        for k, (line, letters) in enumerate(taxon.pieces):
            if MATCH in letters:
                whole = (first[start + i] if letter == MATCH else letter for i, letter in enumerate(letters))
                taxon.pieces[k] = (line, "".join(whole))
            start += len(letters)


# ---------------------------------------------------------------------- declarations


def _check_declared(
    taxa: list[Taxon], block: Block, dimensions: dict[str, int], found: list[Block], place: str
) -> None:
    """Compare NTAX, NCHAR and TAXLABELS of the block, and of the TAXA block, with the matrix."""
    _check_count(taxa, dimensions.get("NTAX"), block, place)
    for taxon in taxa:
        if len(taxon) != dimensions.get("NCHAR", len(taxon)):
            raise ValueError(_wrong_length(taxon, dimensions["NCHAR"], f"{place}, line {taxon.line}"))
    taxa_blocks = [other for other in found if other.name == "TAXA"]
    if len(taxa_blocks) > 1:
        lines = " and ".join(str(other.line) for other in taxa_blocks)
        raise ValueError(f"{place} has several TAXA blocks, on lines {lines}; leave one")
    for other in [block, *taxa_blocks]:
        if other is not block:
            _check_count(taxa, read_dimensions(other.find("DIMENSIONS"), place).get("NTAX"), other, place)
        labels = other.find("TAXLABELS")
        if labels is not None:
            _check_labels(taxa, [_taxon(label) for label in labels], other, place)


def _check_count(taxa: list[Taxon], declared: int | None, block: Block, place: str) -> None:
    if declared is not None and declared != len(taxa):
        raise ValueError(
            f"{place}: NTAX of the {block.name} block is {declared}, but the matrix has {len(taxa)} taxa: "
            f"{listed([taxon.name for taxon in taxa])}"
        )


def _check_labels(taxa: list[Taxon], labels: list[Taxon], block: Block, place: str) -> None:
    check_names(labels, place)
    declared, present = {label.key for label in labels}, {taxon.key for taxon in taxa}
    if absent := [label.name for label in labels if label.key not in present]:
        raise ValueError(f"{place}: the matrix has no taxon {listed(absent)}, which TAXLABELS of {block.name} names")
    if unknown := [taxon.name for taxon in taxa if taxon.key not in declared]:
        raise ValueError(f"{place}: the matrix has taxon {listed(unknown)}, which TAXLABELS of {block.name} lacks")
