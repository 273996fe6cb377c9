"""Protocol of the measured processes: one JSON request per line on stdin, one JSON answer per line on stdout.

It needs only the standard library, so the Python of every library can run it. Output of the libraries goes to stderr.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]


def serve(answer: Callable[[dict[str, Any]], Answer]) -> None:
    """Send a line that the process is ready, then answer requests until stdin closes."""
    channel, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ready": True}), file=channel, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=channel, flush=True)


def settings(description: str) -> argparse.Namespace:
    """Task of a worker, from the command-line option ``--task`` (JSON).

    With ``threads``, the process is bound to as many cores. It is the only way to limit the threads of XLA (gfnx).
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--task", type=json.loads, required=True, help="JSON object, described in the script")
    task = argparse.Namespace(**parser.parse_args().task)
    if hasattr(os, "sched_setaffinity") and getattr(task, "threads", None):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: task.threads])
    return task


def scheduled(value: float | list[float]) -> Callable[[float], float]:
    """A function of the iteration: constant, or linear for ``[start, end, iterations]``."""
    start, end, iterations = value if isinstance(value, list) else (value, value, 1)
    return lambda done: start + (end - start) * min(done / iterations, 1)


def train(update: Callable[[], float], iterations: int | None = None, seconds: float | None = None) -> Answer:
    """Call ``update``, which runs an iteration and returns its number of transitions, repeatedly.

    Args:
        update: the iteration.
        iterations: number of calls.
        seconds: duration, if ``iterations`` is None.

    Returns:
        ``{"seconds", "cpu_seconds", "iterations", "transitions"}`` of this block.
    """
    done, transitions, start, busy = 0, 0.0, time.perf_counter(), time.process_time()
    while done < iterations if iterations is not None else time.perf_counter() - start < seconds:
        transitions += update()
        done += 1
    cpu, wall = time.process_time() - busy, time.perf_counter() - start
    return {"seconds": wall, "cpu_seconds": cpu, "iterations": done, "transitions": transitions}
