"""Two processes that begin to train in one directory at the same moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.robustness.children import Child, Ended
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from benchmarks.robustness.small_runs import COMMANDS, difference, training, uninterrupted

SCHEDULE = ["--iterations", "400", "--log-every", "10", "--eval-every", "100", "--checkpoint-every", "5"]


def trials(count: int, work: Path) -> Outcomes:
    """``count`` races: into a new directory, and into one to resume."""
    command = [*COMMANDS[0], *SCHEDULE]
    uninterrupted(work / "whole", command, work / "errors")
    short = [*command, "--iterations", "200"]
    uninterrupted(work / "half", short, work / "errors")
    whole = {False: work / "whole", True: work / "resumed"}
    shutil.copytree(work / "half", whole[True])
    Child(training(whole[True], command, resume=True), work / "errors").wait()
    for k in range(count):
        resume = k % 2 == 1
        if resume:
            shutil.copytree(work / "half", work / "run")
        yield _race(work / "run", whole[resume], training(work / "run", command, resume), work)
        shutil.rmtree(work / "run")


def _race(out: Path, whole: Path, function: Callable[[], None], work: Path) -> Outcome:
    wait, start = os.pipe()

    def at_the_start() -> None:
        os.close(start)
        os.read(wait, 1)  # returns as soon as no process can write to the pipe any more
        function()

    children = [Child(at_the_start, work / f"errors-{k}") for k in range(2)]
    os.close(wait)
    os.close(start)
    ended = [child.wait() for child in children]
    return Outcome("one trained, one rejected", _fault(sorted(ended, key=lambda end: end.code or 0), out, whole))


def _fault(ended: list[Ended], out: Path, whole: Path) -> str:
    winner, loser = ended
    if (winner.code, loser.code) != (0, 2) or not one_line(loser.error):
        return f"{winner}, {loser}"
    return difference(whole, out)
