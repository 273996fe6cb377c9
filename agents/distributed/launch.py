"""Start the processes of a training on this machine, and watch them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agents.distributed.group import STORE

#: Exit code of a process that has lost another one. It prints no error, because the cause is elsewhere.
LOST = 76
#: Seconds between checks of the processes, and seconds that a terminated process may take to exit.
POLL, GRACE = 0.05, 10.0


def started_here() -> bool:
    """True in a process that :func:`launch` has started."""
    return STORE in os.environ


def launch(command: Sequence[str], processes: int, hint: Callable[[], str]) -> int:
    """Run a command in several processes, which find each other through :func:`agents.distributed.group.join`.

    Process 0 has the terminal. Ctrl-C reaches process 0 alone, which agrees with the others on when to stop. If a
    process fails, the others are ended.

    Args:
        command: the program and its arguments.
        processes: how many.
        hint: returns the end of the error if a process was killed.

    Returns:
        The exit code: that of process 0, or of the process that failed first; 1 if that was killed.
    """
    with tempfile.TemporaryDirectory(prefix="gfn-processes-") as folder:
        running = [_start(command, rank, processes, Path(folder)) for rank in range(processes)]
        try:
            with _forwarded(running[0]):
                while all(process.poll() is None for process in running):
                    time.sleep(POLL)
                if any(process.poll() not in (None, 0) for process in running):
                    time.sleep(4 * POLL)  # Others may have ended for the same reason.
                ended = [process.poll() for process in running]
                if any(ended):
                    _end(running)
                else:
                    for process in running:
                        process.wait()
                    ended = [process.returncode for process in running]
        finally:
            _end(running)
        rank = cause(ended)
        return 0 if rank is None else _report(rank, ended, Path(folder), hint)


def cause(codes: Sequence[int | None]) -> int | None:
    """The process that the others failed with, from exit codes; None if none failed.

    A process killed by a signal comes first, then the first one with its own error. Of the killed ones, aborted
    processes come last: the connections of a process can abort when another one dies.
    """
    failed = [rank for rank, code in enumerate(codes) if code]
    killed = sorted((rank for rank in failed if (codes[rank] or 0) < 0), key=lambda r: codes[r] == -signal.SIGABRT)
    own = [rank for rank in failed if codes[rank] != LOST]
    return next(iter([*killed, *own, *failed]), None)


def _report(rank: int, codes: Sequence[int | None], folder: Path, hint: Callable[[], str]) -> int:
    code = codes[rank] or 0
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        print(f"error: process {rank} of {len(codes)} (counted from 0) was killed ({name}); {hint()}", file=sys.stderr)
        return 1
    if rank > 0:
        sys.stderr.write((folder / f"errors-{rank}").read_text("utf-8", "replace"))
    if code == LOST:
        print(f"error: the connection between the processes was lost; {hint()}", file=sys.stderr)
        return 1
    return code


def _start(command: Sequence[str], rank: int, processes: int, folder: Path) -> subprocess.Popen[bytes]:
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    variables = {
        **os.environ,
        STORE: str(folder / "store"),
        "RANK": str(rank),
        "WORLD_SIZE": str(processes),
        **({"GLOO_SOCKET_IFNAME": loopback} if loopback else {}),
    }
    streams: dict[str, Any] = {}
    with contextlib.ExitStack() as opened:
        if rank > 0:
            errors = opened.enter_context((folder / f"errors-{rank}").open("wb"))
            streams = {"stdout": subprocess.DEVNULL, "stderr": errors}
        # A separate session, so that Ctrl-C in a terminal does not reach it twice. Its stdin closes if this process is
        # killed.
        return subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, start_new_session=os.name == "posix", **streams
        )


@contextlib.contextmanager
def _forwarded(first: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass SIGINT on to the first process."""

    def forward(*_: Any) -> None:
        with contextlib.suppress(ProcessLookupError):
            first.send_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    if before in (signal.SIG_IGN, None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, forward)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    """End all processes."""
    for process in running:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + GRACE
    for process in running:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def end_with_parent() -> None:
    """End this process if its launcher is killed. Call it in processes that :func:`launch` started."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(LOST)

    threading.Thread(target=watch, daemon=True).start()
