"""Time per iteration of several objectives on HyperGrid 4-D side 20, in alternating blocks."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.libraries import Worker, python_of
from benchmarks.peers.speed import TB, alternate, our_task, peer_task, summary, training_worker

#: Settings of each objective in addition to the common ones. gfnx has no baseline of flow matching.
SETTINGS: dict[str, dict[str, Any]] = {"tb": {}, "db": {}, "subtb": {"lamda": 0.9}, "fm": {}}
#: Objectives that can be compiled.
COMPILED = ("tb", "db", "subtb")
#: (library, objective, threads): ours on one thread and on two, of which the faster counts; gfnx with its default.
OURS: list[tuple[str, str, int | None]] = [
    *(("ours", name, threads) for name in SETTINGS for threads in (1, 2)),
    *(("compiled", name, threads) for name in COMPILED for threads in (1, 2)),
]
BOTH: list[tuple[str, str, int | None]] = [("gfnx", name, None) for name in ("tb", "db", "subtb")] + OURS

#: Target speedups over gfnx, and target ratio of our "subtb" iteration to our "tb" iteration.
AIMS = {"db": 5, "subtb": 5}
AIM_OVER_TB = 1.5
BEST = "compiled"


@dataclass(frozen=True)
class Case:
    """A batch size, a learning rate, the contestants, and iterations per block."""

    batch: int
    lr: float
    contestants: list[tuple[str, str, int | None]]
    iterations: int

    @property
    def title(self) -> str:
        return f"4-D side 20, batch {self.batch}, {'training' if self.lr == TB['lr'] else 'first policies'}"


#: During training, the objectives soon have trajectories of different lengths. A negligible learning rate keeps the
#: initial policies, so that all objectives have similar trajectories.
CASES = [
    Case(16, TB["lr"], BOTH, 50),
    Case(16, 1e-9, BOTH, 50),
    Case(512, TB["lr"], OURS, 15),
    Case(512, 1e-9, OURS, 15),
]


def measure(quick: bool) -> list[dict[str, Any]]:
    """One record per case."""
    python_of("gfnx")
    rounds = 2 if quick else 6
    return [measure_case(case, rounds, max(1, case.iterations // (5 if quick else 1))) for case in CASES]


def measure_case(case: Case, rounds: int, iterations: int) -> dict[str, Any]:
    """Alternate blocks of the objectives of both libraries."""
    with ExitStack() as stack:
        workers = [stack.enter_context(start(case, *contestant)) for contestant in case.contestants]
        blocks = alternate(workers, rounds, iterations, f"objectives: {case.title}")
    times: dict[str, dict[str, Any]] = {"ours": {}, "compiled": {}, "gfnx": {}}
    for (library, name, threads), answers in zip(case.contestants, blocks, strict=True):
        found, best = {**summary(answers, case.batch), "threads": threads}, times[library].get(name)
        if best is None or found["best_ms"] < best["best_ms"]:
            times[library][name] = found
    gfnx = times["gfnx"]
    return {
        "case": case.title,
        "iterations": iterations,
        "times": times,
        # The targets apply to our fastest engine.
        "ratios": {
            library: {
                name: {**ratio(gfnx[name], times[library][name]), "aim": AIMS.get(name) if library == BEST else None}
                for name in gfnx
            }
            for library in ("ours", BEST)
        },
        "subtb_over_tb": {
            library: {**ratio(times[library]["subtb"], times[library]["tb"]), "aim": AIM_OVER_TB}
            for library in ("ours", BEST)
        },
    }


def start(case: Case, library: str, objective: str, threads: int | None) -> Worker:
    """Process of one contestant. Sampling is on-policy, as in gfnx's baselines of DB and SubTB."""
    settings: dict[str, Any] = {"objective": objective, "lr": case.lr, "epsilon": 0.0, **SETTINGS[objective]}
    if library == "gfnx":
        return training_worker(library, peer_task(4, 20, case.batch, **settings))
    task = our_task(
        4, 20, case.batch, threads=threads or 1, engine="numba" if library == "compiled" else "torch", **settings
    )
    return training_worker("ours", task)


def ratio(a: dict[str, Any], b: dict[str, Any]) -> dict[str, float]:
    """Ratio of the time of ``a`` to that of ``b``, by best and by median blocks."""
    return {"best": a["best_ms"] / b["best_ms"], "median": a["median_ms"] / b["median_ms"]}
