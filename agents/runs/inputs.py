"""Arguments of an environment as JSON that gives them back exactly, and the files that they name.

Plain values stay as they are. Others are objects with one tag:

    {"$tuple": [...]}  {"$dict": [[key, value], ...]}  {"$float": "nan"}  {"$numpy": "int64", "value": 4}
    {"$array": {"dtype", "shape", "sha256", "data" or "file"}}  {"$series": {"index", "values", "name"}}
    {"$path": "a/b"}  {"$file": "a.fasta", "path": "/data/a.fasta", "sha256", "copy": "inputs/...", "is_path": false}
    {"$partial": [function, arguments, keywords]}  {"$import" | "$code" | "$object": "module:name", "sha256", "file"}

Arrays and files go to the run's folder ``inputs`` if they are small. A large file is found by its path again. Both are
compared with their hash. Nothing that is read is executed; functions are imported only if the user allows it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import io
import math
import os
import typing
import warnings
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from agents.runs import files
from agents.runs.errors import RunError
from agents.runs.sources import IMPORTABLE, SOURCES, Trust, describe_source, import_source, partial_parts

#: A run keeps copies of files of at most this many bytes.
COPIED_BYTES = 2**20
#: Arrays of at most this many numbers are written into config.json.
INLINE_NUMBERS = 64

#: Contents of the files in the folder ``inputs``, by name.
Copies = dict[str, bytes]


def encode_arguments(dag: Any, copies: Copies) -> dict[str, Any]:
    """The arguments of an environment as JSON. Contents of files and arrays are added to ``copies``."""
    kinds = _annotations(type(dag))
    return {
        name: encode(value, copies, _may_be_path(kinds.get(name, Any))) for name, value in dict(dag.arguments).items()
    }


def _annotations(kind: type[Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind.__init__)
    except (NameError, TypeError, AttributeError):
        return {name: p.annotation for name, p in inspect.signature(kind).parameters.items()}


def _may_be_path(annotation: Any) -> bool:
    return annotation in (Any, inspect.Parameter.empty) or "Path" in str(annotation)


def encode(value: Any, copies: Copies, may_be_path: bool = False) -> Any:
    """``value`` as JSON.

    Args:
        value: any value.
        copies: receives the contents of arrays and files.
        may_be_path: whether text without a slash or a suffix can be the name of a file.
    """
    if isinstance(value, np.generic):
        return _encode_scalar(value, copies)
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, (str, PurePath)):
        return _encode_text(value, copies, may_be_path)
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return {"$array": _encode_array(value, copies)}
    if type(value) in (list, range):
        return [encode(element, copies) for element in value]
    if type(value) is tuple:
        return {"$tuple": [encode(element, copies) for element in value]}
    if isinstance(value, Mapping):
        pairs = [(key, encode(element, copies)) for key, element in value.items()]
        if all(type(key) is str and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$dict": [[encode(key, copies), element] for key, element in pairs]}
    if type(value).__module__.split(".")[0] == "pandas" and type(value).__name__ == "Series":
        parts = {"index": value.index.tolist(), "values": value.tolist(), "name": value.name}
        return {"$series": {name: encode(part, copies) for name, part in parts.items()}}
    if parts_of := partial_parts(value):
        return {"$partial": [encode(part, copies) for part in parts_of]}
    return describe_source(value)


def _encode_scalar(value: np.generic, copies: Copies) -> Any:
    if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
        return {"$numpy": value.dtype.name, "value": encode(value.item(), copies)}
    array = {"$array": _encode_array(np.asarray(value), copies), "is_scalar": True}
    return str(value) if isinstance(value, np.str_) else array


def _encode_text(value: str | PurePath, copies: Copies, may_be_path: bool) -> Any:
    is_path = isinstance(value, PurePath)
    named = is_path or may_be_path or os.sep in str(value) or PurePath(value).suffix != ""
    if not named or not _is_file(value):
        return {"$path": str(value)} if is_path else str(value)
    path = Path(value).absolute()
    digest, copy = sha256_of(path), None
    if path.stat().st_size <= COPIED_BYTES:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        copy = f"{files.INPUTS}/{digest[:12]}-{path.name}"
        copies[copy] = content
    return {"$file": str(value), "path": str(path), "sha256": digest, "copy": copy, "is_path": is_path}


def _is_file(name: str | PurePath) -> bool:
    try:
        return os.path.isfile(name)
    except ValueError:  # a zero byte
        return False


def _encode_array(value: np.ndarray[Any, Any], copies: Copies) -> dict[str, Any]:
    content = files.as_bytes(lambda file: np.save(file, np.ascontiguousarray(value).reshape(value.shape)))
    digest = hashlib.sha256(content).hexdigest()
    described = {"dtype": value.dtype.str, "shape": list(value.shape), "sha256": digest}
    if (value.size <= INLINE_NUMBERS and value.dtype.kind in "biuU") or _is_plain_float(value):
        return {**described, "data": value.tolist()}
    name = f"{files.INPUTS}/{digest[:12]}.npy"
    copies[name] = content
    return {**described, "file": name}


def _is_plain_float(value: np.ndarray[Any, Any]) -> bool:
    small = value.size <= INLINE_NUMBERS and value.dtype.kind == "f" and value.dtype.itemsize <= 8
    return small and bool(np.isfinite(value).all())


def write_copies(out: Path, copies: Copies) -> None:
    """Write the files of the folder ``inputs``."""
    for name, content in copies.items():
        files.write_bytes(out / name, content)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


# ---------------------------------------------------------------------- back


def decode_arguments(out: Path, arguments: dict[str, Any], trust: Trust) -> dict[str, Any]:
    """The arguments of an environment from config.json.

    Args:
        out: the run directory.
        arguments: encoded arguments by name.
        trust: the modules whose functions may be imported.

    Raises:
        RunError: a file is missing or has changed, a function may not be imported or has changed, or a value needs the
            environment again. The message names the argument.
    """
    return {name: decode(value, out, f"{out / files.CONFIG}: {name}", trust) for name, value in arguments.items()}


def decode(value: Any, out: Path, where: str, trust: Trust = False) -> Any:
    """The value that :func:`encode` encoded. ``where`` begins messages."""
    again = functools.partial(decode, out=out, where=where, trust=trust)
    if isinstance(value, list):
        return [again(element) for element in value]
    if not isinstance(value, dict):
        return value
    tag = next((name for name in value if name.startswith("$")), None)
    if tag is None:
        return {name: again(element) for name, element in value.items()}
    try:
        content = value[tag]
        if tag == "$tuple":
            return tuple(map(again, content))
        if tag == "$dict":
            return {again(key): again(element) for key, element in content}
        if tag == "$float":
            return float(content)
        if tag == "$numpy":
            return np.dtype(content).type(again(value["value"]))
        if tag == "$path":
            return Path(content)
        if tag == "$file":
            found = _find_file(value, out, where)
            return Path(found) if value["is_path"] else found
        if tag == "$array":
            array = _decode_array(content, out, where)
            return array[()] if value.get("is_scalar") else array
        if tag == "$series":
            pd = importlib.import_module("pandas")

            return pd.Series(again(content["values"]), again(content["index"]), name=again(content["name"]))
        if tag == "$partial":
            function, arguments, keywords = map(again, content)
            return functools.partial(function, *arguments, **keywords)
        if tag == IMPORTABLE:
            return import_source(value, where, trust)
    except RunError:
        raise
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise RunError(f"{where} is damaged: {type(error).__name__}: {error}") from error
    if tag in SOURCES:
        raise RunError(f"{where} was {content}, which cannot be imported: pass the environment again as dag=...")
    raise RunError(f"{where} has a form of a later version ({tag})")


def _find_file(described: dict[str, Any], out: Path, where: str) -> str:
    """The file as it was named, at its old place, or the run's copy: the first with the right content."""
    given, old, digest = described["$file"], described["path"], described["sha256"]
    for name in (given, old):
        if _is_file(name) and sha256_of(Path(name)) == digest:
            return name
    changed = _is_file(old)
    if described["copy"] is None:
        problem = "has changed since the run was made" if changed else "is missing"
        raise RunError(f"{where}: {old} {problem}")
    copy = out / described["copy"]
    if copy.parent != out / files.INPUTS or not copy.is_file() or sha256_of(copy) != digest:
        raise RunError(f"{where}: {copy} is missing or damaged, and {old} {'has changed' if changed else 'is missing'}")
    if changed:
        warnings.warn(f"{where}: {old} has changed since the run was made; the run's copy {copy} is used", stacklevel=2)
    return str(copy.absolute())


def _decode_array(described: dict[str, Any], out: Path, where: str) -> np.ndarray[Any, Any]:
    if "data" in described:
        return np.array(described["data"], dtype=described["dtype"]).reshape(described["shape"])
    path = out / described["file"]
    try:
        content = path.read_bytes() if path.parent == out / files.INPUTS else b""
    except OSError as error:
        raise RunError(f"{where}: {path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise RunError(f"{where}: {path} is damaged: it differs from its SHA-256")
    return np.load(io.BytesIO(content), allow_pickle=False)
