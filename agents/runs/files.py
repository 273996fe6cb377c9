"""Files of a run directory: replaced atomically, never through a symbolic link; JSON is sealed with a SHA-256."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from agents.runs.errors import RunError

CONFIG, HISTORY, METRICS, CHECKPOINT = "config.json", "metrics.jsonl", "metrics.json", "checkpoint.pt"
INPUTS, FIGURES = "inputs", "figures"

#: Names of files that are being written: `.NAME.PROCESS.tmp`.
TEMPORARY = re.compile(r"\..+\.\d+\.tmp")
#: A figure can be drawn while the run is open. Its temporary file is stale after this time.
STALE_SECONDS = 3600


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Replace ``path`` by a file that ``write`` fills. At any time, ``path`` is the complete old or new file.

    Raises:
        RunError: ``path`` is a symbolic link, a directory or a device.
        OSError: the file cannot be written, for example because the disk is full. The old file stays.
    """
    if path.is_symlink():
        raise RunError(f"{path} is a symbolic link and was not written: name its target, or remove it")
    if path.exists() and not path.is_file():
        raise RunError(f"{path} is not a regular file and was not written")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with temporary.open("xb") as file:  # "x" never follows a symbolic link
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"{path} was not written: {error.strerror or error}") from error
    finally:
        if temporary.exists():
            temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by a file with this content, atomically."""
    write_atomically(path, lambda file: file.write(content))


def remove_temporary(directory: Path) -> None:
    """Remove files that killed processes left half written. Only the process that holds the run's lock may call it."""
    for folder in (directory, directory / INPUTS, directory / FIGURES):
        for path in folder.iterdir() if folder.is_dir() else ():
            if TEMPORARY.fullmatch(path.name) and (folder.name != FIGURES or _age(path) > STALE_SECONDS):
                path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    return time.time() - path.lstat().st_mtime


# ---------------------------------------------------------------------- JSON


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically. NaN and infinity become null."""
    write_bytes(path, (json.dumps(finite(value), indent=2) + "\n").encode())


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """:func:`write_json` of ``value`` with a field ``sha256``, which :func:`read_json` compares."""
    value = finite({name: element for name, element in value.items() if name != "sha256"})
    write_json(path, {**value, "sha256": seal(value)})


def seal(value: dict[str, Any]) -> str:
    """SHA-256 of ``value`` as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def finite(value: Any) -> Any:
    """``value`` with None for every NaN and infinity in it, because JSON has neither."""
    if isinstance(value, dict):
        return {key: finite(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(element) for element in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, sealed: bool = False) -> dict[str, Any]:
    """The object in a JSON file of a run, without its seal.

    Args:
        path: the file.
        sealed: whether it must have a seal. A seal that is there is always compared.

    Raises:
        RunError: the file is missing, damaged or not an object, or differs from its seal.
    """
    try:
        value = json.loads(read_text(path), object_pairs_hook=_distinct_pairs)
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{path.parent} is not a run: it has no {path.name}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds a {type(value).__name__}, not an object")
    found = value.pop("sha256", None)
    if found is None and (sealed or "provenance" in value):
        raise RunError(f"{path} is damaged: it has no sha256")
    if found is not None and found != seal(value):
        raise RunError(f"{path} was damaged or edited: it differs from its sha256")
    return value


def _distinct_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return value


def read_text(path: Path) -> str:
    """Text of a file. Raises RunError if it exists and cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: it is not UTF-8 ({error.reason} at byte {error.start})") from error


def as_bytes(write: Callable[[BinaryIO], Any]) -> bytes:
    """The bytes that ``write`` writes to a file."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()
