"""The job of a sweep's worker: ``gfn train`` in the run directory, from its checkpoint if it has one."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from agents.cli.main import FAILURES, run
from agents.runs.errors import RunError
from agents.runs.files import read_json
from agents.runs.lock import LOCK
from agents.sweeps.record import SWEEP, Outcome

#: Seconds that a run waits for its directory, which a dying worker may still hold.
PATIENCE = 120.0
#: Characters of a failed run's output that are kept.
KEPT = 4000


@dataclass(frozen=True)
class Place:
    """The location of a sweep, which all its workers must see.

    Attributes:
        folder: the sweep's folder.
        cwd: the directory that relative paths of the command line start from.
        token: text in the sweep's sweep.json that no other sweep has.
    """

    folder: Path
    cwd: Path
    token: str

    def enter(self) -> None:
        """Change to the directory of the command line.

        Raises:
            RunError: this machine does not see that directory, or another folder in place of the sweep's.
        """
        path, shared = self.folder / SWEEP, "all machines of a sweep must share its folders"
        if not path.exists() or read_json(path).get("token") != self.token:
            raise RunError(f"{socket.gethostname()} does not see {path} of this sweep: {shared}")
        try:
            os.chdir(self.cwd)
        except OSError as error:
            raise RunError(f"{socket.gethostname()}: {self.cwd}: {error.strerror}: {shared}") from None


def train_run(place: Place, name: str, words: Sequence[str]) -> Outcome:
    """Run ``gfn train`` with ``words`` in the run directory ``name``, from its checkpoint if it has one.

    Raises:
        KeyboardInterrupt: the sweep was interrupted. The checkpoint is written.
    """
    began, error, output = time.monotonic(), None, io.StringIO()
    out = place.folder / name
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            place.enter()
            wait_until_free(out)
            run(["train", *words, "--out", str(out), "--resume"])
        except FAILURES as failure:
            error = " ".join(str(failure).split())
        except (Exception, SystemExit) as failure:
            traceback.print_exc()
            error = f"{type(failure).__name__}: {' '.join(str(failure).split())}"
    printed = "" if error is None else output.getvalue()[-KEPT:]
    return Outcome(error, printed, socket.gethostname(), round(time.monotonic() - began, 3))


def wait_until_free(out: Path) -> None:
    """Wait until no process holds the run directory. If one still holds it in the end, training raises."""
    if (out / LOCK).exists():
        with contextlib.suppress(Timeout), FileLock(out / LOCK).acquire(timeout=PATIENCE):
            pass
