"""Bayesian networks, phylogenetic trees and Ising models compared with gfnx: training and random rollouts.

Both libraries get the same instances, batches and two hidden layers of 256: MDB on networks of 5 nodes (BGe, uniform
P_B, target network), FLDB on the trees of DS1 (27 taxa, uniform P_B), TB on a 10 x 10 torus (learned P_B). Blocks of
the two libraries alternate. gfnx runs with its default threads in the virtual environment that ``python -m
benchmarks.peers`` makes. Our library runs on one thread and on two; the table shows the better.

    python -m benchmarks.structures                   all cases (minutes)
    python -m benchmarks.structures --only BayesNet   one case
    python -m benchmarks.structures --quick           a short run; nothing is written

Results are merged into benchmarks/results/structures.json, and the section of docs/results.md is written from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

import gfn_envs
from benchmarks import report
from benchmarks.peers.libraries import Worker, python_of
from benchmarks.peers.speed import summary

RESULTS = report.RESULTS / "structures.json"
HIDDEN = [256, 256]
LEARNING = {"lr": 1e-4, "lr_log_z": 0.1}


@dataclass(frozen=True)
class Case:
    """An environment, an agent, and the number of iterations (or random batches) per block."""

    env: str
    what: str
    agent: str
    batch: int
    iterations: int
    settings: dict[str, Any]
    threads: tuple[int, ...] = (1, 2)
    """Thread settings of our library."""


CASES = {
    "BayesNet": Case(
        "BayesNet", "5 nodes, BGe", "mdb", 128, 20, {"backward": "uniform", "target_every": 1000, "loss": "huber"}
    ),
    "PhyloTree": Case("PhyloTree", "DS1, 27 taxa", "fldb", 32, 6, {"backward": "uniform"}),
    "Ising": Case("Ising", "10 x 10", "tb", 16, 8, {}),
    "Ising-256": Case("Ising", "10 x 10", "tb", 256, 1, {}),
}


def instance(env: str) -> dict[str, Any]:
    """Instance for both libraries: arguments of our environment."""
    if env == "BayesNet":
        data = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=5).data  # type: ignore[attr-defined]
        return {"data": data.tolist()}
    if env == "PhyloTree":
        dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment="DS1")
        return {
            "sequences": dag.sequences,  # type: ignore[attr-defined]
            "constant": dag.constant,  # type: ignore[attr-defined]
            "temperature": dag.temperature,  # type: ignore[attr-defined]
        }
    return {"side": 10, "sigma": 0.2}


def task(library: str, threads: int | None, case: Case, folder: Path) -> dict[str, Any]:
    """Task of a worker."""
    common = {"env": case.env, "batch": case.batch, "seed": 0}
    given, path = instance(case.env), folder / f"{case.env}-{library}.json"
    if library == "gfnx":
        path.write_text(json.dumps(given))
        return {**common, "instance": str(path), "hidden": HIDDEN, **LEARNING}
    ours = {{"sequences": "alignment"}.get(name, name): value for name, value in given.items()}
    path.write_text(json.dumps(ours))
    learning = report.applicable(case.agent, LEARNING)
    settings = {"batch_size": case.batch, "hidden": HIDDEN, **learning, **case.settings}
    return {**common, "instance": str(path), "threads": threads, "agent": case.agent, "settings": settings}


def measure(case: Case, rounds: int, iterations: int) -> dict[str, Any]:
    """Alternate blocks of training and of random rollouts, after one warm-up round."""
    contestants = [("gfnx", None), *(("ours", threads) for threads in case.threads)]
    training: list[list[dict[str, Any]]] = [[] for _ in contestants]
    random: list[list[dict[str, Any]]] = [[] for _ in contestants]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        workers = [
            stack.enter_context(
                Worker(
                    library,
                    f"{library}_structures.py",
                    task(library, threads, case, Path(folder)),
                    python_of(library),
                )
            )
            for library, threads in contestants
        ]
        for turn in tqdm(range(rounds + 1), desc=f"{case.env}, batch {case.batch}", unit="round"):
            for offset in range(len(workers)):
                # Every worker takes every place in the round, so that none always runs after the same other one.
                i = (turn + offset) % len(workers)
                for answers, extra in ((training, {}), (random, {"random": True})):
                    answer = workers[i].ask(iterations=iterations, **extra)
                    if turn:
                        answers[i].append(answer)
    found = []
    for (library, threads), trained, rolled in zip(contestants, training, random, strict=True):
        rates = [answer["transitions"] / answer["seconds"] for answer in rolled]
        found.append(
            {
                "library": library,
                "threads": threads,
                **summary(trained, case.batch),
                "cpu_ms": min(1e3 * answer["cpu_seconds"] / answer["iterations"] for answer in trained),
                "best_rate": max(rates),
                "median_rate": median(rates),
                "mean_log_reward": sum(answer["mean_log_reward"] for answer in rolled) / len(rolled),
            }
        )
    return {"what": case.what, "env": case.env, "agent": case.agent, "batch": case.batch, "contestants": found}


def best(case: dict[str, Any], library: str) -> dict[str, float]:
    """Fastest iteration and fastest rollouts of a library over its thread settings."""
    found = [c for c in case["contestants"] if c["library"] == library]
    training, random = min(found, key=lambda c: c["best_ms"]), max(found, key=lambda c: c["best_rate"])
    return {
        "best_ms": training["best_ms"],
        "median_ms": training["median_ms"],
        "cpu_ms": training["cpu_ms"],
        "best_rate": random["best_rate"],
        "median_rate": random["median_rate"],
    }


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for case in (results[name] for name in CASES if name in results):
        ours, gfnx = best(case, "ours"), best(case, "gfnx")
        where = f"{case['env']} ({case['what']}), batch {case['batch']}"
        rows.append(
            [
                where,
                f"{case['agent'].upper()} iteration, ms",
                *(f"{c['best_ms']:.1f} ({c['median_ms']:.1f})" for c in (ours, gfnx)),
                f"{gfnx['best_ms'] / ours['best_ms']:.1f}x ({gfnx['median_ms'] / ours['median_ms']:.1f}x)",
            ]
        )
        rows.append(
            [
                where,
                "CPU time of the iteration, ms",
                *(f"{c['cpu_ms']:.1f}" for c in (ours, gfnx)),
                f"{gfnx['cpu_ms'] / ours['cpu_ms']:.1f}x",
            ]
        )
        rows.append(
            [
                where,
                "random transitions, thousands per second",
                *(f"{c['best_rate'] / 1e3:,.0f} ({c['median_rate'] / 1e3:,.0f})" for c in (ours, gfnx)),
                f"{ours['best_rate'] / gfnx['best_rate']:.1f}x ({ours['median_rate'] / gfnx['median_rate']:.1f}x)",
            ]
        )
    machines = dict.fromkeys(case["machine"] for case in results.values())
    return "\n".join(
        [
            "## Structures compared with gfnx",
            "",
            "`python -m benchmarks.structures`: best (median) of alternating blocks, with two hidden layers of 256 in "
            "both libraries.",
            "",
            report.table(["environment", "measure", "ours", "gfnx", "speedup of ours"], rows),
            "",
            *(f"* {note}" for note in NOTES),
            *(f"* Measured on {machine}." for machine in machines),
        ]
    )


NOTES = [
    "Each library has its best thread setting; gfnx uses both cores. CPU time is the sum over all threads, including "
    "those that wait.",
    "Most of our iteration is matrix products, which both libraries compute in the same way, so the two come close "
    "with large batches.",
    "For MDB, gfnx's network evaluates both ends of every padded transition, as in its baseline. For FLDB it evaluates "
    "each state once, unlike its baseline. The baseline also encodes the sets of nucleotides at each of the 1,949 "
    "sites with a transformer; here both networks see one number per pair of taxa.",
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks; nothing is written")
    parser.add_argument("--only", default=",".join(CASES), metavar="CASES", help=f"cases, of {', '.join(CASES)}")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    if unknown := [name for name in chosen if name not in CASES]:
        parser.error(f"--only: no case {', '.join(unknown)}; allowed: {', '.join(CASES)}")
    results = {} if options.quick else report.load(options.results)
    for name in chosen:
        case = CASES[name]
        rounds, iterations = (2, max(1, case.iterations // 4)) if options.quick else (6, case.iterations)
        results[name] = {**measure(case, rounds, iterations), "machine": report.machine()}
        for c in results[name]["contestants"]:
            print(
                f"{name}: {c['library']} {c['threads'] or ''}: {c['best_ms']:.2f} ms ({c['median_ms']:.2f}), "
                f"{c['best_rate']:,.0f} transitions/s ({c['median_rate']:,.0f}), mean length {c['mean_length']:.1f}, "
                f"mean log R of random objects {c['mean_log_reward']:.2f}"
            )
        if not options.quick:
            report.save(options.results, results)
            report.write_section("structures", section(results), options.page)
    print(section(results))


if __name__ == "__main__":
    main()
