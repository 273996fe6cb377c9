"""Data tables of numbers and labels from a CSV file, a DataFrame, a mapping of columns, or an array."""

from __future__ import annotations

import logging
import numbers
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray
from gfn_envs.envs.bayes_net import csv_table
from gfn_envs.text_cells import number_in
from gfn_envs.user_arrays import is_frame, real_array
from gfn_envs.validation import check_size, one_of

#: Names that pandas gives to columns without one.
UNNAMED = re.compile(r"Unnamed: \d+")
#: Whole numbers are discrete if they have at most this many values, and this many rows per value on average.
MAX_LEVELS, ROWS_PER_LEVEL = 10, 5

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """A data table without missing values.

    Attributes:
        names: names of the columns.
        values: float64 (rows, columns). A column of labels holds their positions in ``labels``.
        labels: the sorted labels of each column; None for a column of numbers.
        dropped: number of rows that were left out because a value was missing.
    """

    names: tuple[str, ...]
    values: FloatArray
    labels: tuple[tuple[str, ...] | None, ...]
    dropped: int = 0

    @property
    def is_discrete(self) -> BoolArray:
        """True for labels, and for whole numbers with few values and many rows per value, bool (columns,)."""
        return np.array(
            [
                labels is not None or (bool((column == np.round(column)).all()) and self._has_few_values(column))
                for labels, column in zip(self.labels, self.values.T, strict=True)
            ]
        )

    def _has_few_values(self, column: FloatArray) -> bool:
        levels = len(np.unique(column))
        return levels <= MAX_LEVELS and ROWS_PER_LEVEL * levels <= len(column)

    def as_columns(self) -> dict[str, list[Any]]:
        """The columns by name: numbers, or labels as text."""
        columns = zip(self.names, self.labels, self.values.T, strict=True)
        return {
            name: column.tolist() if labels is None else [labels[int(code)] for code in column]
            for name, labels, column in columns
        }


def read_table(data: Any, where: str, missing: str = "raise", separator: str = "auto", decimal: str = "auto") -> Table:
    """A data table of numbers and labels.

    Args:
        data: the path of a text file (plain or gzip, UTF-8), whose first line has the names of the columns; a pandas or
            polars DataFrame; a structured array; a mapping from names to columns; or an array (rows, columns), whose
            columns get the names X0, X1, ... Columns hold real numbers, text or booleans. Rows have no order; row
            labels of a DataFrame have no effect.
        where: prefix of error messages.
        missing: "raise", or "drop": leave out rows with a missing value, and log how many.
        separator: of a text file: ",", ";", "|", "tab" or "space"; "auto" finds it in the first line.
        decimal: decimal mark of a text file, "." or ","; "auto" finds it in the numbers.

    Raises:
        OSError: the file cannot be read.
        TypeError: a container has no order, or labels that would be dropped; or an entry is neither number nor label,
            such as text of digits.
        ValueError: lines have different lengths; the first line holds numbers, not names; a column has no name, as the
            row names that R and pandas write have none; two columns have the same name; an entry is masked, missing or
            not a finite number; a column has both numbers and text; there are fewer than two rows; a column is
            constant; or ``separator`` or ``decimal`` is given for data that are not a file. The message names the row
            or the column.
    """
    one_of("missing", missing, ("raise", "drop"), where)
    dropped = 0
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        cells = csv_table.read_cells(path, where, separator)
        try:
            names = _names(cells.header, where)
        except ValueError as error:
            raise ValueError(f"{error} (in {path})") from None
        csv_table.check_lengths(cells, path, where)
        columns, dropped = csv_table.columns_of(cells, names, path, where, missing, decimal)
        where = f"{where}: {data}"
    else:
        for name, value in (("separator", separator), ("decimal", decimal)):
            if value != "auto":
                raise ValueError(f"{where}: {name} is for text files, got {value!r} for a {type(data).__name__}")
        names, columns = _named_columns(data, where, missing)
    table = _coded(names, columns)
    check_size("data", table.values.size, where)
    if missing == "drop":
        complete: BoolArray = ~np.logical_or.reduce(np.isnan(table.values), axis=1)
        dropped += int((~complete).sum())
        table = _coded(names, [_rows(column, complete) for column in columns])
    table = replace(table, dropped=dropped)
    _check(table, where)
    if dropped:
        _logger.warning("%s: dropped %d rows with missing values, %d are left", where, dropped, len(table.values))
    return table


Column = FloatArray | list[str]


def _rows(column: Column, chosen: BoolArray) -> Column:
    if isinstance(column, list):
        return [label for label, keep in zip(column, chosen, strict=True) if keep]
    return column[chosen]


def _coded(names: Sequence[str], columns: Sequence[Column]) -> Table:
    """A table of these columns. A missing label, the empty text, becomes NaN."""
    values, labels = [], []
    for column in columns:
        levels = None if not isinstance(column, list) else tuple(sorted({label for label in column if label}))
        place = {label: float(code) for code, label in enumerate(levels or ())}
        values.append(column if levels is None else np.array([place.get(label, np.nan) for label in column]))
        labels.append(levels)
    return Table(tuple(names), np.stack(values, axis=1) if values else np.zeros((0, 0)), tuple(labels))


# ---------------------------------------------------------------------- containers


def _named_columns(data: Any, where: str, missing: str) -> tuple[list[str], list[Column]]:
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):  # a DataFrame, recognized without importing pandas
        raw = {label: data[label].to_numpy() for label in data.columns}
        names = _names(list(data.columns), where)
    elif isinstance(data, Mapping):
        _check_same_rows(data, where)
        raw, names = dict(data), _names(list(data), where)
    elif getattr(getattr(data, "dtype", None), "names", None):
        raw, names = {name: data[name] for name in data.dtype.names}, _names(data.dtype.names, where)
    elif hasattr(data, "__dataframe__"):
        raise TypeError(f"{where}: data is a {type(data).__name__}; give a pandas DataFrame (data.to_pandas())")
    else:
        columns = _columns_of_array(data, where, missing)
        return [f"X{j}" for j in range(len(columns))], columns
    columns = [_column(column, where, name, missing) for column, name in zip(raw.values(), names, strict=True)]
    return names, _equal_lengths(columns, names, where)


def _columns_of_array(data: Any, where: str, missing: str) -> list[Column]:
    entries = _objects(data)
    if entries is not None and entries.ndim == 2 and not is_frame(data):
        found = [_labels(column) for column in entries.T]
        if entries.size and any(labels is not None for labels in found):
            columns = zip(range(entries.shape[1]), entries.T, found, strict=True)
            return [
                labels if labels is not None else _column(column.tolist(), where, f"X{j}", missing)
                for j, column, labels in columns
            ]
        data = _marked(entries) if missing == "drop" else data
    values = real_array(data, where, "data")
    if values.ndim != 2:
        raise ValueError(f"{where}: data must have two dimensions, rows and columns, got shape {values.shape}")
    return list(values.T)


def _objects(data: Any) -> Any:
    """Entries of an array or of lists as objects, masked ones as NaN; None if they have no common shape."""
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(object), np.nan)
    if not isinstance(data, list | tuple | np.ndarray):
        return None
    try:
        return np.array(data, dtype=object)
    except ValueError:
        return None


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or value is np.ma.masked
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float) and value != value)
    )


def _marked(entries: Any) -> Any:
    """Entries with NaN where a value is missing."""
    marked = entries.copy()
    marked[np.vectorize(_is_missing, otypes=[bool])(entries)] = np.nan
    return marked


def _labels(entries: Any) -> list[str] | None:
    """Entries that are all text other than numbers, or all booleans, as labels, "" if missing; None if they are not."""
    known = [value for value in entries.tolist() if not _is_missing(value)]
    if known and (
        all(isinstance(value, bool | np.bool_) for value in known)
        or all(isinstance(value, str) and value.strip() and number_in(value) is None for value in known)
    ):
        return ["" if _is_missing(value) else str(value).strip() for value in entries.tolist()]
    return None


def _column(column: Any, where: str, name: str, missing: str) -> Column:
    """One column: float64 (rows,), or labels."""
    # The labels of the rows were compared by _check_same_rows, and the rows have no order.
    column = column.to_numpy() if is_frame(column) else column
    entries = _objects(column)
    if entries is not None and entries.ndim == 1 and entries.size:
        if (labels := _labels(entries)) is not None:
            return labels
        column = _marked(entries) if missing == "drop" else column
    values = real_array(column, where, f"data[{name!r}]")
    if values.ndim != 1:
        raise ValueError(f"{where}: data[{name!r}] must have one dimension, got shape {values.shape}")
    return values


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


def _check_same_rows(data: Mapping[Any, Any], where: str) -> None:
    """Raise ValueError if columns have different labels of rows, so that their rows would not belong together."""
    labels = {name: column.index.tolist() for name, column in data.items() if is_frame(column)}
    for name in labels:
        if labels[name] != next(iter(labels.values())):
            raise ValueError(
                f"{where}: column {name!r} has other row labels than column {next(iter(labels))!r}; give one DataFrame"
            )


def _equal_lengths(columns: list[Column], names: Sequence[str], where: str) -> list[Column]:
    if len({len(column) for column in columns}) > 1:
        lengths = dict(zip(names, map(len, columns), strict=True))
        raise ValueError(f"{where}: columns must have equal lengths, got {lengths}")
    return columns


# ---------------------------------------------------------------------- values


def _check(table: Table, where: str) -> None:
    names, values = table.names, table.values
    if len(values) < 2:
        left = ": the other rows have missing values" if table.dropped else ""
        raise ValueError(f"{where}: data must have at least 2 rows, got {len(values)}{left}")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = values[row, column]
        hint = "; missing='drop' leaves out rows with missing values" if np.isnan(value) else ""
        raise ValueError(f"{where}: data row {row}, column {names[column]!r} is {value}; allowed: finite numbers{hint}")
    constant = (values == values[0]).all(0)
    if constant.any():
        column = int(np.argmax(constant))
        labels = table.labels[column]
        value = f"{values[0, column]:g}" if labels is None else repr(labels[0])
        raise ValueError(f"{where}: column {names[column]!r} is constant: every row has {value}")
