"""Tables with a value for every string over an alphabet, in the order of numbering.py."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.strings.numbering import num_strings, positions, string_at

#: A table can hold at most this many strings (400 MB of float64).
MAX_STRINGS = 50_000_000


def table_values(table: Any, alphabet: Sequence[str], shortest: int, longest: int, where: str) -> FloatArray:
    """The value of every string of ``shortest``..``longest`` letters, float64 (num_strings,).

    Args:
        table: one of: values in the order of numbering.py; a mapping from strings to values; a pandas Series labeled by
            strings; the path of a text file with a string and a value per line, separated by a comma, a tab or spaces,
            with or without a header.
        alphabet: the letters in order. Mappings and files need letters of one character.
        shortest, longest: smallest and largest number of letters.
        where: name of the environment, for messages.

    Raises:
        ValueError: a string is missing, unknown or repeated; a value is not a finite number; the file cannot be read;
            or there are more than MAX_STRINGS strings.
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
                f"{where}: the table must have one value for each of {count:,} strings, got shape {result.shape}"
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
    """The strings that label a pandas Series, empty for other labels or types; it does not import pandas."""
    if not hasattr(table, "to_dict") or np.ndim(table) != 1:
        return []
    labels = list(table.index)
    return [str(label) for label in labels] if any(isinstance(label, str) for label in labels) else []


def _read(path: Path, where: str) -> tuple[list[str], list[float]]:
    """The strings and values in a text file."""
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
