"""A disk that is full from the k-th operation on, for every k, and limits on the size of files."""

from __future__ import annotations

import builtins
import errno
import functools
import io
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import RunError, load_agent
from agents.runs import directory as runs
from benchmarks.robustness.children import Ended, run
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from benchmarks.robustness.small_runs import COMMANDS, difference, training, uninterrupted

SCHEDULE = ["--iterations", "60", "--log-every", "10", "--eval-every", "30", "--checkpoint-every", "20"]


class FullDisk:
    """In this process, operations that need space in a directory fail with ENOSPC from the ``left``-th on.

    Operations are: making a file or directory, write, flush and close of a file with unwritten data, fsync, rename.
    """

    def __init__(self, directory: Path, left: int):
        self.directory, self.left = str(directory), left
        self.open, self.fsync, self.replace, self.mkdir = io.open, os.fsync, os.replace, os.mkdir
        io.open = builtins.open = self._open  # type: ignore[assignment]
        os.fsync = self._checked(os.fsync)
        os.replace = self._checked(os.replace)
        os.mkdir = self._checked(os.mkdir)

    def use(self) -> None:
        """One operation."""
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*arguments: Any, **keywords: Any) -> Any:
            self.use()
            return function(*arguments, **keywords)

        return checked

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        ours = isinstance(file, (str, os.PathLike)) and str(file).startswith(self.directory)
        if not ours or mode.startswith("r") or str(file).endswith(".lock"):
            return self.open(file, mode, *arguments, **keywords)
        self.use()
        return _File(self.open(file, mode, *arguments, **keywords), self)


class _File:
    """An open file whose writes use space."""

    def __init__(self, file: Any, disk: FullDisk):
        self.file, self.disk, self.unwritten = file, disk, False

    def write(self, data: Any) -> int:
        self.disk.use()
        self.unwritten = True
        return int(self.file.write(data))

    def flush(self) -> None:
        if self.unwritten:
            self.disk.use()
            self.unwritten = False
        self.file.flush()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self.file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def trials(count: int, work: Path) -> Outcomes:
    """Every k up to ``count`` or the end of the run, then limits on the size of files, from 512 bytes to 128 KiB."""
    command = [*COMMANDS[1], *SCHEDULE]
    whole, out = work / "whole", work / "run"
    uninterrupted(whole, command, work / "errors")
    kinds = [
        ("full disk", lambda k: FullDisk(out, k), range(count)),
        ("limit on file size", _limit_files, [2**k for k in range(9, 18)] if count >= 10 else [2**13]),
    ]
    for name, prepare, values in kinds:
        for value in values:
            outcome, ended = _trial(command, whole, out, functools.partial(prepare, value), work / "errors")
            yield outcome._replace(kind=f"{name}: {outcome.kind}", fault=outcome.fault and f"{value}: {outcome.fault}")
            shutil.rmtree(out, ignore_errors=True)
            if ended.code == 0:
                break


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _trial(
    command: list[str], whole: Path, out: Path, prepare: Callable[[], Any], errors: Path
) -> tuple[Outcome, Ended]:
    """Train under a limit, look at what is left, then train on without it."""
    train = training(out, command)

    def limited() -> None:
        prepare()
        train()

    ended = run(limited, errors)
    if ended.code == 0:
        return Outcome("enough space", difference(whole, out)), ended
    last, fault = _last_checkpoint(out)
    if ended.code != 2 or not one_line(ended.error):
        fault = f"exit code {ended.code}: {ended.error}"
    elif left := [path.name for path in out.rglob("*.tmp")]:
        fault = f"temporary files are left: {left}"
    elif not fault:
        again = run(training(out, command, resume=out.exists()), errors)
        fault = f"it cannot go on: {again.error}" if again.code != 0 else difference(whole, out)
    return Outcome(f"one line, {last}", fault), ended


def _last_checkpoint(out: Path) -> tuple[str, str]:
    """The checkpoint to continue from, and its faults."""
    if not (out / runs.CHECKPOINT).exists():
        return "no checkpoint yet", ""
    try:
        load_agent(out)
    except RunError as error:
        return "last checkpoint", f"the checkpoint cannot be read: {error}"
    return "last checkpoint intact", ""
