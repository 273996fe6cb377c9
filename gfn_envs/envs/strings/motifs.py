"""Motifs: short patterns of letters, and an automaton that follows all of them along a string."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import shown

#: Ambiguity codes of nucleotides (IUPAC), read as such if all letters of the alphabet are nucleotides.
AMBIGUOUS = {
    **{"R": "AG", "Y": "CTU", "S": "CG", "W": "ATU", "K": "GTU", "M": "AC"},
    **{"B": "CGTU", "D": "AGTU", "H": "ACTU", "V": "ACG", "N": "ACGTU"},
}
#: The letter of the other strand that pairs with each nucleotide.
PAIRS = (("A", "T"), ("A", "U"), ("C", "G"))
#: The automaton has at most this many states.
MAX_STATES = 20_000


def pattern_of(text: str, letters: Sequence[str], where: str) -> BoolArray:
    """The letters that fit each position of a motif, bool (positions, num_letters).

    Args:
        text: one element per position: a letter, ``.`` for any letter, ``[AG]`` for A or G, ``[^P]`` for any but P. If
            the alphabet consists of nucleotides, also an ambiguity code, such as N, R or Y.
        letters: the alphabet; letters of one character.
        where: start of messages.

    Raises:
        ValueError: the text is empty, has an unknown letter, or a letter of the alphabet has several characters.
    """
    if any(len(letter) != 1 for letter in letters):
        raise ValueError(f"{where} needs letters of one character, got the alphabet {list(letters)}")
    codes = AMBIGUOUS if set(letters) <= set("ACGTU") else {}
    known = {letter: letter for letter in letters} | {".": "".join(letters)}
    known = {**{code: fits for code, fits in codes.items() if code not in known}, **known}
    rows = []
    for element in re.findall(r"\[[^\]]*\]|.", text, flags=re.DOTALL):
        inside = element[1:-1] if len(element) > 1 else element
        negated = len(element) > 1 and inside.startswith("^")
        inside = inside[negated:]
        if not inside or not set(inside) <= set(known):
            allowed = (
                f"letters of {''.join(letters)!r}, '.' for any of them, and classes such as [{''.join(letters[:2])}]"
            )
            raise ValueError(f"{where}: {shown(text)} has {element!r}; allowed: {allowed}")
        fits = {letter for symbol in inside for letter in known[symbol]}
        rows.append([(letter in fits) != negated for letter in letters])
    if not rows:
        raise ValueError(f"{where}: a motif is empty")
    return np.array(rows, dtype=bool)


def listed(given: Any, where: str, name: str) -> list[Any]:
    """The elements of a list, tuple or array. Raises TypeError if ``given`` is something else."""
    found = ordered(given, where, name)
    if not isinstance(found, list | tuple | np.ndarray):
        raise TypeError(f"{where}: {name} must be a list, got {shown(given)}")
    return list(found)


def plain_motifs(given: Any) -> Any:
    """Motifs as the arguments of an environment hold them: None, a text, or a list of texts."""
    return given if given is None or isinstance(given, str) else [str(text) for text in given]


def motifs_of(given: Any, letters: Sequence[str], where: str) -> list[BoolArray]:
    """Patterns (:func:`pattern_of`) of a text of motifs separated by commas, of a list of motifs, or of None."""
    if given is None:
        return []
    texts = given.split(",") if isinstance(given, str) else listed(given, where, "the list of motifs")
    if bad := [text for text in texts if not isinstance(text, str)]:
        raise TypeError(f"{where}: a motif must be a text, got {shown(bad[0])}")
    return [pattern_of(text.strip(), letters, where) for text in texts]


def complement_of(letters: Sequence[str], where: str) -> IntArray:
    """Number of the letter that pairs with each letter, int64 (num_letters,).

    Raises:
        ValueError: the letters are not nucleotides, or one lacks its partner.
    """
    partner = {a: b for pair in PAIRS for a, b in (pair, pair[::-1]) if set(pair) <= set(letters)}
    if set(partner) != set(letters) or {"T", "U"} <= set(letters):
        raise ValueError(
            f"{where}: reverse_complement needs an alphabet of pairing nucleotides, ACGT or ACGU, got {list(letters)}"
        )
    return np.array([letters.index(partner[letter]) for letter in letters])


class Automaton(NamedTuple):
    """A deterministic automaton that reads strings. State 0 is the start; the last state is dead and stays dead.

    Attributes:
        step: the next state by state and letter, int64 (states, num_letters).
        accept: True for states where a string may end, bool (states,).
    """

    step: IntArray
    accept: BoolArray


def automaton_of(
    num_letters: int, forbidden: Sequence[BoolArray], required: Sequence[Sequence[BoolArray]], where: str
) -> Automaton:
    """The automaton that accepts strings without any forbidden motif and with one motif of each required group.

    A state is the set of motif prefixes that the string ends with (the bits of Baeza-Yates and Gonnet 1992, Shift-And),
    and the set of groups that were found.

    Raises:
        ValueError: it has more than MAX_STATES states.
    """
    fits, starts, place = [0] * num_letters, 0, 0
    ends = [0] * (1 + len(required))  # bits of complete motifs: forbidden ones, then by group
    bits_of = [0] * (1 + len(required))
    for group, patterns in enumerate([forbidden, *required]):
        for pattern in patterns:
            starts |= 1 << place
            for row in pattern:
                for letter in np.flatnonzero(row).tolist():
                    fits[letter] |= 1 << place
                bits_of[group] |= 1 << place
                place += 1
            ends[group] |= 1 << (place - 1)
    complete = 0
    for bits in ends:
        complete |= bits

    def follow(bits: int, found: int, letter: int) -> tuple[int, int] | None:
        bits = (bits << 1 | starts) & fits[letter]
        if bits & ends[0]:
            return None
        for group in range(len(required)):
            found |= bool(bits & ends[group + 1]) << group
        bits &= ~complete
        for group in range(len(required)):
            if found >> group & 1:  # Motifs of groups that were found need not be followed any longer.
                bits &= ~bits_of[group + 1]
        return bits, found

    number = {(0, 0): 0}
    order, rows = [(0, 0)], []
    for bits, found in order:
        row = []
        for letter in range(num_letters):
            state = follow(bits, found, letter)
            if state is not None and state not in number:
                number[state] = len(order)
                order.append(state)
            row.append(-1 if state is None else number[state])
        rows.append(row)
        if len(order) > MAX_STATES:
            raise ValueError(f"{where}: the motifs need an automaton of more than {MAX_STATES:,} states; give fewer")
    step = np.array([*rows, [-1] * num_letters])
    accept = [found == 2 ** len(required) - 1 for _, found in order]
    return Automaton(np.where(step < 0, len(order), step), np.array([*accept, False]))
