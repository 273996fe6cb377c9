"""Text files of users: read whole, decompressed if they are gzip, and decoded as UTF-8. Other files raise."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

GZIP = b"\x1f\x8b"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | Path, where: str) -> str:
    """The text of a UTF-8 file, plain or compressed with gzip, without a byte order mark. Lines end with ``\\n``.

    Args:
        path: the file.
        where: the environment that reads it; begins every message.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not UTF-8 or is damaged gzip; the message names file, line and first wrong byte.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP):
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
