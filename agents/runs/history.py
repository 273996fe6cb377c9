"""metrics.jsonl: one row per line, each with a checksum that also covers the lines before it.

A changed, missing, doubled or moved line breaks the chain.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agents.runs import files
from agents.runs.errors import RunError

FIELD = "crc32"


def history_line(row: dict[str, Any], previous: int = 0) -> tuple[str, int]:
    """A line of metrics.jsonl and its checksum. NaN and infinity become null.

    Args:
        row: the row.
        previous: checksum of the line before, 0 for the first.
    """
    body = json.dumps(files.finite(row))[:-1]
    crc = zlib.crc32(body.encode(), previous)
    return f'{body}, "{FIELD}": "{crc:08x}"}}\n', crc


def history_text(rows: Iterable[dict[str, Any]]) -> tuple[str, int]:
    """The lines of all rows, and the checksum of the last."""
    text, crc = "", 0
    for row in rows:
        line, crc = history_line(row, crc)
        text += line
    return text, crc


def write_history(out: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write metrics.jsonl, atomically. Returns the checksum of the last line."""
    text, crc = history_text(rows)
    files.write_bytes(out / files.HISTORY, text.encode())
    return crc


def read_history(out: Path) -> list[dict[str, Any]]:
    """Rows of metrics.jsonl, each with its ``iteration``; [] if the file does not exist.

    A last line that a crash cut short is dropped: it lacks its newline.

    Raises:
        RunError: the file is damaged. The message names the line.
    """
    path = out / files.HISTORY
    try:
        text = files.read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    *lines, rest = text.split("\n")
    if rest and _is_complete(rest):
        lines.append(rest)
    elif rest and _is_complete(rest[:-1]):
        raise RunError(f"{path}, line {len(lines) + 1} is damaged: it does not end with a newline")
    rows = [_parsed(path, number, line) for number, line in enumerate(lines, 1)]
    if _has_checksums(out) or any(FIELD in row for row in rows):
        _check_chain(path, lines, rows)
    else:
        _check_order(path, rows)
    return [{name: value for name, value in row.items() if name != FIELD} for row in rows]


def _is_complete(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}, line {number} is damaged: {error}") from error
    if not isinstance(row, dict) or type(row.get("iteration")) is not int:
        raise RunError(f"{path}, line {number} is damaged: it is a row without an iteration")
    return row


def _has_checksums(out: Path) -> bool:
    """True if the run's rows must have checksums. Version 0.1 wrote none, and no provenance either."""
    try:
        return '"provenance"' in files.read_text(out / files.CONFIG)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _check_chain(path: Path, lines: list[str], rows: list[dict[str, Any]]) -> None:
    crc = 0
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), 1):
        body, _, _ = line.rpartition(f', "{FIELD}"')
        crc = zlib.crc32(body.encode(), crc)
        if line != f'{body}, "{FIELD}": "{crc:08x}"}}' or row.get(FIELD) != f"{crc:08x}":
            raise RunError(
                f"{path}, line {number} does not match its checksum: it was changed, or lines before it are missing, "
                "doubled or out of order"
            )


def _check_order(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows without checksums: iterations rise, and no row occurs twice in a row."""
    for number in range(1, len(rows)):
        if rows[number]["iteration"] < rows[number - 1]["iteration"] or rows[number] == rows[number - 1]:
            raise RunError(f"{path}, line {number + 1} is doubled or out of order")
