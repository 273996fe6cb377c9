"""Rewards for tests, in a module that worker processes can import."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def number(name: str) -> int:
    """The number in "object 7"."""
    return int(name.split()[-1])


def square(name: str) -> float:
    return float(number(name) ** 2)


def squares(names: list[str]) -> np.ndarray:
    return np.array([square(name) for name in names])


def with_parts(name: str) -> dict[str, float]:
    return {"value": square(name), "twice": 2.0 * number(name)}


def waits(name: str) -> float:
    time.sleep(0.2)
    return square(name)


def clocked(name: str) -> dict[str, float]:
    """As ``waits``, with the times at which the call begins and ends."""
    begin = time.time()
    return {"value": waits(name), "begin": begin, "end": time.time()}


def unreliable(name: str) -> float:
    """Of 100 objects, 5 raise, 5 give NaN and 2 hang."""
    kind = number(name) % 100
    if kind < 5:
        raise RuntimeError(f"no licence for {name}")
    if kind < 10:
        return float("nan")
    if kind < 12:
        while True:
            with contextlib.suppress(Exception):  # does not stop what hangs
                time.sleep(60)
    return 1.0 + kind


def deaf(name: str) -> float:
    """Object 1 hangs and ignores the alarm; object 2 ends its process."""
    if number(name) == 1:
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(600)
    if number(name) == 2:
        os._exit(3)
    return square(name)


def counted(name: str) -> float:
    """Writes a line to the file of the environment variable CALLS."""
    with Path(os.environ["CALLS"]).open("a") as file:
        file.write(f"{name}\n")
    return 1.0 + len(name)


def needs_a_library(name: str) -> float:
    import no_such_library  # noqa: F401

    return 1.0


def leaves(name: str) -> float:
    sys.exit("out of tokens")


def by_name(name: str) -> Any:
    """The reward that the first word names: "waits 3" is ``waits("object 3")``."""
    return globals()[name.split()[0]](f"object {number(name)}")


def two(name: str, other: Any) -> float:
    return 1.0
