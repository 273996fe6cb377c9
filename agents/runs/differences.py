"""Differences between two configurations, in words. Only parts that decide a run's result count; file names do not."""

from __future__ import annotations

from typing import Any

from agents.runs.sources import SOURCES, same_source, source_name


def argument_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One text per argument that differs.

    Args:
        old: arguments of the saved run, encoded as :mod:`agents.runs.inputs` does.
        new: those of the given environment.
    """
    names = sorted(set(old) | set(new))
    return [_difference(name, old.get(name), new.get(name)) for name in names if not same(old.get(name), new.get(name))]


def held_differences(config: dict[str, Any], held: dict[str, str | None]) -> list[str]:
    """One text per object that the user gave as a setting and that holds other values than that of the run.

    Args:
        config: configuration of the run.
        held: ``Agent.held`` of another agent.
    """
    return [
        f"{part} {config['settings'][part]!r} holds other values than that of the run: pass that one as {part}=..."
        for part, digits in config.get("held", {}).items()
        if held.get(part) != digits and part in config["settings"]
    ]


def _difference(name: str, old: Any, new: Any) -> str:
    if _tag(old) == _tag(new) == "$file" and (old["path"] == new["path"] or old["$file"] == new["$file"]):
        return f"{name}: {new['$file']} has changed since the run was made"
    if _is_source(old) and _is_source(new) and source_name(old) == source_name(new):
        return f"{name}: the source of {source_name(new)} has changed since the run was made"
    return f"{name} {shown(old)} != {shown(new)}"


def same(old: Any, new: Any) -> bool:
    """True if two encoded values give the same result."""
    if _is_source(old) and _is_source(new):
        return same_source(old, new)
    if isinstance(old, str) and _tag(new) == "$file":  # version 0.1 saved names of files only
        return old == new["$file"]
    return bool(decisive(old) == decisive(new))


def decisive(value: Any) -> Any:
    """The part of an encoded value that decides a run's result."""
    if isinstance(value, list):
        return [decisive(element) for element in value]
    if not isinstance(value, dict):
        return value
    tag = _tag(value)
    if tag == "$file":
        return {"sha256": value["sha256"]}
    if tag == "$array":
        return {name: value[tag][name] for name in ("dtype", "shape", "sha256")}
    if tag == "$numpy":
        return value["value"]
    if tag in ("$path", "$tuple"):  # version 0.1 saved them as text and as lists
        return decisive(value[tag])
    return {name: decisive(element) for name, element in value.items() if not (name == "file" and _is_source(value))}


def shown(value: Any) -> str:
    """An encoded value as its user would write it, on one line."""
    tag = _tag(value)
    if _is_source(value):
        return source_name(value)
    if tag == "$file":
        return f"{value[tag]} (sha256 {value['sha256'][:12]})"
    if tag == "$array":
        return f"array of shape {tuple(value[tag]['shape'])} (sha256 {value[tag]['sha256'][:12]})"
    if tag == "$numpy":
        return f"{value[tag]}({shown(value['value'])})"
    if tag in ("$path", "$float"):
        return str(value[tag])
    if tag == "$tuple":
        return f"({', '.join(map(shown, value[tag]))})"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {shown(element)}' for name, element in value.items())}}}"
    return repr(value)


def _tag(value: Any) -> str | None:
    return next((name for name in value if name.startswith("$")), None) if isinstance(value, dict) else None


def _is_source(value: Any) -> bool:
    return _tag(value) in SOURCES


def given_again(value: Any) -> list[str]:
    """Names of the code in an encoded value that cannot be imported, so that its user must give it again."""
    if isinstance(value, list):
        return [name for element in value for name in given_again(element)]
    if not isinstance(value, dict):
        return []
    if _is_source(value):
        return [] if _tag(value) == "$import" else [source_name(value)]
    return given_again(list(value.values()))
