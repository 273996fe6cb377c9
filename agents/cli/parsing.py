"""From words on the command line to settings: dataclasses filled by tyro, and every complaint one line."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import inspect
import io
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tyro

from agents.schedules import Schedule, schedule
from gfn_envs.registration import load_dag_class, registered_ids


class UsageError(Exception):
    """Something on the command line is wrong; the message is one line."""


def parse(kind: type[Any], arguments: Sequence[str], prog: str) -> Any:
    """Fill a dataclass from flags with tyro; any complaint becomes one line."""
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            # Unknown flags are sorted out here, so that the message can name the nearest one.
            value, unknown = tyro.cli(
                kind, args=list(arguments), prog=prog, return_unknown_args=True, registry=_registry()
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        text = re.sub(r"[\u2500-\u257f]+|-{4,}", " ", errors.getvalue())
        text = re.sub(r"For full helptext.*", "", text, flags=re.DOTALL)
        text = " ".join(word for word in text.split() if word != "Parsing")
        raise UsageError(f"{prog}: {text}") from None
    if unknown:
        flags = ["--" + name for name in _flag_names(kind)]
        raise UsageError(f"{prog}: unknown argument {unknown[0]}{nearest(unknown[0].split('=')[0], flags)}")
    return value


def nearest(word: str, known: Any) -> str:
    """A hint for messages: the known word most like ``word``, or all of them."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join(known)})"


def _flag_names(kind: Any, prefix: str = "") -> list[str]:
    names, hints = [], typing.get_type_hints(kind)
    for name in (field.name for field in dataclasses.fields(kind)):
        annotation = hints[name]
        if dataclasses.is_dataclass(annotation) and annotation is not Schedule:
            names += _flag_names(annotation, f"{prefix}{name}.")
        else:
            names.append(prefix + name.replace("_", "-"))
    return names


def _literal(text: str) -> Any:
    """A Python literal, such as ``{"R0": 0.01}`` or ``(1, 2)``, or else the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


#: The type of arguments that are arguments of something else, such as reward_kwargs.
KEYWORD_ARGUMENTS = Mapping[str, Any] | None


def _keyword_arguments(text: str) -> Any:
    """A dict with names as keys, or None."""
    value = _literal(text)
    if value is not None and not (isinstance(value, dict) and all(isinstance(key, str) for key in value)):
        raise ValueError(f"expected None or {{'name': value}}, got {text!r}")
    return value


def _reader(metavar: str, read: Callable[[str], Any]) -> tyro.constructors.PrimitiveConstructorSpec[Any]:
    """Tell tyro how to read a value from one word."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _registry() -> tyro.constructors.ConstructorRegistry:
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def _(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        return _reader("FLOAT|START,END,STEPS", schedule) if info.type is Schedule else None

    return registry


def environment_arguments(id: str) -> type[Any]:
    """A dataclass with the arguments and defaults of a registered environment."""
    if id not in registered_ids():
        raise UsageError(f"unknown environment {id!r}{nearest(id, registered_ids())}")
    spec = dict(gymnasium.registry[id].kwargs)
    dag = load_dag_class(spec.pop("dag"))
    hints = typing.get_type_hints(dag.__init__)
    fields = []
    for name, parameter in inspect.signature(dag).parameters.items():
        kind, explain = hints.get(name, str), tyro.conf.arg(help=_argument_help(dag, name))
        # Values that a command line cannot type (callables, mappings, unions) are read as Python literals or text.
        read = _keyword_arguments if kind == KEYWORD_ARGUMENTS else _literal
        typed: Any = typing.Annotated[Any, _reader("VALUE", read), explain]
        if kind in (int, float, str, bool):
            typed = typing.Annotated[kind, explain]
        fields.append((name, typed, dataclasses.field(default=spec.get(name, parameter.default))))
    return dataclasses.make_dataclass("Environment", fields)


def _argument_help(dag: type[Any], name: str) -> str:
    """What the class docstring says of an argument (its line in the Arguments section)."""
    match = re.search(rf"\* ``{name}``: (.*?)(?=\n\s*\* ``|\n\s*\n|\Z)", inspect.getdoc(dag) or "", flags=re.DOTALL)
    return " ".join(match.group(1).split()) if match else ""


def check_seed(seed: int) -> None:
    """Raise UsageError unless every random number generator takes ``seed``."""
    if not 0 <= seed < 2**64:
        raise UsageError(f"--seed must lie in [0, 2^64), got {seed}")


def read_rows(path: Path | None) -> Any:
    """The array in a .npy file; nothing in it is executed."""
    try:
        return None if path is None else np.lib.format.read_array(path.open("rb"), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a .npy file of state rows: {error}") from None
