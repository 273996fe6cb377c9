"""Time per trajectory-balance iteration with the same hyperparameters for all libraries, in alternating blocks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks import report
from benchmarks.matmul_peak import peak
from benchmarks.peers.libraries import Worker, python_of

HIDDEN = [256, 256]
TB = {"lr": 1e-3, "lr_log_z": 1e-1, "epsilon": 0.1}

#: Name of a HyperGrid reward -> (R0, R1, R2).
REWARDS = {"easy": [1e-3, 0.5, 2.0], "standard": [0.1, 0.5, 2.0]}


@dataclass(frozen=True)
class Case:
    """A grid, a batch size, iterations per block, and the target speedup over each peer."""

    ndim: int
    side: int
    batch: int
    iterations: int
    aims: dict[str, float]

    @property
    def title(self) -> str:
        return f"{self.ndim}-D side {self.side}, batch {self.batch}"


CASES = [
    Case(4, 20, 16, 100, {"gfnx": 5, "torchgfn": 5}),
    Case(4, 20, 512, 10, {"gfnx": 10, "torchgfn": 3}),
    Case(2, 8, 32, 200, {"gfnx": 1.5, "torchgfn": 4}),
]

#: (library, threads): torch with one thread and with two, gfnx with its default. The best of each library counts.
CONTESTANTS: list[tuple[str, int | None]] = [
    ("gfnx", None),
    ("torchgfn", 1),
    ("torchgfn", 2),
    ("ours", 1),
    ("ours", 2),
]


def peer_task(
    ndim: int, side: int, batch: int, seed: int = 0, threads: int | None = None, objective: str = "tb", **settings: Any
) -> dict[str, Any]:
    """Task for the scripts of gfnx and torchgfn (which supports only "tb")."""
    sizes = {"env": "HyperGrid", "ndim": ndim, "side": side, "batch": batch, "hidden": HIDDEN, "seed": seed}
    task = {**sizes, "objective": objective, **TB, **settings}
    return task if threads is None else {**task, "threads": threads, "rewards": REWARDS["easy"], "max_grad_norm": None}


def our_task(
    ndim: int,
    side: int,
    batch: int,
    seed: int = 0,
    threads: int = 1,
    reward: str = "easy",
    objective: str = "tb",
    **settings: Any,
) -> dict[str, Any]:
    """Task for our script. ``settings`` are additional settings of the agent."""
    # The matrix products that torch counts, and what the page calls "ours", are those of the torch engine.
    common = report.applicable(objective, {"engine": "torch", **TB})
    agent = {"batch_size": batch, "hidden": HIDDEN, **common, **settings}
    sizes = {"ndim": ndim, "side": side, "reward": reward, "seed": seed, "threads": threads}
    return {**sizes, "objective": objective, "agent": agent}


def measure(quick: bool) -> list[dict[str, Any]]:
    """One record per case: every block of every contestant, and a summary of each library."""
    for library in ("gfnx", "torchgfn"):
        python_of(library)
    rounds = 2 if quick else 6
    return [measure_case(case, rounds, max(1, case.iterations // (5 if quick else 1))) for case in CASES]


def measure_case(case: Case, rounds: int, iterations: int) -> dict[str, Any]:
    """Alternate blocks of ``iterations`` of the contestants, after one warm-up block."""
    peaks: list[float] = []
    with ExitStack() as stack:
        workers = [stack.enter_context(start(case, library, threads)) for library, threads in CONTESTANTS]
        blocks = alternate(
            workers,
            rounds,
            iterations,
            case.title,
            flops=True,
            after_round=lambda: peaks.append(peak(threads=1, blocks=1)),
        )
    contestants = [
        {"library": library, "threads": threads, **summary(answers, case.batch)}
        for (library, threads), answers in zip(CONTESTANTS, blocks, strict=True)
    ]
    best = {name: min((c for c in contestants if c["library"] == name), key=lambda c: c["best_ms"]) for name in NAMES}
    ours = best["ours"]
    return {
        "case": case.title,
        "iterations": iterations,
        "contestants": contestants,
        "best": best,
        "ratios": {
            name: {
                "best": best[name]["best_ms"] / ours["best_ms"],
                "median": best[name]["median_ms"] / ours["median_ms"],
                "aim": case.aims[name],
            }
            for name in case.aims
        },
        "matmul_peak_gflops": max(peaks) / 1e9,
        "fraction_of_peak": ours["best_gflops"] / (max(peaks) / 1e9),
    }


def alternate(
    workers: list[Worker],
    rounds: int,
    iterations: int,
    title: str,
    flops: bool = False,
    after_round: Callable[[], object] = lambda: None,
) -> list[list[dict[str, Any]]]:
    """Answers of each worker to ``rounds`` requests in turn, after one warm-up request."""
    blocks: list[list[dict[str, Any]]] = [[] for _ in workers]
    with tqdm(total=(rounds + 1) * len(workers), desc=title, unit="block") as progress:
        for turn in range(rounds + 1):
            for offset in range(len(workers)):
                # Every worker takes every place in the round, so that none always runs after the same other one.
                i = (turn + offset) % len(workers)
                progress.set_postfix_str(workers[i].name)
                answer = workers[i].ask(iterations=iterations, flops=flops)
                if turn:
                    blocks[i].append(answer)
                progress.update()
            if turn:
                after_round()
    return blocks


NAMES = ("ours", "gfnx", "torchgfn")


def start(case: Case, library: str, threads: int | None) -> Worker:
    """Process of one contestant."""
    if library == "ours":
        task = our_task(case.ndim, case.side, case.batch, threads=threads or 1)
    else:
        task = peer_task(case.ndim, case.side, case.batch, threads=threads)
    return training_worker(library, task)


def training_worker(library: str, task: dict[str, Any]) -> Worker:
    """Process in which a library trains."""
    return Worker(library, f"{library}_train.py", task, python_of(library))


def summary(blocks: list[dict[str, Any]], batch: int) -> dict[str, Any]:
    """Best and median milliseconds per iteration, mean trajectory length, and for ours the speed of matrix products."""
    milliseconds = [1e3 * block["seconds"] / block["iterations"] for block in blocks]
    lengths = [block["transitions"] / block["iterations"] / batch for block in blocks]
    result = {
        "best_ms": min(milliseconds),
        "median_ms": median(milliseconds),
        "ms": milliseconds,
        "mean_length": sum(lengths) / len(lengths),
        "lengths": lengths,
    }
    if "flops_per_transition" in blocks[0]:
        speeds = [block["flops_per_transition"] * block["transitions"] / block["seconds"] for block in blocks]
        result["best_gflops"] = max(speeds) / 1e9
    return result
