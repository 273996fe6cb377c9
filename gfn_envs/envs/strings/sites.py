"""Sites that may mutate: the wild type, the letters of each site, and mutations as text, such as V39A."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence as Letters
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.strings.motifs import listed
from gfn_envs.fasta_files import is_fasta, read_fasta
from gfn_envs.validation import shown

#: Names of the wild type in tables.
WILD_TYPE = ("wt", "wild type", "wildtype", "wild-type", "_wt")


def wild_type_of(given: Any, letters: Letters[str], where: str) -> str:
    """The wild type: a text of letters, or the only sequence of a FASTA file.

    Raises:
        ValueError: it is neither.
    """
    found = given
    if isinstance(given, str) and is_fasta(given):
        sequences = read_fasta(given, f"{where}: wild_type")
        if len(sequences) > 1:
            raise ValueError(f"{where}: wild_type: {given} must have one sequence, got {len(sequences)}")
        (found,) = sequences.values()
    if not isinstance(found, str) or not found or set(found) - set(letters):
        allowed = f"letters of {shown(''.join(letters))[1:-1]}, or the path of a FASTA file ({'.fasta'!r})"
        raise ValueError(f"{where}: wild_type must be {allowed}, got {shown(found)}")
    return found


def numbered(allowed: Any, where: str) -> Any:
    """``letters`` of :class:`gfn_envs.Mutation` with integer keys, which JSON and shells turn into text."""
    if not isinstance(allowed, Mapping):
        return allowed
    texts = {key: int(key) for key in allowed if isinstance(key, str) and re.fullmatch(r"-?\d{1,9}", key)}
    result = {texts.get(key, key): text for key, text in allowed.items()}
    if len(result) < len(allowed):
        raise ValueError(f"{where}: letters has a position twice, got {shown(allowed)}")
    return result


def sites_of(given: Any, allowed: Any, length: int, first: int, where: str) -> IntArray:
    """Positions from 0 that may mutate, ascending, int64 (sites,), from numbers that begin with ``first``.

    Raises:
        TypeError, ValueError: ``given`` is not such as :class:`gfn_envs.Mutation` describes.
    """
    if given is None:
        numbers = list(allowed) if isinstance(allowed, Mapping) else list(range(first, first + length))
    elif isinstance(given, str):
        numbers = []
        for part in given.split(","):
            match = re.fullmatch(r"\s*(-?\d+)\s*(?:-\s*(-?\d+)\s*)?", part)
            if match is None:
                raise ValueError(f"{where}: positions must be such as '39-41,54', got {shown(given)}")
            numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    else:
        numbers = [given] if isinstance(given, int | np.integer) else listed(given, where, "positions")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{where}: positions must be integers, got {shown(number)}")
        if not first <= number < first + length:
            raise ValueError(f"{where}: positions must be in {first}..{first + length - 1}, got {number}")
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"{where}: positions must be different and at least one, got {shown(given)}")
    return np.sort(np.array(numbers, dtype=np.int64)) - first


def letters_at(allowed: Any, sites: IntArray, letters: Letters[str], first: int, where: str) -> BoolArray:
    """Letters that each site may mutate to, bool (sites, num_letters).

    Raises:
        ValueError: ``allowed`` is not such as :class:`gfn_envs.Mutation` describes.
    """
    numbers = (sites + first).tolist()
    by_site = allowed if isinstance(allowed, Mapping) else dict.fromkeys(numbers, allowed)
    if unknown := set(by_site) - set(numbers):
        raise ValueError(f"{where}: letters has position {shown(min(unknown, key=str))}, which may not mutate")
    result = np.ones((len(sites), len(letters)), dtype=bool)
    for row, number in zip(result, numbers, strict=True):
        text = by_site.get(number)
        if text is None:
            continue
        if not isinstance(text, str) or not text or set(text) - set(letters):
            raise ValueError(
                f"{where}: letters must be texts of letters of {shown(''.join(letters))}, got {shown(text)}"
            )
        row[:] = [letter in text for letter in letters]
    return result


def mutant_of(text: str, wild_type: str, letters: Letters[str], first: int, where: str) -> str:
    """The whole sequence of a variant: a sequence, mutations such as ``V39A:D40G``, or ``wt``.

    Raises:
        ValueError: the text has another form, or does not fit the wild type.
    """
    if len(text) == len(wild_type) and set(text) <= set(letters):
        return text
    if text.lower() in WILD_TYPE:
        return wild_type
    found = list(wild_type)
    for part in re.split(r"[:;,/+\s]+", text):
        match = re.fullmatch(r"(\D)(-?\d+)(\D)", part)
        position = int(match[2]) - first if match else -1
        if match is None or not {match[1], match[3]} <= set(letters) or not 0 <= position < len(wild_type):
            mutation = f"{wild_type[0]}{first}{letters[wild_type[0] == letters[0]]}"
            allowed = f"{len(wild_type)} letters of {''.join(letters)}, and no mutations such as {mutation!r}"
            raise ValueError(f"{where}: {text!r} is not {allowed}")
        if wild_type[position] != match[1]:
            raise ValueError(
                f"{where}: {text!r}: the wild type has {wild_type[position]} at {match[2]}, not {match[1]}"
            )
        if found[position] != wild_type[position]:
            raise ValueError(f"{where}: {text!r} mutates position {match[2]} twice")
        found[position] = match[3]
    return "".join(found)
