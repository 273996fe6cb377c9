"""Functions, classes and objects among the arguments of an environment: saved by name and by a hash of their source."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import sys
from typing import Any

from agents.runs.errors import RunError

#: Tags in config.json: a name that can be imported again, and code that only its user can give again.
IMPORTABLE, CODE, OBJECT = "$import", "$code", "$object"
SOURCES = (IMPORTABLE, CODE, OBJECT)


def describe_source(value: Any) -> dict[str, Any]:
    """``{tag: "module:name", "sha256": hash of the source or None, "file": path or None}`` of a function or object.

    The tag is "$import" if importing the module and taking the name gives ``value`` again, "$code" for other functions
    and classes (lambdas, functions within functions, those of a script or notebook), "$object" for instances. Their
    name and source are those of their class.
    """
    is_code = isinstance(value, type) or (callable(value) and getattr(value, "__qualname__", None) is not None)
    named = value if is_code else type(value)
    module = getattr(named, "__module__", None) or "builtins"
    name = f"{module}:{getattr(named, '__qualname__', type(value).__qualname__)}"
    tag = OBJECT if not is_code else IMPORTABLE if _is_importable(value, name) else CODE
    return {tag: name, "sha256": source_hash(named), "file": _file(named)}


def _is_importable(value: Any, name: str) -> bool:
    module, _, path = name.partition(":")
    if module == "__main__" or module not in sys.modules:
        return False
    try:
        return _attribute(sys.modules[module], path) is value
    except AttributeError:
        return False


def _attribute(value: Any, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), value)


def source_hash(value: Any) -> str | None:
    """SHA-256 of the source of a function or class; None if Python has none, as for compiled ones."""
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        return None
    return hashlib.sha256(inspect.cleandoc(source).encode()).hexdigest()


def _file(value: Any) -> str | None:
    try:
        return inspect.getsourcefile(value)
    except TypeError:
        return None


def source_name(described: dict[str, Any]) -> str:
    """The "module:name" of a described function, class or object."""
    return next(described[tag] for tag in SOURCES if tag in described)


def same_source(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """True if both describe the same code.

    Code that ran as a script and code that was imported have different modules. If its source is known, only the name
    within the module counts.
    """
    names = [source_name(old), source_name(new)]
    if old["sha256"] is not None and old["sha256"] == new["sha256"]:
        return names[0].split(":")[1] == names[1].split(":")[1]
    return names[0] == names[1] and old["sha256"] == new["sha256"]


def import_source(described: dict[str, Any], where: str, trust: bool) -> Any:
    """The function or class of a "$import".

    Args:
        described: result of :func:`describe_source`.
        where: start of messages.
        trust: whether the module may be imported, which runs its code.

    Raises:
        RunError: it may not be imported, cannot be imported, or its source has changed.
    """
    name, file = described[IMPORTABLE], described.get("file") or "no file"
    if not trust:
        raise RunError(
            f"{where} is {name}, which would be imported from {file}: allow it with trust=True (--trust), "
            "or pass the environment as dag=..."
        )
    module, _, path = name.partition(":")
    try:
        value = _attribute(importlib.import_module(module), path)
    except (ImportError, AttributeError, ValueError) as error:
        raise RunError(f"{where}: {name} (of {file}) cannot be imported: {error}") from error
    if source_hash(value) != described.get("sha256"):
        raise RunError(f"{where}: the source of {name} has changed since the run was made")
    return value


def partial_parts(value: Any) -> tuple[Any, list[Any], dict[str, Any]] | None:
    """Function, arguments and keywords of a functools.partial; None for anything else."""
    return (value.func, list(value.args), dict(value.keywords)) if type(value) is functools.partial else None
