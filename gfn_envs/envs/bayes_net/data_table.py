"""Data tables from a CSV file, a DataFrame, a mapping of columns, or an array."""

from __future__ import annotations

import csv
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.text_cells import is_missing, no_number, number_in
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import is_frame, real_array
from gfn_envs.validation import check_size

#: What pandas calls a column whose name is empty in the file.
UNNAMED = re.compile(r"Unnamed: \d+")


def read_table(data: Any, where: str) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the columns and values of a data table, float64 (rows, columns).

    Args:
        data: the path of a text file (plain or gzip, UTF-8), whose first line has the names of the columns, and whose
            entries are separated by commas, semicolons or tabs; a pandas or polars DataFrame; a structured array; a
            mapping from names to columns; or an array (rows, columns), whose columns get the names X0, X1, ... Rows
            have no order; their labels in a DataFrame have no effect.
        where: prefix of error messages.

    Raises:
        OSError: the file cannot be read.
        TypeError: a container has no order, or labels that would be dropped; or an entry is not a number.
        ValueError: lines have different lengths; the first line holds numbers, not names; a column has no name, as the
            row names that R and pandas write have none; two columns have the same name; an entry is masked, missing or
            not a finite number; there are fewer than two rows; or a column is constant. The message names the row or
            the column.
    """
    if isinstance(data, str | os.PathLike):
        names, values = _read_csv(Path(data), where)
        where = f"{where}: {data}"
    elif hasattr(data, "columns") and hasattr(data, "to_numpy"):  # a DataFrame, recognized without importing pandas
        labels = list(data.columns)
        names = _names(labels, where)
        values = _stack(
            [_column(data[label].to_numpy(), where, name) for label, name in zip(labels, names, strict=True)]
        )
    elif isinstance(data, Mapping):
        _check_same_rows(data, where)
        names = _names(list(data), where)
        values = _stack(
            _equal_lengths(
                [_column(data[key], where, name) for key, name in zip(data, names, strict=True)], names, where
            )
        )
    elif getattr(getattr(data, "dtype", None), "names", None):
        names = _names(data.dtype.names, where)
        values = _stack([_column(data[name], where, name) for name in names])
    elif hasattr(data, "__dataframe__"):
        raise TypeError(f"{where}: data is a {type(data).__name__}; give a pandas DataFrame (data.to_pandas())")
    else:
        values = real_array(data, where, "data")
        if values.ndim != 2:
            raise ValueError(f"{where}: data must have two dimensions, rows and columns, got shape {values.shape}")
        names = [f"X{j}" for j in range(values.shape[1])]
    check_size("data", values.size, where)
    _check(names, values, where)
    return tuple(names), values


# ---------------------------------------------------------------------- containers


def _names(labels: Sequence[Any], where: str) -> list[str]:
    """The labels of columns as text.

    Raises:
        TypeError: a label is neither text nor an integer.
        ValueError: a label is empty, or two are the same.
    """
    for label in labels:
        if not isinstance(label, str | numbers.Integral) or isinstance(label, bool):
            raise TypeError(f"{where}: names of columns must be text or integers, got {label!r}")
    names = [str(label) for label in labels]
    for j, name in enumerate(names):
        if not name.strip() or UNNAMED.fullmatch(name):
            raise ValueError(
                f"{where}: column {j + 1} of data has no name ({name!r}); R and pandas write row names like this. "
                "Leave them out (row.names=FALSE, index=False, or read_csv(..., index_col=0)), or name the column"
            )
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{where}: data has several columns with the name {repeated!r}")
    return names


def _column(column: Any, where: str, name: str) -> FloatArray:
    """One column, float64 (rows,)."""
    # The labels of the rows were compared by _check_same_rows, and the rows have no order.
    values = real_array(column.to_numpy() if is_frame(column) else column, where, f"data[{name!r}]")
    if values.ndim != 1:
        raise ValueError(f"{where}: data[{name!r}] must have one dimension, got shape {values.shape}")
    return values


def _check_same_rows(data: Mapping[Any, Any], where: str) -> None:
    """Raise ValueError if columns have different labels of rows, so that their rows would not belong together."""
    labels = {name: column.index.tolist() for name, column in data.items() if is_frame(column)}
    for name in labels:
        if labels[name] != next(iter(labels.values())):
            raise ValueError(
                f"{where}: column {name!r} has other row labels than column {next(iter(labels))!r}; give one DataFrame"
            )


def _equal_lengths(columns: list[FloatArray], names: Sequence[str], where: str) -> list[FloatArray]:
    if len({len(column) for column in columns}) > 1:
        lengths = dict(zip(names, map(len, columns), strict=True))
        raise ValueError(f"{where}: columns must have equal lengths, got {lengths}")
    return columns


def _stack(columns: list[FloatArray]) -> FloatArray:
    return np.stack(columns, axis=1) if columns else np.zeros((0, 0))


# ---------------------------------------------------------------------- files


def _read_csv(path: Path, where: str) -> tuple[list[str], FloatArray]:
    text = read_text(path, where)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = next((mark for mark in "\t;" if mark in first), ",")
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise ValueError(f"{where}: {path}, line {reader.line_num}: {error}") from None
    if not lines:
        raise ValueError(f"{where}: {path} is empty")
    number, header = lines.pop(0)
    if all(number_in(cell) is not None or is_missing(cell) for cell in header) and any(header):
        raise ValueError(
            f"{where}: {path}, line {number}: numbers instead of names: {', '.join(header[:4])}. The first line must "
            f"name the columns. If the file has no names, read it yourself: data=numpy.loadtxt({str(path)!r}, "
            f"delimiter={delimiter!r})"
        )
    try:
        names = _names(header, where)
    except ValueError as error:
        raise ValueError(f"{error} (in {path})") from None
    for number, line in lines:
        if len(line) != len(names):
            hint = (
                ". Its first entry may be a row name, which the file must not have"
                if len(line) == len(names) + 1
                else ""
            )
            raise ValueError(f"{where}: {path}, line {number}: {len(line)} entries, expected {len(names)}{hint}")
    values = np.empty((len(lines), len(names)))
    for row, (number, line) in enumerate(lines):
        for column, cell in enumerate(line):
            value = number_in(cell)
            if value is None:
                place = f"{where}: {path}, line {number}, column {names[column]!r}"
                raise ValueError(f"{place}: {no_number(cell)}")
            values[row, column] = value
    return names, values


# ---------------------------------------------------------------------- values


def _check(names: Sequence[str], values: FloatArray, where: str) -> None:
    if len(values) < 2:
        raise ValueError(f"{where}: data must have at least 2 rows, got {len(values)}")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{where}: data row {row}, column {names[column]!r} is {values[row, column]}; allowed: finite numbers"
        )
    constant = (values == values[0]).all(0)
    if constant.any():
        column = int(np.argmax(constant))
        raise ValueError(f"{where}: column {names[column]!r} is constant: every row has {values[0, column]:g}")
