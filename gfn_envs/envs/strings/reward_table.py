"""Values of every string over an alphabet, from tables; strings are ordered by length, then alphabetically."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: Tables hold at most this many strings (400 MB of float64).
MAX_STRINGS = 50_000_000


def num_strings(num_letters: int, shortest: int, longest: int) -> int:
    """How many strings of ``shortest``..``longest`` letters there are."""
    return sum(num_letters**t for t in range(shortest, longest + 1))


def table_values(table: Any, alphabet: Sequence[str], shortest: int, longest: int, where: str) -> FloatArray:
    """A value for each string, float64 (num_strings,).

    Args:
        table: values in order; or a mapping from strings to values, or a pandas Series labelled by strings; or the path
            of a text file with a string and a value a line, parted by a comma, a tab or blanks, below a header or not.
        alphabet: the letters, in order. Mappings and files need letters of one character.
        shortest, longest: numbers of letters.
        where: for messages.

    Raises:
        ValueError: a string is missing, unknown or given twice, or a value is not a finite number; or a file that
            cannot be read.
    """
    count = num_strings(len(alphabet), shortest, longest)
    if count > MAX_STRINGS:
        raise ValueError(
            f"{where}: {count:,} strings are too many for a table (limit {MAX_STRINGS:,}); give a callable"
        )
    if isinstance(table, str | os.PathLike):
        strings, values = _read(Path(table), where)
    elif isinstance(table, Mapping):
        strings, values = list(table), list(table.values())
    elif labels := _labels(table):
        strings, values = labels, np.asarray(table, dtype=np.float64).tolist()
    else:
        result = np.array(table, dtype=np.float64)
        if result.shape != (count,):
            raise ValueError(
                f"{where}: the table must have one value for each of {count:,} strings, got {result.shape}"
            )
        return _finite(result, where)
    index = positions(strings, alphabet, shortest, longest, where)
    result, times = np.zeros(count), np.bincount(index, minlength=count)
    result[index] = values
    if not (times == 1).all():
        bad = int(np.argmax(times != 1))
        text = string_at(bad, alphabet, shortest)
        raise ValueError(
            f"{where}: the table must have each of {count:,} strings once, but has {text!r} {times[bad]} times "
            f"({(times == 0).sum():,} are missing, {(times > 1).sum():,} repeated)"
        )
    return _finite(result, where)


def _finite(values: FloatArray, where: str) -> FloatArray:
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: value {values[~np.isfinite(values)][0]} in the table; allowed: finite numbers")
    return values


def _labels(table: Any) -> list[str]:
    """The strings that label the values of a pandas Series, without asking for pandas; none where it is numbered."""
    if not hasattr(table, "to_dict") or np.ndim(table) != 1:
        return []
    labels = list(table.index)
    return [str(label) for label in labels] if any(isinstance(label, str) for label in labels) else []


def _read(path: Path, where: str) -> tuple[list[str], list[float]]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{where}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{where}: {path} cannot be read: not UTF-8") from None
    strings, values = [], []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.replace(",", " ").split()
        if not cells:
            continue
        try:
            string, value = cells
            values.append(float(value))
        except ValueError:
            if number == 1:
                continue  # a header
            raise ValueError(f"{where}: {path}, line {number}: expected a string and a number, got {line!r}") from None
        strings.append(string)
    return strings, values


def positions(strings: Sequence[str], alphabet: Sequence[str], shortest: int, longest: int, where: str) -> IntArray:
    """Position of each string in the order of this module, int64 (n,). Raises ValueError for others."""
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
        raise ValueError(
            f"{where}: {bad!r} is not a string of {shortest} to {longest} letters of {''.join(alphabet)!r}"
        )
    result = np.zeros(len(strings), dtype=np.int64)
    for t in range(longest):
        longer = lengths > t
        result[longer] = result[longer] * len(alphabet) + letters[starts[longer] + t]
    offsets = [num_strings(len(alphabet), shortest, t - 1) for t in range(longest + 1)]
    return result + np.array(offsets)[lengths]


def string_at(position: int, alphabet: Sequence[str], shortest: int) -> str:
    """The string at a position of the order of this module."""
    length, q = shortest, len(alphabet)
    while position >= q**length:
        position, length = position - q**length, length + 1
    return "".join(alphabet[position // q**t % q] for t in reversed(range(length)))


# ---------------------------------------------------------------------- modes


def top_fraction(values: FloatArray, fraction: float) -> IntArray:
    """Positions (m,), ascending, of the best ``ceil(fraction * n)`` of ``values`` (n,), and of ties with the last."""
    return top(values, share(fraction, len(values)))


def top(values: FloatArray, count: int) -> IntArray:
    """Positions (m,), ascending, of the best ``count`` of ``values`` (n,), and of ties with the last."""
    threshold = np.partition(values, -count)[-count]
    return np.flatnonzero(values >= threshold)


def share(fraction: float, n: int) -> int:
    """``ceil(fraction * n)`` of the decimal number that was meant: 0.07 * 100 is a little more than 7 in binary."""
    return math.ceil(round(fraction * n, 6))


def separated_top(values: FloatArray, num_letters: int, length: int, fraction: float) -> IntArray:
    """Positions (m,), ascending, of ``ceil(fraction * n)`` of the best strings, no two of which differ in one letter.

    Strings are taken in order of their values, the better first and of equals the first in the alphabet, except those
    next to one that was taken.
    """
    strides = num_letters ** np.arange(length)
    taken, near = [], np.zeros(len(values), dtype=bool)
    for position in np.argsort(-values, kind="stable"):
        if near[position]:
            continue
        taken.append(position)
        if len(taken) == share(fraction, len(values)):
            break
        digits = position // strides % num_letters
        near[(position - (digits * strides)[:, None] + strides[:, None] * np.arange(num_letters)).ravel()] = True
    return np.sort(np.array(taken, dtype=np.int64))
