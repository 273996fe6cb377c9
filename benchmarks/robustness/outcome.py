"""The outcome of one trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Outcome(NamedTuple):
    """The outcome of a trial.

    Attributes:
        kind: a few words, the same for every trial that ended this way.
        fault: the fault, with everything needed to reproduce it; ``""`` without a fault.
    """

    kind: str
    fault: str = ""


Outcomes = Iterator[Outcome]


def one_line(error: BaseException | str) -> bool:
    """True if an error says something, in one line."""
    return len(str(error).strip().splitlines()) == 1


def raised(error: BaseException, allowed: tuple[type[BaseException], ...], where: str) -> Outcome:
    """The outcome of a trial that raised: one line of an allowed type, or a fault."""
    if isinstance(error, allowed) and one_line(error):
        return Outcome("one clear error")
    kind = "error of several lines" if isinstance(error, allowed) else "other exception"
    return Outcome(kind, f"{where}: {type(error).__name__}: {error}")
