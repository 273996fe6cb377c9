"""Submits the runs of a sweep, shows overall progress, and records the outcomes."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from agents.runs import files
from agents.sweeps.grid import Run
from agents.sweeps.record import Outcome, Record

#: Seconds between checks of the runs.
POLL = 1.0
#: Seconds that interrupted runs have for the end of their iteration and their checkpoint.
GRACE = 30.0
FORMAT = "{percentage:3.0f}%|{bar}| {n:.1f}/{total_fmt} runs [{elapsed}<{remaining}{postfix}]"


class Workers(Protocol):
    """Processes that call a function, as :class:`agents.sweeps.ray_runner.RayWorkers`."""

    @property
    def busy(self) -> bool: ...

    def submit(self, name: str, words: Sequence[str]) -> None: ...

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]: ...

    def cancel(self) -> None: ...


class Source(Protocol):
    """A source of runs."""

    total: int
    """Number of runs."""

    def ready(self, running: int) -> list[Run]:
        """Runs that can be submitted now, while ``running`` others are. May be empty."""

    def ended(self, run: Run, error: str | None) -> None:
        """Record that a run ended."""


class Grid:
    """The source of a sweep over a grid: every run is ready from the start."""

    def __init__(self, runs: Sequence[Run]):
        self.total, self.left = len(runs), list(runs)

    def ready(self, running: int) -> list[Run]:
        runs, self.left = self.left, []
        return runs

    def ended(self, run: Run, error: str | None) -> None:
        pass


def drive(
    workers: Workers,
    source: Source,
    record: Record,
    words: Callable[[Run], list[str]],
    progress: bool = True,
) -> dict[str, str]:
    """Run everything that ``source`` has.

    Args:
        workers: processes that train.
        source: the runs.
        record: sweep.json, in the folder of the run directories. Runs that it calls finished are left out.
        words: the flags of ``gfn train`` of a run, without its directory.
        progress: show a progress bar.

    Returns:
        The failed runs: name -> one line.

    Raises:
        KeyboardInterrupt: Ctrl-C. The runs have saved their checkpoints, if they could within GRACE seconds.
    """
    running: dict[str, Run] = {}
    failed: dict[str, str] = {}
    bar = Bar(record.folder, source.total, progress)

    def ended(run: Run, outcome: Outcome) -> None:
        record.end(run.name, words(run), outcome)
        if outcome.error is not None:
            failed[run.name] = outcome.error
            bar.say(f"{run.name}: {outcome.error}")
        source.ended(run, outcome.error)
        bar.ended()

    try:
        while True:
            while batch := source.ready(len(running)):
                for run in batch:
                    if record.finished(run.name, words(run)):
                        source.ended(run, None)
                        bar.ended(before=True)
                    else:
                        running[run.name] = run
                        workers.submit(run.name, words(run))
            if not running:
                return failed
            for name, outcome in workers.wait(POLL):
                ended(running.pop(name), outcome)
            bar.show(running, len(failed))
    except KeyboardInterrupt:
        bar.say("interrupted: waiting for the checkpoints")
        workers.cancel()
        until = time.monotonic() + GRACE
        while workers.busy and time.monotonic() < until:
            for name, outcome in workers.wait(POLL):
                run = running.pop(name)
                if outcome.error is None:  # It finished before the signal arrived.
                    record.end(name, words(run), outcome)
        raise
    finally:
        bar.close()


class Bar:
    """Progress over all runs: those that ended, and the share of iterations of those that run.

    Args:
        folder: folder of the run directories.
        total: number of runs.
        progress: whether to show it.
    """

    def __init__(self, folder: Path, total: int, progress: bool):
        self.folder, self.done = folder, 0
        self.totals: dict[str, int] = {}
        self.tqdm: Any = tqdm(total=total, disable=not progress, bar_format=FORMAT, file=sys.stderr, dynamic_ncols=True)

    def ended(self, before: bool = False) -> None:
        """Count a run that ended, or had ended in an earlier call of the sweep."""
        self.done += 1
        if before and not self.tqdm.disable:
            self.tqdm.initial += 1

    def show(self, running: Iterable[str], failed: int) -> None:
        shares = [self._share(name) for name in running] if not self.tqdm.disable else []
        self.tqdm.n = self.done + sum(shares)
        self.tqdm.set_postfix_str(
            f"{sum(share > 0 for share in shares)} under way" + (f", {failed} failed" if failed else "")
        )

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        if not self.tqdm.disable:
            self.tqdm.n = self.done
        self.tqdm.close()

    def _share(self, name: str) -> float:
        """The share of its iterations that a run has done, by the last line of its metrics.jsonl."""
        directory = self.folder / name
        try:
            if name not in self.totals:
                self.totals[name] = int(files.read_json(directory / files.CONFIG)["iterations"])
            return min(1.0, last_iteration(directory / files.HISTORY) / self.totals[name])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0  # It has not begun.


def last_iteration(history: Path) -> int:
    """The iteration of the last complete line of metrics.jsonl; 0 if it has none."""
    with history.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 2**16))
        lines = file.read().split(b"\n")[:-1]
    return int(json.loads(lines[-1])["iteration"]) if lines else 0
