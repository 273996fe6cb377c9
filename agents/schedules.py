"""Schedules: values that are constant, or change over training from one value to another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gfn_envs import named

#: Shape -> how far a schedule has moved from its start (0) to its end (1), as a function of its progress in [0, 1].
SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1 - math.cos(math.pi * progress)) / 2,
}


@dataclass(frozen=True)
class Schedule:
    """``start`` at iteration 0, moving to ``end`` at iteration ``steps`` >= 1, then constant.

    Args:
        start, end: the values.
        steps: iterations in between.
        shape: "linear"; "cosine"; "exponential", by a constant factor per iteration; or ``module:name`` of a function
            from the progress, 0 to 1, to how far the schedule has moved, 0 to 1 (it need not end at 1).

    Raises:
        ValueError: an end that is NaN or infinite, an unknown shape, or an exponential shape with an end <= 0, or a
            name that is not a function of one number.
        ImportError: a named module does not exist or cannot be imported.
    """

    start: float
    end: float
    steps: int
    shape: str = "linear"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"a schedule needs finite ends, got {self}")
        if self.shape == "exponential":
            if min(self.start, self.end) <= 0:
                raise ValueError(f"an exponential schedule needs ends > 0, got {self}")
        elif named.is_named(self.shape):
            try:
                own = named.load_callable(self.shape, "schedule", Callable[[float], float])
            except TypeError as error:
                raise ValueError(str(error)) from error
            object.__setattr__(self, "_own", own)
        elif self.shape not in SHAPES:
            allowed = ", ".join([*SHAPES, "exponential"])
            raise ValueError(
                f"the shape in start,end,steps,shape must be one of {allowed} or module:name, got {self.shape!r}"
            )

    def __call__(self, iteration: int) -> float:
        progress = min(iteration / self.steps, 1.0)
        if self.shape == "linear":
            return self.start + (self.end - self.start) * progress
        if self.shape == "exponential":
            return self.start * (self.end / self.start) ** progress
        moved = SHAPES[self.shape](progress) if self.shape in SHAPES else self._moved(progress)
        return self.start + (self.end - self.start) * moved

    def _moved(self, progress: float) -> float:
        own: Any = self.__dict__["_own"]
        moved = float(own(progress))
        if not 0 <= moved <= 1:
            raise ValueError(f"schedule {self}: {self.shape}({progress:g}) must lie in [0, 1], got {moved:g}")
        return moved

    def __str__(self) -> str:
        if self.start == self.end:
            return repr(self.start)
        text = f"{self.start!r},{self.end!r},{self.steps}"
        return text if self.shape == "linear" else f"{text},{self.shape}"


def schedule(value: float | str | Schedule | list[Any] | tuple[Any, ...]) -> Schedule:
    """A Schedule from a number (constant), ``"start,end,steps"``, ``"start,end,steps,shape"`` or these as a sequence.

    Raises:
        ValueError: anything else.
        ImportError: as for :class:`Schedule`.
    """
    if isinstance(value, Schedule):
        return value
    parts: Any = value.split(",") if isinstance(value, str) else value
    parts, shape = (parts[:3], parts[3]) if isinstance(parts, (list, tuple)) and len(parts) == 4 else (parts, "linear")
    try:
        numbers = [float(p) for p in parts] if isinstance(parts, (list, tuple)) else [float(parts)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) == 1:
        return Schedule(numbers[0], numbers[0], 1)
    if len(numbers) == 3 and numbers[2] >= 1 and numbers[2] == int(numbers[2]):
        return Schedule(numbers[0], numbers[1], int(numbers[2]), str(shape).strip())
    raise ValueError(f"expected a number or 'start,end,steps' (steps an integer >= 1), got {value!r}")
