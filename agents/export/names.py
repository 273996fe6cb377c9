"""Names of known objects, read from a file of one of our own formats or from plain lines."""

from __future__ import annotations

import csv
from pathlib import Path

from gfn_envs.text_files import read_text


def read_names(path: Path) -> list[str]:
    """Names of objects: the column ``object`` of a .csv file, the first word per line of a .smi file, else the lines.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text, or a .csv file without that column.
    """
    lines = read_text(path, "names of objects").split("\n")
    if path.suffix.lower() == ".csv":
        rows = csv.DictReader(lines)
        if "object" not in (rows.fieldnames or ()):
            raise ValueError(f"{path}, line 1: there is no column 'object', only {', '.join(rows.fieldnames or ())}")
        return [row["object"] for row in rows if row["object"]]
    if path.suffix.lower() == ".smi":
        return [line.split()[0] for line in lines if line.split()]
    return [line.strip() for line in lines if line.strip()]
