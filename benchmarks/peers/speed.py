"""Time per iteration on grids, with the same policy in every library, in alternating blocks.

No learning rate is large enough to change the policy, so all blocks of a case have the same work. A "first" policy is
that of random weights, whose trajectories are short. A "trained" one has an exact TV of at most 0.05.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks import report
from benchmarks.matmul_peak import peak
from benchmarks.peers.libraries import Worker, python_of
from benchmarks.peers.trained import trained_policy

HIDDEN = [256, 256]
TB = {"lr": 1e-3, "lr_log_z": 1e-1, "epsilon": 0.1}
#: Rates at which nothing moves, and sampling on-policy.
STILL = {"lr": 1e-9, "lr_log_z": 1e-9, "epsilon": 0.0}
LAMBDA = 0.9

#: Iterations per request. gfnx compiles once per number, which takes a quarter of a minute.
REQUEST = 5

#: Name of a HyperGrid reward -> (R0, R1, R2).
REWARDS = {"easy": [1e-3, 0.5, 2.0], "standard": [0.1, 0.5, 2.0]}
#: Ours with default settings, ours with engine="torch", and the peers.
NAMES = ("ours", "torch", "gfnx", "torchgfn")


@dataclass(frozen=True)
class Case:
    """An agent, a grid, a batch size, whether the policy is trained, and the target speedup over each peer."""

    objective: str
    ndim: int
    side: int
    batch: int
    trained: bool
    aims: dict[str, float]

    @property
    def title(self) -> str:
        policy = "trained" if self.trained else "first"
        return f"{self.objective}, {self.ndim}-D side {self.side}, batch {self.batch}, {policy} policy"


AIMS = {16: {"gfnx": 4.0, "torchgfn": 5.0}, 512: {"gfnx": 7.0, "torchgfn": 3.0}}
CASES = [
    *(
        Case(objective, 4, 20, batch, trained, AIMS[batch] if trained else {})
        for trained in (True, False)
        for batch in AIMS
        for objective in ("tb", "db", "subtb")
    ),
    Case("tb", 2, 8, 32, False, {}),
]


def peer_task(
    ndim: int, side: int, batch: int, seed: int = 0, threads: int | None = 1, objective: str = "tb", **settings: Any
) -> dict[str, Any]:
    """Task for the scripts of gfnx and torchgfn."""
    sizes = {"env": "HyperGrid", "ndim": ndim, "side": side, "batch": batch, "hidden": HIDDEN, "seed": seed}
    rest = {"threads": threads, "rewards": REWARDS["easy"], "max_grad_norm": None, "lamda": LAMBDA}
    return {**sizes, "objective": objective, **rest, **TB, **settings}


def our_task(
    ndim: int,
    side: int,
    batch: int,
    seed: int = 0,
    threads: int | None = 1,
    reward: str = "easy",
    objective: str = "tb",
    weights: str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Task for our script. ``settings`` are additional settings of the agent."""
    # Long trajectories would be explored by default, and the others cannot.
    common = report.applicable(objective, {**TB, "lamda": LAMBDA, "delay_stop": 0.0, **settings})
    agent = {"batch_size": batch, "hidden": HIDDEN, **common}
    sizes = {"ndim": ndim, "side": side, "reward": reward, "seed": seed, "threads": threads}
    return {**sizes, "objective": objective, "agent": agent, "weights": weights}


def training_worker(library: str, task: dict[str, Any]) -> Worker:
    """Process in which a library trains."""
    return Worker(library, f"{library}_train.py", task, python_of(library))


def start(case: Case, name: str, threads: int) -> Worker:
    """Process of one contestant, with its policy."""
    weights = str(trained_policy(case.ndim, case.side, HIDDEN)) if case.trained else None
    common = {"threads": threads, "objective": case.objective, "weights": weights, **STILL}
    if name in ("gfnx", "torchgfn"):
        return training_worker(name, peer_task(case.ndim, case.side, case.batch, **common))
    engine = {"engine": "torch"} if name == "torch" else {}
    return training_worker("ours", our_task(case.ndim, case.side, case.batch, **common, **engine))


def measure_case(case: Case, threads: Sequence[int], rounds: int, seconds: float) -> dict[str, Any]:
    """Alternate blocks of about ``seconds`` of the contestants, each with every number of ``threads`` (cores)."""
    contestants = [(name, n) for name in NAMES for n in threads]
    peaks: list[float] = []
    with ExitStack() as stack:
        workers = [stack.enter_context(start(case, name, n)) for name, n in contestants]
        blocks = alternate(
            workers, rounds, seconds, case.title, after_round=lambda: peaks.append(peak(threads=1, blocks=1))
        )
    found: dict[str, dict[str, Any]] = {}
    for (name, n), answers in zip(contestants, blocks, strict=True):
        times = {**summary(answers, case.batch), "threads": n}
        if name not in found or times["best_ms"] < found[name]["best_ms"]:
            found[name] = times
    return {
        "times": found,
        "threads": list(threads),
        "ratios": {
            name: {
                "best": found[name]["best_ms"] / found["ours"]["best_ms"],
                "median": found[name]["median_ms"] / found["ours"]["median_ms"],
                "aim": case.aims.get(name),
            }
            for name in NAMES[1:]
        },
        "matmul_peak_gflops": max(peaks) / 1e9,
        "fraction_of_peak": {
            name: found[name]["best_gflops"] / (max(peaks) / 1e9) for name in found if "best_gflops" in found[name]
        },
    }


def alternate(
    workers: list[Worker],
    rounds: int,
    seconds: float,
    title: str,
    after_round: Callable[[], object] = lambda: None,
) -> list[list[dict[str, Any]]]:
    """Answers of each worker to ``rounds`` requests in turn, each of about ``seconds``, after warm-up."""
    blocks: list[list[dict[str, Any]]] = [[] for _ in workers]
    with tqdm(total=rounds * len(workers), desc=title, unit="block") as progress:
        requests = []
        for worker in workers:
            worker.ask(iterations=REQUEST, flops=True)  # Compiles.
            requests.append(max(1, round(seconds / worker.ask(iterations=REQUEST)["seconds"])))
        for turn in range(rounds):
            for offset in range(len(workers)):
                # Every worker takes every place in the round, so that none always runs after the same other one.
                i = (turn + offset) % len(workers)
                progress.set_postfix_str(workers[i].name)
                blocks[i].append(total([workers[i].ask(iterations=REQUEST, flops=True) for _ in range(requests[i])]))
                progress.update()
            after_round()
    return blocks


def total(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The answers of one block, merged."""
    counted = ("seconds", "iterations", "transitions")
    return {**answers[-1], **{name: sum(answer[name] for answer in answers) for name in counted}}


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
