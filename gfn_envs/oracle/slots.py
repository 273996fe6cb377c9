"""Places where calls run: this process, worker processes (joblib's loky), and a pool of them with time-outs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

import cloudpickle

from gfn_envs.oracle.call import Reply, call, error_text, load, run
from gfn_envs.reward_errors import OracleError

#: Seconds by which a call may exceed its limit before its process is killed. The alarm in the process comes first.
GRACE = 1.0
#: Seconds within which a worker must start.
START_SECONDS = 300.0


class Slot(Protocol):
    """A place for one call at a time."""

    def start(self) -> Future[Any]:
        """Start it; done once it can take calls."""

    def call(self, objects: Sequence[Any], batched: bool, limit: float | None) -> Future[Reply]:
        """Call the function."""

    def kill(self) -> None:
        """End it, with the call that it runs."""


class Here:
    """Calls in this process, which cannot be killed."""

    def __init__(self, function: Callable[[Any], Any]):
        self.function = function

    def start(self) -> Future[Any]:
        return _done(None)

    def call(self, objects: Sequence[Any], batched: bool, limit: float | None) -> Future[Reply]:
        return _done(call(self.function, objects, batched, limit))

    def kill(self) -> None:
        pass


def _done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class LokySlot:
    """Calls in a separate worker process. If it must be killed, calls in other slots continue.

    Args:
        function: pickled by cloudpickle.
        threads: threads for the libraries of the process.
    """

    def __init__(self, function: bytes, threads: int):
        self.function, self.threads = function, threads
        self.pid: int | None = None

    def start(self) -> Future[Any]:
        try:
            from joblib.externals.loky.process_executor import ProcessPoolExecutor
        except ImportError as error:
            raise ImportError("workers of an oracle need joblib: pip install 'gfn-envs[oracle]'") from error
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        self.executor = ProcessPoolExecutor(max_workers=1, env=dict.fromkeys(names, str(self.threads)))
        future: Future[Any] = self.executor.submit(load, self.function, sys.path, os.getpid())
        future.add_done_callback(self._started)
        return future

    def _started(self, future: Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.pid = future.result()

    def call(self, objects: Sequence[Any], batched: bool, limit: float | None) -> Future[Reply]:
        future: Future[Reply] = self.executor.submit(run, objects, batched, limit)
        return future

    def kill(self) -> None:
        if self.pid is not None and hasattr(os, "killpg"):
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self.executor.shutdown(wait=False, kill_workers=True)


def pickled(function: Callable[[Any], Any]) -> bytes:
    """``function`` for worker processes. Raises OracleError if it cannot be pickled."""
    try:
        return cloudpickle.dumps(function)
    except Exception as error:
        raise OracleError(f"the reward cannot be sent to worker processes: {error_text(error)}") from error


class Pool:
    """Slots that run calls at the same time. They start at the first call.

    Args:
        make_slot: makes a slot.
        size: number of slots.
    """

    def __init__(self, make_slot: Callable[[], Slot], size: int):
        self.make_slot, self.size = make_slot, size
        self.free: list[Slot] = []
        self.starting: dict[Future[Any], Slot] = {}
        #: Call -> its slot, what the caller knows it by, when it began, and when it is killed.
        self.running: dict[Future[Reply], tuple[Slot, Any, float, float]] = {}

    def submit(self, ticket: Any, objects: Sequence[Any], batched: bool, limit: float | None) -> None:
        """Begin a call in a free slot. ``ticket`` comes back with its reply."""
        slot, now = self.free.pop(), time.monotonic()
        end = float("inf") if limit is None else now + limit + GRACE
        self.running[slot.call(objects, batched, limit)] = slot, ticket, now, end

    def wait(self) -> list[tuple[Any, Reply]]:
        """Wait until calls end or a slot becomes free. Returns tickets and replies of the calls that ended."""
        while len(self.free) + len(self.starting) + len(self.running) < self.size:
            slot = self.make_slot()
            self.starting[slot.start()] = slot
        now = time.monotonic()
        # If no slot works, wait for one to start.
        end = min((entry[3] for entry in self.running.values()), default=now + START_SECONDS)
        left = None if end == float("inf") else max(0.0, end - now)
        done, _ = wait([*self.starting, *self.running], timeout=left, return_when=FIRST_COMPLETED)
        if not done and not self.running:
            raise OracleError(f"no worker of the oracle started within {START_SECONDS:g} s")
        for future in [future for future in done if future in self.starting]:
            slot = self.starting.pop(future)
            if error := future.exception():
                raise OracleError(f"a worker of the oracle did not start: {error_text(error)}") from error
            self.free.append(slot)
        replies = [self._ended(future) for future in done if future in self.running]
        now = time.monotonic()
        overdue = [f for f, entry in self.running.items() if entry[3] <= now and not f.done()]
        return replies + [self._killed(future) for future in overdue]

    def _ended(self, future: Future[Reply]) -> tuple[Any, Reply]:
        slot, ticket, began, _ = self.running.pop(future)
        error = future.exception()
        if error is None:
            self.free.append(slot)
            return ticket, future.result()
        slot.kill()
        # Loky gives the exit code in braces, within a page of advice.
        code = re.search(r"\{(.+?)\}", str(error))
        reason = f"its process died ({code[1] if code else error_text(error)})"
        return ticket, Reply("died", [], reason, time.monotonic() - began)

    def _killed(self, future: Future[Reply]) -> tuple[Any, Reply]:
        slot, ticket, began, end = self.running.pop(future)
        slot.kill()
        return ticket, Reply("timeout", [], f"no answer within {end - began - GRACE:g} s", time.monotonic() - began)

    def close(self) -> None:
        """Kill all slots. A later call starts new ones."""
        slots = [*self.free, *self.starting.values(), *(entry[0] for entry in self.running.values())]
        self.free, self.starting, self.running = [], {}, {}
        for slot in slots:
            slot.kill()
