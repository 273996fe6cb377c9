"""One call of a user's function, with a limit of time. Worker processes run this module."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.reward_errors import NOT_OF_THE_REWARD
from gfn_envs.user_arrays import problem_of
from gfn_envs.validation import shown

#: Value of an object and its components by name.
Value = tuple[float, dict[str, float]]


class Reply(NamedTuple):
    """The result of a call.

    Attributes:
        status: "ok", "error" (it raised, or did not return a number), "timeout", or "died" (its process died).
        values: one per object if the status is "ok".
        error: the reason, on one line, if it is not.
        seconds: how long the call took.
        fatal: an error that does not concern the objects, such as a library that is missing.
    """

    status: str
    values: list[Value]
    error: str
    seconds: float
    fatal: Exception | None = None


class TimeLimit(BaseException):
    """The time of a call is over. It is not an Exception, so that the user's ``except Exception`` lets it pass."""


def call(function: Callable[[Any], Any], objects: Sequence[Any], batched: bool, limit: float | None) -> Reply:
    """Call ``function`` on a batch of objects if ``batched``, else on a single object.

    Args:
        function: the user's function. It returns a number per object, or a mapping with a "value" and components.
        objects: the objects.
        batched: whether the function takes a batch.
        limit: seconds after which the call is interrupted; None: never.
    """
    start = time.perf_counter()
    fatal = None
    try:
        with time_limit(limit):
            values = _values(function(objects if batched else objects[0]), len(objects), batched)
    except TimeLimit:
        status, values, error = "timeout", [], f"no answer within {limit:g} s"
    except (Exception, SystemExit) as raised:
        status, values, error = "error", [], error_text(raised)
        fatal = raised if isinstance(raised, NOT_OF_THE_REWARD) else None
    else:
        status, error = "ok", ""
    return Reply(status, values, error, time.perf_counter() - start, fatal)


def error_text(error: BaseException) -> str:
    """Type and message of an error on one line of at most 300 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{text and f': {text}'}"[:300]


def _values(found: Any, n: int, batched: bool) -> list[Value]:
    if not batched:
        return [_value(found)]
    if isinstance(getattr(found, "dtype", None), np.dtype) and found.dtype.kind in "biuf":
        if found.shape != (n,):
            raise ValueError(f"the reward of {n} objects has shape {found.shape}; allowed: ({n},)")
        return [(float(value), {}) for value in found]
    if not isinstance(found, Sequence | np.ndarray) or isinstance(found, str) or len(found) != n:
        raise ValueError(f"the reward of {n} objects is {shown(found)}; allowed: {n} numbers")
    return [_value(item) for item in found]


def _value(item: Any) -> Value:
    parts = dict(item) if isinstance(item, Mapping) else {"value": item}
    if "value" not in parts:
        raise ValueError(f"the reward is {shown(item)}; allowed: a number, or a mapping with a number as 'value'")
    for name, part in parts.items():
        if problem := problem_of(part):
            which = "reward" if name == "value" else f"component {name!r}"
            raise ValueError(f"the {which} is {problem}: {shown(part)}; allowed: a number")
    value = float(parts.pop("value"))
    return value, {str(name): float(part) for name, part in parts.items()}


def is_missing(value: float) -> bool:
    """True if a call returned NaN, which is a failure; infinite values are the environment's concern."""
    return math.isnan(value)


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimit inside after ``seconds``, if this system and thread have alarms. Otherwise do nothing."""
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer"):
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise TimeLimit

    previous = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# ---------------------------------------------------------------------- in worker processes


class Worker:
    """The user's function in a worker process."""

    def load(self, function: bytes, paths: list[str], parent: int | None) -> int:
        """Unpickle the function; returns the id of this process.

        Args:
            function: pickled by cloudpickle.
            paths: sys.path of the main process. Folders that exist here are added.
            parent: id of the main process. If it ends, this process and its children end. None: they are ended
                otherwise.
        """
        sys.path.extend(path for path in paths if path not in sys.path and Path(path or ".").is_dir())
        if parent is not None and hasattr(os, "setpgid"):
            # A separate process group: Ctrl-C does not reach it, and it can be killed with the processes that the
            # function starts.
            os.setpgid(0, 0)
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        self.function = pickle.loads(function)
        return os.getpid()

    def call(self, objects: Sequence[Any], batched: bool, limit: float | None) -> Reply:
        """:func:`call` of the loaded function."""
        return call(self.function, objects, batched, limit)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(0, signal.SIGKILL)


#: The worker of a process that serves one slot.
WORKER = Worker()


def load(function: bytes, paths: list[str], parent: int | None) -> int:
    """:meth:`Worker.load` of this process."""
    return WORKER.load(function, paths, parent)


def run(objects: Sequence[Any], batched: bool, limit: float | None) -> Reply:
    """:meth:`Worker.call` of this process."""
    return WORKER.call(objects, batched, limit)
