"""From words on the command line to settings: tyro fills dataclasses, and every error is one line."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import io
import re
import typing
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from agents.cli.errors import UsageError, nearest
from agents.schedules import Schedule, schedule
from gfn_envs.registration import environment_parameters, parse_value
from gfn_envs.smiles_files import read_smiles


def parse(kind: type[Any], arguments: Sequence[str], prog: str, default: Any = None) -> Any:
    """Fill a dataclass of type ``kind`` from flags; ``default`` holds the values of flags that are not given.

    Raises:
        UsageError: a flag or value is wrong, in one line.
    """
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            # Unknown flags are reported below, with the nearest known flag.
            value, unknown = tyro.cli(
                kind,
                args=list(arguments),
                prog=prog,
                return_unknown_args=True,
                registry=_registry(),
                **({} if default is None else {"default": default}),
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


def _flag_names(kind: Any, prefix: str = "") -> list[str]:
    names, hints = [], typing.get_type_hints(kind)
    for name in (field.name for field in dataclasses.fields(kind)):
        annotation = hints[name]
        if dataclasses.is_dataclass(annotation) and annotation is not Schedule:
            names += _flag_names(annotation, f"{prefix}{name}.")
        else:
            names.append(prefix + name.replace("_", "-"))
    return names


def _reader(metavar: str, read: Callable[[str], Any]) -> tyro.constructors.PrimitiveConstructorSpec[Any]:
    """Instructions for tyro to read a value from one word."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: True,
        str_from_instance=lambda value: [str(value)],
    )


def _path(word: str) -> Path:
    """A path. An empty word, such as an unset variable of a shell script, would be the current directory."""
    if not word:
        raise ValueError("a path must not be empty")
    return Path(word)


def _registry() -> tyro.constructors.ConstructorRegistry:
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def _(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        if info.type is Schedule:
            return _reader("FLOAT|START,END,STEPS", schedule)
        if info.type == Schedule | None:  # tyro would make subcommands of it
            return _reader("None|FLOAT|START,END,STEPS", lambda word: None if word == "None" else schedule(word))
        return None

    @registry.primitive_rule
    def _(info: tyro.constructors.PrimitiveTypeInfo) -> Any:
        return _reader("PATH", _path) if info.type is Path else None

    return registry


def environment_arguments(id: str) -> type[Any]:
    """A dataclass with the arguments and defaults of a registered environment.

    Raises:
        UsageError: the environment is unknown.
    """
    try:
        parameters = environment_parameters(id)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from None
    fields = []
    for name, parameter in parameters.items():
        kind, explain = parameter.annotation, tyro.conf.arg(help=parameter.help)
        if kind in (int, float, str, bool):
            typed: Any = typing.Annotated[kind, explain]
        else:
            # tyro cannot read callables, mappings and unions of such.
            typed = typing.Annotated[Any, _reader("VALUE", functools.partial(parse_value, annotation=kind)), explain]
        required = parameter.default is inspect.Parameter.empty
        default = tyro.MISSING if required else parameter.default
        fields.append((name, typed, dataclasses.field(default=default)))
    return dataclasses.make_dataclass("Environment", fields)


def truth_values(flags: Sequence[str], id: str | None) -> list[str]:
    """``flags`` with ``--env.NAME`` or ``--env.no-NAME`` for ``--env.NAME True`` or ``False``, as in gfn check."""
    try:
        parameters = {} if id is None else environment_parameters(id)
    except (ValueError, TypeError):  # reported when the environment is made
        parameters = {}
    names = {f"--env.{name.replace('_', '-')}" for name, p in parameters.items() if p.annotation is bool}
    read, words = [], deque(flags)
    while words:
        word = words.popleft()
        name, equals, value = word.replace("_", "-").partition("=")
        if name in names:
            if not equals and words and words[0].lower() in ("true", "false"):
                value = words.popleft()
            if value.lower() in ("", "true", "false"):
                word = name.replace("--env.", "--env.no-") if value.lower() == "false" else name
        read.append(word)
    return read


def check_seed(seed: int) -> None:
    """Raise UsageError unless every random number generator accepts ``seed``."""
    if not 0 <= seed < 2**64:
        raise UsageError(f"--seed must lie in [0, 2^64), got {seed}")


def check_at_least(least: int, options: Any, *names: str) -> None:
    """Raise UsageError if one of these flags has a value below ``least``. None is skipped."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def read_known(path: Path | None) -> list[str] | None:
    """The SMILES in a file, or None without a path."""
    try:
        return None if path is None else [row.smiles for row in read_smiles(path, "known molecules")]
    except ValueError as error:
        raise UsageError(str(error)) from None


def read_rows(path: Path | None) -> Any:
    """The array in a .npy file, or None without a path. Nothing in the file is executed."""
    try:
        return None if path is None else np.lib.format.read_array(path.open("rb"), allow_pickle=False)
    except ValueError as error:
        raise UsageError(f"{path} is not a .npy file of state rows: {error}") from None
