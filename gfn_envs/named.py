"""Objects by name: text of the form ``module:name`` in place of a function, a class or the id of an environment.

A module is imported, which runs its code, only if a user named it. The commands ``gfn`` and ``gfn-envs`` then
also find modules in the working directory, as ``python -m`` does.
"""

from __future__ import annotations

import collections.abc
import copy
import importlib
import inspect
import os
import re
import sys
import traceback
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from gfn_envs.validation import did_you_mean

T = TypeVar("T")

_PATH = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_NAMED = re.compile(rf"{_PATH}:{_PATH}")
_MODULE = re.compile(_PATH)

#: True once :func:`search_working_directory` was called.
_search_here = False


def search_working_directory() -> None:
    """From now on, modules that are named are looked for in the working directory first. Commands call it."""
    global _search_here
    _search_here = True


def is_named(text: Any) -> bool:
    """True if ``text`` is text of the form ``module:name``, such as ``score:dock``."""
    return isinstance(text, str) and _NAMED.fullmatch(text) is not None


def import_named(module: str, where: str) -> types.ModuleType:
    """The module that a user named, imported.

    Args:
        module: its dotted name.
        where: start of messages, which says what the module is for.

    Raises:
        ImportError: the module does not exist or cannot be imported. The message is one line.
    """
    if _MODULE.fullmatch(module) is None:
        raise ImportError(f"{where}: {module!r} is not the name of a module")
    if _search_here and (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()  # The file may be newer than the first look into its folder.
    try:
        return importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit() of a script
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
            raise ModuleNotFoundError(f"{where}: {_missing(error.name)}", name=error.name) from None
        raise ImportError(f"{where}: importing {module} raised {_reason(error)}") from error


def _missing(module: str) -> str:
    files = [path.stem for path in Path.cwd().glob("*.py")]
    searched = f"{Path.cwd()} and installed packages" if _search_here else "sys.path"
    return f"there is no module {module!r} (searched: {searched}){did_you_mean(module, files)}"


def _reason(error: BaseException) -> str:
    """Type, message and place of an error of a user's module, on one line."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}{text and f': {text}'} ({last.filename}, line {last.lineno})"


def load(text: str, where: str) -> Any:
    """The object that ``module:name`` names. The module is imported.

    Args:
        text: the name. What follows the colon may be dotted: ``mine:Rewards.dock``.
        where: start of messages, which says what the object is for.

    Raises:
        ImportError: the module does not exist or cannot be imported. ValueError: the text has another form, or the
        module has no such name. The message suggests the nearest.
    """
    if not is_named(text):
        raise ValueError(f"{where}: expected module:name, such as mine:reward, got {text!r}")
    module, _, path = text.partition(":")
    found: Any = import_named(module, where)
    file = getattr(found, "__file__", None) or "no file"
    for name in path.split("."):
        if not hasattr(found, name):
            known = [word for word in vars(found) if not word.startswith("_")] if hasattr(found, "__dict__") else []
            raise ValueError(f"{where}: {module} ({file}) has no {path!r}{did_you_mean(name, known)}")
        found = getattr(found, name)
    return found


def load_instance(text: str, kind: type[T], where: str) -> T:
    """A copy of the object of class ``kind`` that ``module:name`` names; of a class, a new object without arguments.

    Raises:
        ImportError, ValueError: as for :func:`load`.
        TypeError: it is something else, or the class needs arguments.
    """
    found = load(text, where)
    if isinstance(found, type) and issubclass(found, kind):
        try:
            return found()
        except TypeError as error:
            raise TypeError(f"{where}: {text}() cannot be made: {error}; name an object of it") from error
    if not isinstance(found, kind):
        raise TypeError(f"{where}: {text} is not a {kind.__name__}: it is {_described(found)}")
    return copy.copy(found)


def load_callable(text: str, where: str, annotation: Any = Any) -> Any:
    """The function, class or other callable that ``module:name`` names.

    Args:
        text: the name.
        where: start of messages.
        annotation: type of the argument that it is for. If it says how many arguments it is called with
            (``Callable[[A, B], C]``), the object must take as many.

    Raises:
        ImportError, ValueError: as for :func:`load`.
        TypeError: the object is not callable, or takes other arguments.
    """
    found = load(text, where)
    if not callable(found):
        raise TypeError(f"{where}: {text} is not callable: it is {_described(found)}")
    counts = sorted({count for kind in _alternatives(annotation) if (count := _arity(kind)) is not None})
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # compiled functions have none
        return found
    if counts and not any(_takes(signature, count) for count in counts):
        wanted = " or ".join(map(str, counts))
        raise TypeError(f"{where}: {text}{signature} is called with {wanted} argument{'s' * (wanted != '1')}")
    return found


def _described(value: Any) -> str:
    return f"the module {value.__name__}" if isinstance(value, types.ModuleType) else f"of type {type(value).__name__}"


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _arity(kind: Any) -> int | None:
    """Number of arguments of ``Callable[[A, B], C]``; None for anything else."""
    if typing.get_origin(kind) is not collections.abc.Callable:
        return None
    arguments = typing.get_args(kind)
    return len(arguments[0]) if arguments and isinstance(arguments[0], list) else None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; of anything else, itself."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def annotations_of(function: Any) -> dict[str, Any]:
    """Annotations of a function by name: types, or text if a name in them is not known at run time."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return dict(getattr(function, "__annotations__", {}))


def takes_callables(annotation: Any) -> bool:
    """True if an argument with this annotation can be a function. One without annotation can."""
    if isinstance(annotation, str):
        return "Callable" in annotation or annotation in ("Any", "typing.Any")
    if annotation in (Any, inspect.Parameter.empty, object):
        return True
    kinds = {typing.get_origin(kind) or kind for kind in _alternatives(annotation)}
    return any(kind is collections.abc.Callable or getattr(kind, "_is_protocol", False) for kind in kinds)


def with_callables(function: Any, arguments: dict[str, Any], where: str) -> dict[str, Any]:
    """``arguments`` of a function or class, with the object in place of each ``module:name`` where one can be called.

    Text that is the path of a file stays text.

    Raises:
        ImportError, ValueError, TypeError: as for :func:`load_callable`.
    """
    if not any(map(is_named, arguments.values())):
        return arguments
    annotations = annotations_of(
        inspect.getattr_static(function, "__init__") if isinstance(function, type) else function
    )
    return {
        name: load_callable(value, f"{where}: {name}", kind)
        if is_named(value) and takes_callables(kind := annotations.get(name, Any)) and not os.path.exists(value)
        else value
        for name, value in arguments.items()
    }
