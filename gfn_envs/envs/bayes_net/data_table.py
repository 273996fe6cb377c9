"""Data tables from a CSV file, a DataFrame, a mapping of columns, or an array."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray


def read_table(data: Any, where: str) -> tuple[tuple[str, ...], FloatArray]:
    """Names of the columns and values of a data table, float64 (rows, columns).

    Args:
        data: the path of a CSV file whose first line has the names of the columns; a pandas DataFrame; a mapping from
            names to columns; or an array (rows, columns), whose columns get the names X0, X1, ...
        where: prefix of error messages.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: lines have different lengths; an entry is not a finite number; two columns have the same name; there
            are fewer than two rows; or a column is constant. The message names the row or the column.
    """
    if isinstance(data, str | os.PathLike):
        names, cells = _read_csv(Path(data), where)
    elif hasattr(data, "columns") and hasattr(
        data, "to_numpy"
    ):  # This recognizes a DataFrame without importing pandas.
        names, cells = [str(name) for name in data.columns], data.to_numpy()
    elif isinstance(data, Mapping):
        names, cells = [str(name) for name in data], _columns(data, where)
    else:
        cells = np.asarray(data)
        if cells.ndim != 2:
            raise ValueError(f"{where}: data must have two dimensions, rows and columns, got shape {cells.shape}")
        names = [f"X{j}" for j in range(cells.shape[1])]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{where}: data has several columns with the name {repeated[0]!r}")
    values = _numbers(names, cells, where)
    _check(names, values, where)
    return tuple(names), values


def _read_csv(path: Path, where: str) -> tuple[list[str], Any]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(csv.reader(file), 1) if line]
    if not lines:
        raise ValueError(f"{where}: {path} is empty")
    names = [name.strip() for name in lines[0][1]]
    for number, line in lines[1:]:
        if len(line) != len(names):
            raise ValueError(f"{where}: {path}, line {number}: {len(line)} entries, expected {len(names)}")
    cells = np.array([line for _, line in lines[1:]], dtype=object).reshape(-1, len(names))
    return names, cells


def _columns(data: Mapping[str, Sequence[float]], where: str) -> Any:
    lengths = {name: len(column) for name, column in data.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"{where}: columns must have equal lengths, got {lengths}")
    return np.array([list(column) for column in data.values()], dtype=object).T


def _numbers(names: Sequence[str], cells: Any, where: str) -> FloatArray:
    try:
        return np.array(cells, dtype=np.float64)
    except (TypeError, ValueError):
        pass
    for row, line in enumerate(cells):
        for name, cell in zip(names, line, strict=True):
            try:
                float(cell)
            except (TypeError, ValueError):
                raise ValueError(f"{where}: data row {row}, column {name!r}: {cell!r} is not a number") from None
    raise ValueError(f"{where}: data are not numbers")


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
