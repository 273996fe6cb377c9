"""Exact total variation after equal numbers of iterations."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from statistics import mean, stdev
from typing import Any

from tqdm import tqdm

from benchmarks.peers.libraries import python_of
from benchmarks.peers.speed import REWARDS, our_task, peer_task, training_worker

GRIDS = [(2, 8), (4, 8)]
ITERATIONS = 5000
#: At a constant learning rate, TV varies by a fifth from one hundred iterations to the next, so the last value alone
#: says little. TV is therefore measured CHECKS times over the last iterations, and the means are compared.
CHECKS, CHECK_EVERY = 10, 100


def measure(quick: bool, num_seeds: int, our_seeds: int | None = None) -> list[dict[str, Any]]:
    """TV after 5,000 iterations of batch 16 with the reward "standard": one record per grid."""
    python_of("torchgfn")
    iterations = ITERATIONS // 10 if quick else ITERATIONS
    counts = {"torchgfn": num_seeds, "ours": our_seeds or num_seeds}
    tasks = [
        (grid, seed, library)
        for grid in GRIDS
        for library, count in counts.items()
        for seed in range(1 if quick else count)
    ]
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with (
        tqdm(total=len(tasks) * iterations, desc="quality at equal budget", unit="it", smoothing=0.05) as progress,
        ThreadPoolExecutor(processors) as pool,  # Processes of one thread. Nothing is timed here.
    ):
        answers = list(pool.map(lambda task: final_answer(*task, iterations, progress), tasks))
    return [quality_record(grid, iterations, tasks, answers) for grid in GRIDS]


def final_answer(grid: tuple[int, int], seed: int, library: str, iterations: int, progress: Any) -> dict[str, Any]:
    """Train one agent. Returns its last evaluation, and ``late_tv``, the mean of the last ten."""
    ndim, side = grid
    if library == "ours":
        task = our_task(ndim, side, 16, seed=seed, reward="standard", engine="torch")
    else:
        task = {**peer_task(ndim, side, 16, seed=seed), "rewards": REWARDS["standard"]}
    every = min(CHECK_EVERY, iterations // CHECKS)
    late = []
    with training_worker(library, task) as worker:
        for done in range(every, iterations + 1, every):
            check = done > iterations - CHECKS * every
            answer = worker.ask(iterations=every, exact=check)
            if check:
                late.append(answer["tv"])
            progress.update(every)
    return {**answer, "late_tv": mean(late)}


def quality_record(
    grid: tuple[int, int], iterations: int, tasks: list[Any], answers: list[dict[str, Any]]
) -> dict[str, Any]:
    """All seeds of one grid, and the comparison of the means of the last ten evaluations."""
    chosen = {
        name: [a for (g, _, library), a in zip(tasks, answers, strict=True) if g == grid and library == name]
        for name in ("ours", "torchgfn")
    }
    check_same_target([answer["true_log_z"] for found in chosen.values() for answer in found])
    late = {name: [answer["late_tv"] for answer in found] for name, found in chosen.items()}
    return {
        "grid": f"{grid[0]}-D side {grid[1]}",
        "iterations": iterations,
        "tv": {name: [answer["tv"] for answer in found] for name, found in chosen.items()},
        "late_tv": late,
        "verdict": verdict(late["ours"], late["torchgfn"]),
    }


def verdict(ours: list[float], theirs: list[float]) -> str:
    """Comparison of mean TVs: "no worse", or how much higher ours is and whether this exceeds two standard errors."""
    difference = mean(ours) - mean(theirs)
    if difference <= 0:
        return "no worse"
    if min(len(ours), len(theirs)) < 2:
        return f"higher by {difference:.4f}, one seed"
    error = (stdev(ours) ** 2 / len(ours) + stdev(theirs) ** 2 / len(theirs)) ** 0.5
    within = "within" if difference <= 2 * error else "beyond"
    return f"higher by {difference:.4f}, {within} 2 standard errors ({2 * error:.4f})"


def check_same_target(log_z: list[float]) -> None:
    """Raise RuntimeError if the libraries did not have the same rewards."""
    if max(log_z) - min(log_z) > 1e-4:
        raise RuntimeError(f"the libraries trained on different rewards: log Z of their targets is {log_z}")
