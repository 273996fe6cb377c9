"""Names of rewards and objects in a log of calls."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

import cloudpickle
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

    Raises:
        ValueError: it has no source, or holds values that cannot be pickled.
    """
    is_plain = inspect.isfunction(function) and not function.__closure__
    named = function if hasattr(function, "__qualname__") else type(function)
    source = source_hash(function.func if isinstance(function, functools.partial) else named)
    try:
        held = b"" if source and is_plain else cloudpickle.dumps(function)
    except Exception as error:
        message = f"a log cannot tell {function_name(function)} from other versions of it ({error}); give it a name"
        raise ValueError(message) from error
    return hashlib.sha256(f"{source}".encode() + held).hexdigest()[:12]


def object_text(value: Any, name: str) -> str:
    """The input of a function as text: rows of numbers and texts as JSON; other objects by their names."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return json.dumps(value.tolist(), separators=(",", ":"))
    return value if isinstance(value, str) else name


def default_name(value: Any) -> str:
    """The name of an object that has no better one."""
    return value if isinstance(value, str) else str(value.tolist() if isinstance(value, np.ndarray) else value)
