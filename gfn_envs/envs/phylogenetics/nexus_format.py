"""Declarations of a NEXUS file about its matrix: FORMAT, DIMENSIONS and OPTIONS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gfn_envs.envs.phylogenetics.nexus_tokens import Token, options
from gfn_envs.envs.phylogenetics.nucleotides import BITS, letter_of_set

#: Stands for the letter of the first taxon. It cannot be in a text file.
MATCH = "\0"
#: Letters that a data type does not have.
FOREIGN = {"DNA": "U", "RNA": "T", "NUCLEOTIDE": ""}
#: Options of FORMAT and the supported values. An empty value is the option alone.
SETTINGS = {
    "INTERLEAVE": ("", "YES", "NO"),
    "LABELS": ("", "LEFT"),
    "RESPECTCASE": ("",),
    "ITEMS": ("STATES", "(STATES)"),
    "STATESFORMAT": ("STATESPRESENT",),
    "NOTOKENS": ("",),
}
#: The same for OPTIONS: several states of a taxon are uncertain, and a gap is a separate state.
OPTIONS = {"MSTAXA": ("UNCERTAIN",), "GAPMODE": ("NEWSTATE",)}
READ = ("DATATYPE", "MISSING", "GAP", "MATCHCHAR", "SYMBOLS", "EQUATE", *SETTINGS)


@dataclass
class Format:
    """Rules for reading a matrix.

    Attributes:
        letters: symbol of the matrix -> the letter it stands for, if it differs.
        foreign: letters that the data type does not have.
        interleaved: the matrix is interleaved.
    """

    letters: dict[str, str]
    foreign: str
    interleaved: bool


def read_format(words: list[Token], place: str) -> Format:
    """The FORMAT command.

    Raises:
        ValueError: it declares something that cannot be read, which the message names; or symbols with two meanings.
    """
    given = options(words, place)
    for name, value in given.items():
        _check_setting("FORMAT", name, value, SETTINGS, READ, place)
    interleave = given.get("INTERLEAVE")
    kind = given["DATATYPE"].text.upper() if "DATATYPE" in given else "NUCLEOTIDE"
    if kind not in FOREIGN:
        raise ValueError(
            f"{place}, line {given['DATATYPE'].line}: DATATYPE={given['DATATYPE'].text}; allowed: {', '.join(FOREIGN)}"
        )
    letters: dict[str, str] = {}
    for name, standard in (("MISSING", "?"), ("GAP", "-"), ("MATCHCHAR", MATCH)):
        if name in given:
            for symbol in _symbol(name, given[name], place):
                if symbol in letters:
                    raise ValueError(f"{place}, line {given[name].line}: {name}={symbol} has another meaning already")
                letters[symbol] = standard
    if "SYMBOLS" in given and (other := set(given["SYMBOLS"].text) - set(BITS) - set(letters) - set(" ,")):
        raise ValueError(
            f"{place}, line {given['SYMBOLS'].line}: SYMBOLS has {''.join(sorted(other))!r}, no nucleotides"
        )
    if "EQUATE" in given:
        letters |= _equates(given["EQUATE"], letters, place)
    return Format(letters, FOREIGN[kind], interleave is not None and interleave.text.upper() != "NO")


def check_options(words: list[Token], place: str) -> None:
    """Raise ValueError if the OPTIONS command changes what a gap or several states of a taxon mean."""
    for name, value in options(words, place).items():
        _check_setting("OPTIONS", name, value, OPTIONS, OPTIONS, place)


def read_dimensions(words: list[Token] | None, place: str) -> dict[str, int]:
    """NTAX and NCHAR of the DIMENSIONS command, if they are given."""
    found = {}
    for name, value in options(words or [], place).items():
        if name in ("NTAX", "NCHAR") and re.fullmatch("[0-9]{1,9}", value.text) and int(value.text):
            found[name] = int(value.text)
        elif name != "NEWTAXA" or value.text:
            raise ValueError(
                f"{place}, line {value.line}: DIMENSIONS {name}={value.text}; allowed: NTAX and NCHAR with a number "
                "above 0, NEWTAXA"
            )
    return found


def _check_setting(
    command: str,
    name: str,
    value: Token,
    allowed: Mapping[str, tuple[str, ...]],
    known: Iterable[str],
    place: str,
) -> None:
    if name not in known:
        raise ValueError(
            f"{place}, line {value.line}: {command} {name} cannot be read; allowed: {', '.join(sorted(known))}"
        )
    if name in allowed and value.text.upper() not in allowed[name]:
        raise ValueError(
            f"{place}, line {value.line}: {command} {name}={value.text} cannot be read; "
            f"allowed: {' or '.join(f'{name}={text}'.rstrip('=') for text in allowed[name])}"
        )


def _symbol(name: str, value: Token, place: str) -> set[str]:
    """A symbol as capital and small letter."""
    symbol = value.text.strip()
    if len(symbol) != 1 or symbol.upper() in "ACGTU" or symbol in "{}(),":
        raise ValueError(
            f"{place}, line {value.line}: {name} must be one character and no nucleotide, got {value.text!r}"
        )
    return {symbol, symbol.lower(), symbol.upper()} if symbol in BITS else {symbol}


def _equates(value: Token, letters: dict[str, str], place: str) -> dict[str, str]:
    """The letters of an EQUATE such as ``"x=A y={CG}"``."""
    pair = re.compile(r"\s*(\S)\s*=\s*(\{[^}]*\}|\([^)]*\)|\S)\s*")
    found: dict[str, str] = {}
    at = 0
    while at < len(value.text):
        match = pair.match(value.text, at)
        symbol, meaning = (match[1], match[2].strip("{}() ")) if match else ("", "")
        states = "".join(letters.get(letter, letter) for letter in re.sub(r"[\s,]", "", meaning))
        letter = letter_of_set(states)
        if match is None or letter is None or symbol in letters or symbol in found or symbol.upper() in "ACGTU{}(),":
            raise ValueError(
                f"{place}, line {value.line}: EQUATE must give new symbols the meaning of nucleotides, got "
                f"{value.text[at:].strip()!r}"
            )
        found[symbol], at = letter, match.end()
    return found
