"""The user's code that a run depends on: saved by name, file and hash of its source; imported only if allowed."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from agents.agent import Agent
from agents.runs.errors import RunError
from agents.schedules import Schedule
from gfn_envs import named
from gfn_envs.oracle.identity import source_hash

#: Tags in config.json: a name that can be imported again, and code that only its user can give again.
IMPORTABLE, CODE, OBJECT = "$import", "$code", "$object"
SOURCES = (IMPORTABLE, CODE, OBJECT)

#: Settings of agents that can be ``module:name``, or have it before or among keywords.
NAMED_SETTINGS = {"replay", "backward", "optimizer", "explorer", "prior"}
_NAMED_WITHIN = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")

#: Modules that may be imported: all, none, or those with these names.
Trust = bool | str | Sequence[str]


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


def describe_named(text: str) -> dict[str, Any]:
    """:func:`describe_source` of an object that the user named ``module:name``. Its source is that of its class."""
    value = named.load(text, "source")
    kind = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
    return {IMPORTABLE: text, "sha256": source_hash(kind), "file": _file(kind)}


def names_within(setting: str, value: Any) -> list[str]:
    """Every ``module:name`` in the value of a setting, such as ``mine:Momentum(momentum=0.5)``, or its schedule."""
    if isinstance(value, Schedule):
        return [value.shape] if named.is_named(value.shape) else []
    if not isinstance(value, str):
        return []
    if setting not in NAMED_SETTINGS:  # A schedule: start,end,steps,shape.
        value = value.split(",", 3)[3] if value.count(",") >= 3 else ""
    return [name for name in _NAMED_WITHIN.findall(value) if named.is_named(name)]


def agent_sources(agent: Agent) -> dict[str, dict[str, Any]]:
    """Descriptions of the user's code in an agent: class, policy, settings that name a module."""
    found = {}
    kind = getattr(type(agent), "plain", type(agent))  # The class of an agent with conditions is made from this one.
    if kind.__module__.split(".")[0] != "agents":
        found["agent"] = describe_source(kind)
    if (factory := agent.policy_factory) is not None:
        found["policy"] = describe_named(factory) if isinstance(factory, str) else describe_source(factory)
    for field in dataclasses.fields(agent.config):
        if names := names_within(field.name, getattr(agent.config, field.name)):
            found[field.name] = describe_named(names[0])
    return found


def imports_of(value: Any) -> Iterator[dict[str, Any]]:
    """Every "$import" within an encoded value."""
    if isinstance(value, dict) and IMPORTABLE in value:
        yield value
    elif isinstance(value, dict | list):
        for element in value.values() if isinstance(value, dict) else value:
            yield from imports_of(element)


def check_trusted(where: str, imports: Sequence[tuple[str, dict[str, Any]]], trust: Trust) -> None:
    """Raise RunError, in one line, if some of these imports are not trusted.

    Args:
        where: start of the message.
        imports: (what the code is for, its description).
        trust: the modules that may be imported.
    """
    asked = [(what, each) for what, each in imports if not is_trusted(source_name(each), trust)]
    if asked:
        parts = ", ".join(dict.fromkeys(f"{what} is {source_name(each)}" for what, each in asked))
        files = " and ".join(dict.fromkeys(each.get("file") or "no file" for _, each in asked))
        raise RunError(
            f"{where}: {parts}, which would be imported from {files}: allow it with trust=True (--trust), "
            "or pass the environment as dag=..."
        )


def is_trusted(name: str, trust: Trust) -> bool:
    """True if the module of ``module:name`` may be imported."""
    if isinstance(trust, bool):
        return trust
    return name.partition(":")[0] in ([trust] if isinstance(trust, str) else trust)


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


def import_source(described: dict[str, Any], where: str, trust: Trust) -> Any:
    """The function or class of a "$import".

    Args:
        described: result of :func:`describe_source`.
        where: start of messages.
        trust: the modules that may be imported, which runs their code.

    Raises:
        RunError: it may not be imported, cannot be imported, or its source has changed.
    """
    check_trusted(where, [("it", described)], trust)
    name, file = described[IMPORTABLE], described.get("file") or "no file"
    try:
        value = named.load(name, where)
    except (ImportError, ValueError) as error:
        raise RunError(f"{where}: {name} (of {file}) cannot be imported: {error}") from error
    kind = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
    if source_hash(kind) != described.get("sha256"):
        raise RunError(f"{where}: the source of {name} has changed since the run was made")
    return value


def partial_parts(value: Any) -> tuple[Any, list[Any], dict[str, Any]] | None:
    """Function, arguments and keywords of a functools.partial; None for anything else."""
    return (value.func, list(value.args), dict(value.keywords)) if type(value) is functools.partial else None
