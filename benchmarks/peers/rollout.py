"""Speed of the environment without a network: random rollouts on HyperGrid 4-D side 20, gfnx and ours."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.peers.libraries import Worker, python_of

#: Batch size -> batches of trajectories per block, which take about equally long for both libraries.
BATCHES = {16: {"gfnx": 300, "ours": 1000}, 1024: {"gfnx": 20, "ours": 200}}


def measure(quick: bool) -> list[dict[str, Any]]:
    """One record per batch size."""
    return [measure_batch(batch, rounds=2 if quick else 7) for batch in BATCHES]


def measure_batch(batch: int, rounds: int) -> dict[str, Any]:
    """Alternate blocks of random rollouts, after one warm-up block."""
    task = {"ndim": 4, "side": 20, "batch": batch, "seed": 0}
    speeds: dict[str, list[float]] = {"gfnx": [], "ours": []}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, f"{name}_rollout.py", task, python_of(name))) for name in speeds
        }
        for turn in tqdm(range(rounds + 1), desc=f"random rollouts, batch {batch}", unit="round"):
            for name, worker in workers.items():
                answer = worker.ask(iterations=BATCHES[batch][name])
                if turn:
                    speeds[name].append(answer["transitions"] / answer["seconds"])
    best = {name: max(found) for name, found in speeds.items()}
    return {
        "batch": batch,
        "transitions_per_second": speeds,
        "best": best,
        "median": {name: median(found) for name, found in speeds.items()},
        "ratio": best["ours"] / best["gfnx"],
    }
