"""Functions in forked children, which share the modules that their parent has imported. POSIX only."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

#: Exit code of a child whose function raised.
RAISED = 70


class Ended(NamedTuple):
    """How a child ended.

    Attributes:
        code: exit code, or the negative number of the signal that ended it; None if it was killed for its time.
        error: its stderr.
        seconds: from start to end.
    """

    code: int | None
    error: str
    seconds: float


class Child:
    """A forked process that calls ``function()``. Its stdout is dropped, its stderr goes to the file ``errors``.

    Args:
        function: what it does. SystemExit sets its exit code; other exceptions print a traceback.
        errors: file for stderr.
        memory: bytes of address space beyond what the parent has.
    """

    def __init__(self, function: Callable[[], Any], errors: Path, memory: int | None = None):
        self.errors, self.began = errors, time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            _child(function, errors, memory)

    def send(self, number: int) -> None:
        """Send a signal, if the process has not ended."""
        os.kill(self.pid, number)  # It has not been waited for, so the number is still its own.

    def wait(self, seconds: float = 60.0) -> Ended:
        """Wait for the end. A process that takes longer is killed."""
        deadline, code = time.monotonic() + seconds, None
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                break
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.002)
        return Ended(code, self.errors.read_text("utf-8", "replace"), time.monotonic() - self.began)


def run(function: Callable[[], Any], errors: Path, seconds: float = 60.0, memory: int | None = None) -> Ended:
    """Call ``function()`` in a child and wait for its end."""
    return Child(function, errors, memory).wait(seconds)


def _child(function: Callable[[], Any], errors: Path, memory: int | None) -> None:
    code = RAISED
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory is not None:
            limit = _address_space() + memory
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        function()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)  # without what the parent has registered for its own exit


def _address_space() -> int:
    """Bytes of address space of this process."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
