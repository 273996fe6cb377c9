"""The order of strings over an alphabet: by length, then alphabetically."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gfn_envs.arrays import IntArray


def num_strings(num_letters: int, shortest: int, longest: int) -> int:
    """Number of strings of ``shortest``..``longest`` letters."""
    return sum(num_letters**t for t in range(shortest, longest + 1))


def positions(strings: Sequence[str], alphabet: Sequence[str], shortest: int, longest: int, where: str) -> IntArray:
    """Position of each string in the order of this module, from 0, int64 (n,).

    Args:
        strings: the strings, of ``shortest``..``longest`` letters.
        alphabet: the letters in order, one character each.
        shortest, longest: smallest and largest number of letters.
        where: name of the environment, for messages.

    Raises:
        ValueError: a letter has several characters, or a string has a wrong length or an unknown letter.
    """
    lengths, starts, letters = _letters(strings, alphabet, shortest, longest, where)
    result = np.zeros(len(strings), dtype=np.int64)
    for t in range(longest):
        longer = lengths > t
        result[longer] = result[longer] * len(alphabet) + letters[starts[longer] + t]
    offsets = [num_strings(len(alphabet), shortest, t - 1) for t in range(longest + 1)]
    return result + np.array(offsets)[lengths]


def string_at(position: int, alphabet: Sequence[str], shortest: int) -> str:
    """The string at a position in the order of this module, which starts with strings of ``shortest`` letters."""
    length, q = shortest, len(alphabet)
    while position >= q**length:
        position, length = position - q**length, length + 1
    return "".join(alphabet[position // q**t % q] for t in reversed(range(length)))


def tokens_of(strings: Sequence[str], alphabet: Sequence[str], shortest: int, longest: int, where: str) -> IntArray:
    """Number of each letter, and of none (the number of letters) after the end, int64 (n, longest).

    Arguments and errors are those of :func:`positions`.
    """
    lengths, starts, letters = _letters(strings, alphabet, shortest, longest, where)
    column = np.arange(longest)
    tokens = np.append(letters, 0)[np.minimum(starts[:, None] + column, len(letters))]
    return np.where(column < lengths[:, None], tokens, len(alphabet))


def _letters(
    strings: Sequence[str], alphabet: Sequence[str], shortest: int, longest: int, where: str
) -> tuple[IntArray, IntArray, IntArray]:
    """Lengths and starts of strings (n,), and the numbers of their letters, one string after the other."""
    if any(len(letter) != 1 for letter in alphabet):
        raise ValueError(f"{where}: strings need letters of one character, got {list(alphabet)}")
    lengths = np.array([len(string) for string in strings], dtype=np.int64)
    code = np.full(0x110000, -1)
    code[[ord(letter) for letter in alphabet]] = np.arange(len(alphabet))
    letters = code[np.frombuffer("".join(strings).encode("utf-32-le"), dtype=np.uint32)]
    starts = np.cumsum(lengths) - lengths
    known = np.minimum.reduceat(np.append(letters, 0), starts) >= 0 if len(strings) else np.zeros(0, dtype=bool)
    good = (lengths >= shortest) & (lengths <= longest) & known
    if not good.all():
        bad = strings[int(np.argmin(good))]
        allowed = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        raise ValueError(f"{where}: {bad!r} is not a string of {allowed} letters of {''.join(alphabet)!r}")
    return lengths, starts, letters
