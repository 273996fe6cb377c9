"""Values that change over training: constant, or linear between two values."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """``start`` at iteration 0, moving linearly to ``end`` at iteration ``steps`` >= 1, then constant.

    Raises:
        ValueError: an end that is NaN or infinite.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"a schedule needs finite ends, got {self}")

    def __call__(self, iteration: int) -> float:
        return self.start + (self.end - self.start) * min(iteration / self.steps, 1.0)

    def __str__(self) -> str:
        return repr(self.start) if self.start == self.end else f"{self.start!r},{self.end!r},{self.steps}"


def schedule(value: float | str | Schedule | list[float] | tuple[float, ...]) -> Schedule:
    """A Schedule from a number (constant), ``"start,end,steps"`` or the three as a sequence.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, Schedule):
        return value
    parts = value.split(",") if isinstance(value, str) else value
    try:
        numbers = [float(p) for p in parts] if isinstance(parts, (list, tuple)) else [float(parts)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1:
        return Schedule(numbers[0], numbers[0], 1)
    if len(numbers) == 3 and numbers[2] >= 1 and numbers[2] == int(numbers[2]):
        return Schedule(numbers[0], numbers[1], int(numbers[2]))
    raise ValueError(f"expected a number or 'start,end,steps' (steps an integer >= 1), got {value!r}")
