"""Exact total variation after equal numbers of iterations, and time to reach a given total variation."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
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

TARGET_TV = 0.05
CHECK_SECONDS = 20.0
#: Defaults of torchgfn's tutorials/examples/train_hypergrid_simple.py: on-policy, batches of 16.
TORCHGFN_DEFAULTS = {"batch": 16, "epsilon": 0.0, "max_grad_norm": 1.0}
#: Our settings for that task: learning rate from 2e-3 to 2e-4 over 2,500 iterations. torchgfn also runs with them.
OUR_BATCH, OUR_LR = 128, [2e-3, 2e-4, 2500]


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
        task = our_task(ndim, side, 16, seed=seed, reward="standard")
    else:
        task = {**peer_task(ndim, side, 16, seed=seed, threads=1), "rewards": REWARDS["standard"]}
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


def measure_time(quick: bool, time_limit: float) -> dict[str, Any]:
    """Seconds of training until exact TV is 0.05 on 4-D side 20 (easy reward), in turns of 20 s.

    The time includes only training, not the evaluations between turns.
    """
    limit = min(time_limit, 40.0) if quick else time_limit
    same = peer_task(4, 20, OUR_BATCH, threads=1)
    tasks = {
        "ours": our_task(4, 20, OUR_BATCH, lr=OUR_LR),
        "torchgfn": {**same, **TORCHGFN_DEFAULTS},
        "torchgfn, our settings": {**same, "lr": OUR_LR},
    }
    curves: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(training_worker(name.split(",")[0], task)) for name, task in tasks.items()}
        progress = stack.enter_context(tqdm(total=round(len(tasks) * limit), desc=f"time to TV {TARGET_TV}", unit="s"))
        while going := [name for name in workers if not finished(curves[name], limit)]:
            for name in going:
                answer = workers[name].ask(seconds=min(CHECK_SECONDS, limit), exact=True)
                before = curves[name][-1] if curves[name] else {"seconds": 0.0, "iterations": 0}
                curves[name].append(
                    {
                        "seconds": before["seconds"] + answer["seconds"],
                        "iterations": before["iterations"] + answer["iterations"],
                        "tv": answer["tv"],
                        "true_log_z": answer["true_log_z"],
                    }
                )
                progress.update(round(answer["seconds"]))
                progress.set_postfix({n: f"{c[-1]['tv']:.3f}" for n, c in curves.items() if c})
    check_same_target([curve[-1]["true_log_z"] for curve in curves.values()])
    return {
        "target_tv": TARGET_TV,
        "time_limit": limit,
        "settings": tasks,
        "curves": curves,
        "reached": {name: curve[-1]["tv"] <= TARGET_TV for name, curve in curves.items()},
        "seconds": {name: curve[-1]["seconds"] for name, curve in curves.items()},
    }


def finished(curve: list[dict[str, Any]], limit: float) -> bool:
    """True if the target or the time limit has been reached."""
    return bool(curve) and (curve[-1]["tv"] <= TARGET_TV or curve[-1]["seconds"] >= limit)
