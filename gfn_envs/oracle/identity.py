"""Names of rewards and objects in a log of calls."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


def source_hash(value: Any) -> str | None:
    """SHA-256 of the source of a function or class; None if Python has none, as for compiled ones."""
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        return None
    return hashlib.sha256(inspect.cleandoc(source).encode()).hexdigest()


def function_name(function: Callable[..., Any]) -> str:
    """``"module:name"`` of a function, of the class of an object, or of the function of a ``functools.partial``."""
    if isinstance(function, functools.partial):
        return function_name(function.func)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def function_version(function: Callable[..., Any]) -> str:
    """Twelve digits that change with the source of a function, and with the values that it holds.

    These are default values, variables of enclosing functions, and the state of a callable object. Every process finds
    the same digits; those of a lambda are of one version of Python.

    Raises:
        ValueError: it has no source, or holds values that cannot be pickled.
    """
    named = function if hasattr(function, "__qualname__") else type(function)
    source = source_hash(function.func if isinstance(function, functools.partial) else named)
    plain = inspect.isfunction(function) and not any(
        (function.__closure__, function.__defaults__, function.__kwdefaults__, function.__name__ == "<lambda>")
    )
    try:
        held = b"" if source and plain else fingerprint(function, {})
    except Exception as error:
        message = f"a log cannot tell {function_name(function)} from other versions of it ({error}); give it a name"
        raise ValueError(message) from error
    return hashlib.sha256(f"{source}".encode() + held).hexdigest()[:12]


def fingerprint(value: Any, seen: dict[int, Any]) -> bytes:
    """SHA-256 of a value and what it holds, the same in every process: sets count without their order.

    ``seen`` maps ids of values that contain this one to these values.
    """
    if isinstance(value, str | bytes | int | float | complex | type(None) | type(...)):
        return _digest(type(value).__qualname__, value if isinstance(value, bytes) else repr(value))
    if id(value) in seen:
        return _digest("the same as", str(list(seen).index(id(value))))
    inside = seen | {id(value): value}
    parts = [fingerprint(part, inside) for part in _parts(value)]
    return _digest(type(value).__qualname__, *(sorted(parts) if isinstance(value, set | frozenset) else parts))


def _digest(*parts: str | bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return found.digest()


def _parts(value: Any) -> Iterable[Any]:
    """What determines a value: its entries; the source and the variables of a function; or what pickle keeps."""
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, types.CodeType):
        return value.co_code, value.co_consts, value.co_names, value.co_varnames
    if inspect.isfunction(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        # Several lambdas may share a line of source.
        source = source_hash(value) if value.__name__ != "<lambda>" else None
        return value.__qualname__, source or value.__code__, cells, value.__defaults__, value.__kwdefaults__
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        return value.__module__ if isinstance(value, type) else "", value.__name__, source_hash(value)
    kept = value.__reduce_ex__(4)
    if isinstance(kept, str):  # A global of its module.
        return type(value), kept
    return type(value), *(list(part) if isinstance(part, Iterator) else part for part in kept[1:])


def object_text(value: Any, name: str) -> str:
    """The input of a function as text: rows of numbers and texts as JSON; other objects by their names."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return json.dumps(value.tolist(), separators=(",", ":"))
    return value if isinstance(value, str) else name


def default_name(value: Any) -> str:
    """The name of an object that has no better one."""
    return value if isinstance(value, str) else str(value.tolist() if isinstance(value, np.ndarray) else value)
