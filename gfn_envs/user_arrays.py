"""Arrays and containers of numbers from users: every number is used as given, or the container raises.

NumPy's conversions drop masks, labels and units, turn text of digits into numbers, and accept sets. Here each of these
raises. Pandas, xarray and torch are recognized by their methods, not imported.
"""

from __future__ import annotations

import decimal
import numbers
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray

_KINDS = {
    "b": "booleans",
    "c": "complex numbers",
    "U": "text",
    "T": "text",
    "S": "bytes",
    "M": "dates",
    "m": "time differences",
    "V": "records (a structured array)",
}


def real_array(data: Any, where: str, name: str) -> FloatArray:
    """``data`` as float64, in its own shape.

    Args:
        data: an array, list or tuple of real numbers, of any depth. Labels of a pandas Series or DataFrame must be
            0, 1, 2, ... in this order.
        where: the environment, for messages.
        name: what the data are, for messages.

    Raises:
        TypeError: the container has no order (a set), can be read only once (a generator), or has labels that would be
            dropped (a mapping, a pandas index); or an entry is not a real number: text, also text of digits, a boolean,
            a complex number, a date, None.
        ValueError: entries are masked, or the rows have different lengths.
    """
    return _converted(ordered(data, where, name), where, name)


def ordered(data: Any, where: str, name: str) -> Any:
    """``data`` if it is a container with an order and without labels; a pandas object as the array of its values.

    Raises:
        TypeError: it is a set, a mapping, an iterator, or text; or it has labels other than 0, 1, 2, ... in this order.
    """
    if isinstance(data, str | bytes):
        raise TypeError(f"{where}: {name} must be an array or a list, got the text {data[:40]!r}")
    if getattr(data, "shape", None) == ():
        raise TypeError(f"{where}: {name} must be an array or a list, got the single value {data!r}")
    if isinstance(data, AbstractSet):
        raise TypeError(f"{where}: {name} is a {type(data).__name__}, which has no order; give a list")
    if isinstance(data, Mapping):
        raise TypeError(f"{where}: {name} is a mapping, whose keys would be dropped; give a list of its values")
    if isinstance(data, Iterator):
        raise TypeError(f"{where}: {name} is a {type(data).__name__}, which can be read only once; give a list")
    if len(getattr(data, "coords", ())) and hasattr(data, "dims"):
        raise TypeError(f"{where}: {name} has coordinates, which would be dropped; give its values")
    if is_frame(data):
        axes = {"index": data.index, **({"columns": data.columns} if hasattr(data, "columns") else {})}
        for axis, labels in axes.items():
            if not is_numbered(labels):
                raise TypeError(
                    f"{where}: {name} has {axis} labels {_few(labels)}, which would be dropped; allowed: "
                    "0, 1, 2, ... in this order (give .to_numpy() if the order of the values is the one you mean)"
                )
        return data.to_numpy()
    return data


def is_frame(data: Any) -> bool:
    """True if ``data`` is a pandas Series or DataFrame."""
    return hasattr(data, "index") and hasattr(data, "to_numpy")


def is_numbered(labels: Any) -> bool:
    """True if the labels of a pandas index are 0, 1, 2, ... in this order."""
    return all(type(label) is int and label == i for i, label in enumerate(labels.tolist()))


def _few(labels: Any) -> str:
    shown = labels[:4].tolist()
    return str(shown) if len(labels) <= 4 else f"{str(shown)[:-1]}, ...]"


def problem_of(value: Any) -> str | None:
    """The kind of a scalar that is not a real number, such as ``"text"`` or ``"a boolean"``; None for real numbers."""
    if isinstance(value, bool | np.bool_):
        return "a boolean, not a number"
    if value is np.ma.masked:
        return "masked"
    if isinstance(value, str | bytes):
        return "text, not a number"
    if value is None:
        return "missing"
    if isinstance(value, numbers.Real | decimal.Decimal):
        return None
    if isinstance(value, numbers.Complex):
        return "a complex number"
    return "not a number"


def _converted(data: Any, where: str, name: str) -> FloatArray:
    if isinstance(data, Sequence) and not hasattr(data, "__array__"):
        # The types are compared as a set: plain numbers need no further checks.
        if not set(map(type, data)) <= {int, float}:
            data = [_entry(item, where, f"{name}[{i}]") for i, item in enumerate(data)]
        else:
            data = list(data)
        try:
            return np.array(data, dtype=np.float64)
        except OverflowError:
            raise ValueError(f"{where}: {name} has an integer that is too large for float64") from None
        except ValueError:
            raise ValueError(f"{where}: the rows of {name} have different lengths") from None
    if isinstance(data, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(data)
        if mask.any():
            raise ValueError(f"{where}: {name}{_place(np.argwhere(mask)[0])} is masked; allowed: no missing values")
        data = data.data
    try:
        array = np.asarray(data)
    except Exception as error:
        raise TypeError(f"{where}: {name} cannot be read as an array: {error}") from None
    if array.dtype.kind == "O" and array.ndim:
        for place, value in np.ndenumerate(array):
            if problem := problem_of(value):
                raise TypeError(f"{where}: {name}{_place(place)} is {problem}: {value!r}")
    elif array.dtype.kind not in "iuf":
        kind = _KINDS.get(array.dtype.kind, f"a {type(data).__name__}")
        raise TypeError(f"{where}: {name} must be an array of real numbers, got {kind}")
    return array.astype(np.float64)


def _entry(item: Any, where: str, name: str) -> Any:
    """An entry of a list: a number, or an array or list in it."""
    if isinstance(item, numbers.Real) and not isinstance(item, bool):
        return item
    if item is np.ma.masked or not hasattr(item, "__array__"):
        container = isinstance(item, AbstractSet | Mapping | Iterator | Sequence) and not isinstance(item, str | bytes)
        if problem := None if container else problem_of(item):
            raise TypeError(f"{where}: {name} is {problem}: {item!r}")
        if isinstance(item, decimal.Decimal):
            return float(item)
    return real_array(item, where, name)


def _place(index: Any) -> str:
    return f"[{', '.join(str(int(i)) for i in index)}]" if len(index) else ""
