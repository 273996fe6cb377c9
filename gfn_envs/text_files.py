"""Text files of users: read whole, decompressed if they are .gz, and decoded as UTF-8. Other files raise."""

from __future__ import annotations

import gzip
import os
import reprlib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GZIP = b"\x1f\x8b"
#: Text given as a path may be far too long for one.
SHORT = reprlib.Repr()
SHORT.maxstring = 300
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | Path, where: str) -> str:
    """The text of a UTF-8 file, plain or compressed (.gz), without a byte order mark. Lines end with ``\\n``.

    Args:
        path: the file.
        where: the environment that reads it; begins every message.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not UTF-8, is damaged gzip, or is gzip without ".gz" in its name; the message names the
            file, and the line and first wrong byte of text.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
        if not str(path).lower().endswith(".gz"):
            raise ValueError(f"{where}: {path} is not UTF-8 but gzip; name it {Path(path).name}.gz, or decompress it")
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{where}: {path} is damaged gzip: {error}") from None
    if content.startswith(UTF_16):
        raise ValueError(f"{where}: {path} is not UTF-8 but UTF-16; save it as UTF-8")
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{where}: {path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{where}: {path}, line {line}: a zero byte, so this is not a text file")
    return text


def file_error(error: OSError, where: str, arguments: Mapping[str, Any]) -> OSError:
    """An error about a file, on one line with the argument that names it: "BayesNet: data='rows.csv': no such file".

    Args:
        error: what the system raised. Errors without a file name, which have messages of their own, are returned.
        where: start of the message.
        arguments: what the user gave, by name.
    """
    if error.filename is None or error.strerror is None:
        return error
    path = os.path.normpath(os.fsdecode(error.filename))
    names = (
        name for name, value in arguments.items() if isinstance(value, str | Path) and os.path.normpath(value) == path
    )
    argument = next(names, None)
    given = SHORT.repr(path) if argument is None else f"{argument}={SHORT.repr(str(arguments[argument]))}"
    return type(error)(f"{where}: {given}: {reason(error)}")


def reason(error: OSError) -> str:
    """Why the system cannot read a file, such as "no such file" or "is a directory"."""
    return "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror or error).lower()
