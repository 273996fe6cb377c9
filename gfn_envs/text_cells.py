"""Numbers in the cells of text tables."""

from __future__ import annotations

import re

#: Cells that mark a missing value.
MISSING = ("", "na", "nan", "n/a", "null", "none", "<na>", "nat", ".", "?")


def is_missing(cell: str) -> bool:
    """True if a cell marks a missing value."""
    return cell.lower() in MISSING


def number_in(cell: str) -> float | None:
    """The number in a cell; None if the cell is not a number. Python's 1_000 is not one."""
    try:
        return None if "_" in cell or is_missing(cell) else float(cell)
    except ValueError:
        return None


def no_number(cell: str) -> str:
    """Reason why a cell is not a number, for messages."""
    if is_missing(cell):
        return f"a missing value ({cell!r}); leave out the row or fill in the value"
    if re.fullmatch(r"[-+]?[\d.]*,\d[\d,.]*(e[-+]?\d+)?", cell, flags=re.IGNORECASE):
        return f"{cell!r} has a decimal comma or a separator of thousands; write numbers like 1234.5"
    return f"{cell!r} is not a number"
