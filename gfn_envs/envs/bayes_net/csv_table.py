"""Columns of numbers or labels from text files with any usual separator and decimal mark."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.text_cells import is_missing, no_number, number_in
from gfn_envs.text_files import read_text
from gfn_envs.validation import one_of

#: Names of separators -> the characters, in the order in which they are looked for.
SEPARATORS = {"tab": "\t", ";": ";", ",": ",", "|": "|", "space": " "}
DECIMALS = (".", ",")
WITH_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+")


class Cells(NamedTuple):
    """The cells of a text file: its first line, and (line number, cells) of the others."""

    header: list[str]
    lines: list[tuple[int, list[str]]]


def read_cells(path: Path, where: str, separator: str = "auto") -> Cells:
    """The cells of a text file (plain or gzip, UTF-8), without empty lines and spaces around cells.

    Args:
        path: the file.
        where: prefix of error messages.
        separator: a key of ``SEPARATORS``, or "auto": the first of them that is in the first line outside of quotes.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is empty, a quote does not end, or the first line holds numbers instead of names.
    """
    one_of("separator", separator, ("auto", *SEPARATORS), where)
    text = read_text(path, where)
    first = re.sub(r'"[^"]*"', "", next((line for line in text.splitlines() if line.strip()), "").strip())
    detected = next((name for name, mark in SEPARATORS.items() if mark in first), ",")
    separator = detected if separator == "auto" else separator
    lines = _split_at_spaces(text) if separator == "space" else _split(text, SEPARATORS[separator], path, where)
    if not lines:
        raise ValueError(f"{where}: {path} is empty")
    number, header = lines[0]
    if any(header) and all(number_in(c) is not None or is_missing(c) or WITH_COMMA.fullmatch(c) for c in header):
        raise ValueError(
            f"{where}: {path}, line {number}: numbers instead of names: {', '.join(header[:4])}. The first line must "
            f"name the columns. If the file has no names, read it yourself: data=numpy.loadtxt({str(path)!r}, "
            f"delimiter={SEPARATORS[separator]!r})"
        )
    return Cells(header, lines[1:])


def _split(text: str, mark: str, path: Path, where: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(keepends=True), delimiter=mark, strict=True, skipinitialspace=True)
    try:
        return [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise ValueError(f"{where}: {path}, line {reader.line_num}: {error}") from None


def _split_at_spaces(text: str) -> list[tuple[int, list[str]]]:
    lines = ([cell.strip('"') for cell in re.findall(r'"[^"]*"|\S+', line)] for line in text.splitlines())
    return [(number, line) for number, line in enumerate(lines, start=1) if line]


def check_lengths(cells: Cells, path: Path, where: str) -> None:
    """Raise ValueError, with the line, if lines have another number of cells than the first one."""
    for number, line in cells.lines:
        if len(line) != len(cells.header):
            one_more = len(line) == len(cells.header) + 1
            hint = ". Its first entry may be a row name, which the file must not have" if one_more else ""
            raise ValueError(f"{where}: {path}, line {number}: {len(line)} entries, expected {len(cells.header)}{hint}")


def columns_of(
    cells: Cells, names: Sequence[str], path: Path, where: str, missing: str = "raise", decimal: str = "auto"
) -> tuple[list[FloatArray | list[str]], int]:
    """The columns, each float64 (rows,) or a list of labels, and the number of rows that were dropped.

    Args:
        cells: the cells of the file.
        names: names of the columns.
        path: the file, for messages.
        where: prefix of error messages.
        missing: "raise", or "drop": leave out lines with a missing value.
        decimal: "." or ",", or "auto": a comma if numbers have one and no number has a point.

    Raises:
        ValueError: a value is missing, a column has numbers and text, or a number has a separator of thousands. The
            message names line and column.
    """
    one_of("decimal", decimal, ("auto", *DECIMALS), where)
    lines = cells.lines
    if missing == "drop":
        lines = [(number, line) for number, line in lines if not any(map(is_missing, line))]
    if decimal == "auto":
        decimal = _decimal_of([cell for _, line in lines for cell in line], f"{where}: {path}")
    columns: list[FloatArray | list[str]] = []
    for j, name in enumerate(names):
        column = [line[j] for _, line in lines]
        values = [_number(cell, decimal) for cell in column]
        wrong = [row for row, value in enumerate(values) if value is None]
        odd = [row for row in wrong if is_missing(column[row]) or _like_a_number(column[row])]
        if odd or (wrong and len(wrong) < len(values)):
            row = (odd or wrong)[0]
            raise ValueError(
                f"{where}: {path}, line {lines[row][0]}, column {name!r}: {_problem(column[row], decimal)}"
            )
        columns.append(column if wrong else np.array(values, dtype=np.float64))
    return columns, len(cells.lines) - len(lines)


def _decimal_of(cells: Sequence[str], where: str) -> str:
    """The decimal mark of numbers in these cells."""
    commas = [cell for cell in cells if WITH_COMMA.fullmatch(cell)]
    if not commas or any("." in cell and number_in(cell) is not None for cell in cells):
        return "."
    if all(GROUPED.fullmatch(cell) for cell in commas):
        raise ValueError(
            f"{where}: {commas[0]!r} may have a decimal comma or a separator of thousands: set decimal=',', or write "
            "numbers like 1234.5"
        )
    return ","


def _number(cell: str, decimal: str) -> float | None:
    if decimal == ".":
        return number_in(cell)
    return None if "." in cell else number_in(cell.replace(",", "."))


def _like_a_number(cell: str) -> bool:
    """True if a cell that is not a number has digits and marks alone, so that it is not a label either."""
    return re.fullmatch(r"[-+]?[\d.,_']*\d[\d.,_']*(e[-+]?\d+)?", cell, re.IGNORECASE) is not None


def _problem(cell: str, decimal: str) -> str:
    if is_missing(cell):
        return f"a missing value ({cell!r}); fill it in, or leave out such rows with missing='drop'"
    if decimal == "," and "." in cell and _like_a_number(cell):
        return f"{cell!r} has a point, but numbers of this file have a decimal comma; write numbers like 1234,5"
    return no_number(cell)
