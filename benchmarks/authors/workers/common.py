"""Shared by the workers, scripts that train with a checkout of the authors' code. NumPy and the standard library only.

A worker has one argument, a JSON object with ``checkout``, ``seed``, ``iterations``, ``out`` and its own settings. It
writes to ``out`` the forward policy in every non-terminal state, and prints one JSON object at the end.
"""

import contextlib
import io
import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def task() -> types.SimpleNamespace:
    """The settings."""
    return types.SimpleNamespace(**json.loads(sys.argv[1]))


def cpu_seconds(train: Callable[[], None]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    train()
    return time.process_time() - start


def finish(out: str, states: Any, probabilities: Any, seconds: float, log_z: float) -> None:
    """Save P_F (s, actions) of the ``states`` and report the seconds and log Z of the authors' rewards.

    ``states`` and actions are those of the environment in gfn_envs: rows of integers (s, width).
    """
    np.savez(out, states=np.asarray(states, np.int64), probabilities=np.asarray(probabilities, np.float64))
    print(json.dumps({"seconds": seconds, "log_z": log_z}), flush=True)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drop what is printed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def stub(name: str, **content: Any) -> None:
    """A module that is imported but not needed."""
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
