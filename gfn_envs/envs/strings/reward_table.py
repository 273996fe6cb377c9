"""Tables with a value for every string over an alphabet, in the order of numbering.py."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.envs.strings.numbering import num_strings, positions, string_at
from gfn_envs.text_cells import no_number, number_in
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import is_frame, is_numbered, problem_of, real_array

#: A table can hold at most this many strings (400 MB of float64).
MAX_STRINGS = 50_000_000


def table_values(table: Any, alphabet: Sequence[str], shortest: int, longest: int, where: str) -> FloatArray:
    """The value of every string of ``shortest``..``longest`` letters, float64 (num_strings,).

    Args:
        table: one of: values in the order of numbering.py; a mapping from strings to values; a pandas Series labeled by
            strings; the path of a text file with a string and a value per line, separated by a comma, a semicolon, a
            tab or spaces, with or without a header. A pandas Series labeled by 0, 1, 2, ... in this order is read as
            values in the order of numbering.py.
        alphabet: the letters in order. Mappings and files need letters of one character.
        shortest, longest: smallest and largest number of letters.
        where: name of the environment, for messages.

    Raises:
        TypeError: a label is not a string, a value is not a number, or the container has no order.
        ValueError: a string is missing, unknown or repeated; a value is not a finite number, or is masked; or
            there are more than MAX_STRINGS strings.
        OSError: the file cannot be read.
    """
    # The number of strings is a huge integer if the strings are long.
    count = num_strings(len(alphabet), shortest, longest) if longest < 64 else MAX_STRINGS + 1
    if count > MAX_STRINGS:
        number = f"{count:,}" if longest < 64 else f"about {len(alphabet)}^{longest}"
        raise ValueError(f"{where}: {number} strings are too many for a table (limit {MAX_STRINGS:,}); give a callable")
    labeled = labeled_values(table, alphabet, where)
    if labeled is None:
        result = real_array(table, where, "the table")
        if result.shape != (count,):
            raise ValueError(
                f"{where}: the table must have one value for each of {count:,} strings, got shape {result.shape}"
            )
        return _finite(result, alphabet, shortest, where)
    strings, values, where = labeled
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
    return _finite(result, alphabet, shortest, where)


def labeled_values(table: Any, alphabet: Sequence[str], where: str) -> tuple[list[str], list[float], str] | None:
    """Strings and values of a mapping, a pandas Series or a file, and a start of messages that names the file.

    None if the table has no labels. Raises TypeError and ValueError as :func:`table_values` does.
    """
    if isinstance(table, str | os.PathLike):
        strings, values = _read(Path(table), where, alphabet)
        where = f"{where}: {table}"
    elif isinstance(table, Mapping):
        strings, values = list(table), list(table.values())
    elif hasattr(table, "columns") and hasattr(table, "to_numpy"):
        raise TypeError(
            f"{where}: the table is a {type(table).__name__}; give a Series whose labels are the strings, such as "
            "frame.set_index('string')['value']"
        )
    elif is_frame(table) and not is_numbered(table.index):
        strings, values = table.index.tolist(), table.tolist()
    else:
        return None
    _check_types(strings, values, where)
    return strings, values, where


def _finite(values: FloatArray, alphabet: Sequence[str], shortest: int, where: str) -> FloatArray:
    good = np.isfinite(values)
    if not good.all():
        bad = int(np.argmin(good))
        text = string_at(bad, alphabet, shortest)
        raise ValueError(f"{where}: the value of {text!r} in the table is {values[bad]}; allowed: finite numbers")
    return values


def _check_types(strings: Sequence[Any], values: Sequence[Any], where: str) -> None:
    """Raise TypeError unless all labels are text and all values are numbers."""
    for label in strings:
        if not isinstance(label, str):
            hint = " (text of digits loses its leading zeros if it is read as numbers: read it as text, dtype=str)"
            raise TypeError(
                f"{where}: the label {label!r} in the table is not a string{hint * isinstance(label, int | np.integer)}"
            )
    # The types are compared as a set: plain numbers need no further checks.
    if not set(map(type, values)) <= {int, float}:
        for label, value in zip(strings, values, strict=True):
            if problem := problem_of(value):
                raise TypeError(f"{where}: the value of {label!r} in the table is {problem}: {value!r}")


# ---------------------------------------------------------------------- files


def _read(path: Path, where: str, alphabet: Sequence[str]) -> tuple[list[str], list[float]]:
    """The strings and values in a text file."""
    text = read_text(path, where)
    strings: list[str] = []
    values: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = _cells(line)
        if not any(cells):
            continue
        value = number_in(cells[1]) if len(cells) == 2 else None
        if value is None:
            # The first line is a header if it cannot be an entry of the table.
            if not strings and number == 1 and len(cells) == 2 and not set(cells[0]) <= set(alphabet):
                continue
            why = no_number(cells[1]) if len(cells) == 2 else f"{len(cells)} entries"
            raise ValueError(
                f"{where}: {path}, line {number}: expected a string and a number, got {line[:80]!r}: {why}"
            )
        strings.append(cells[0])
        values.append(value)
    return strings, values


def _cells(line: str) -> list[str]:
    """The cells of a line, separated by its first tab, semicolon or comma, or by spaces."""
    line = line.strip()
    mark = next((mark for mark in "\t;," if mark in line), None)
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark or " ", skipinitialspace=True), [])]
    return [cell.strip() for cell in line.split(mark)]
