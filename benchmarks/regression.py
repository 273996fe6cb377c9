"""Compare the speed of this code with the last committed figures: two minutes, one thread (``make bench``).

The measure is the CPU time of typical work, divided by that of a fixed reference that does not use this library. Work
and reference alternate, so the speed of the machine cancels. Columns show milliseconds, and their ratio to those in
benchmarks/results/regression.json. The command fails if any work takes more than 1.3 times as long.

    python -m benchmarks.regression
    python -m benchmarks.regression --only transformer
    python -m benchmarks.regression --save      store these figures for later comparisons, to be committed
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks import report
from benchmarks.throughput import ITERATIONS, evaluating, iterating, stepping

PATH = report.RESULTS / "regression.json"
#: Ratio above which the command fails. Repeated runs of the same code differ by up to a tenth.
CAP = 1.3
BLOCKS, SECONDS = 4, 0.7

GRID = {"ndim": 4, "side": 20, "reward": "easy"}
#: With delay_stop=1, a first policy's trajectories are about as long as those of a trained one.
LONG = {"delay_stop": 1.0, "lr": 1e-6}

Run = Callable[[float], float]


def transitions(env: str, arguments: dict[str, Any]) -> Run:
    """CPU milliseconds per 10,000 transitions of 256 environments."""
    rate = stepping(env, arguments)
    return lambda seconds: 1e7 / rate(seconds)


#: Name -> function that prepares the work and returns a function from seconds to CPU milliseconds.
CASES: dict[str, Callable[[], Run]] = {
    "tb, 4-D grid, batch 16": lambda: iterating("HyperGrid", GRID, "tb", LONG),
    "tb, 4-D grid, batch 512": lambda: iterating("HyperGrid", GRID, "tb", {**LONG, "batch_size": 512}),
    "subtb, 4-D grid, batch 16": lambda: iterating("HyperGrid", GRID, "subtb", LONG),
    "tb, 4-D grid, batch 16, engine torch": lambda: iterating("HyperGrid", GRID, "tb", {**LONG, "engine": "torch"}),
    "fm, 4-D grid, batch 16": lambda: iterating("HyperGrid", GRID, "fm", LONG),
    "exact evaluation, 4-D grid": lambda: evaluating("HyperGrid", GRID, "tb", {}),
    "tb, TFBind8": lambda: iterating("TFBind8", {}, "tb", {}),
    **{
        name: lambda name=name: iterating(*ITERATIONS[name])  # type: ignore[misc]
        for name in (
            "bits n=120 k=8, mlp",
            "bits n=120 k=8, transformer",
            "BayesNet, 5 nodes, MDB, batch 128",
            "PhyloTree, DS1, FLDB, batch 32",
            "Ising 10 x 10, batch 16",
            "FragmentMolecule, graph",
        )
    },
    "make_vec HyperGrid, 10,000 transitions": lambda: transitions("HyperGrid", GRID),
    "make_vec BayesNet, 10,000 transitions": lambda: transitions("BayesNet", {}),
    "make_vec FragmentMolecule, 10,000 transitions": lambda: transitions("FragmentMolecule", {"reward": "one"}),
}


def reference(seconds: float = 0.1) -> float:
    """CPU milliseconds of fixed work: products of small matrices, sorting, and a loop in Python."""
    rng = np.random.default_rng(0)
    a, b, values = torch.rand(256, 256), torch.rand(256, 256), rng.random(20_000)
    count, start = 0, time.process_time()
    while (elapsed := time.process_time() - start) < seconds:
        for _ in range(4):
            torch.mm(a, b)
        np.sort(values)
        sum(i * i for i in range(10_000))
        count += 1
    return 1e3 * elapsed / count


def measure(prepare: Callable[[], Run]) -> dict[str, float]:
    """Median CPU milliseconds of the work and, between its blocks, of the reference."""
    run = prepare()
    run(0.1)
    pairs = [(run(SECONDS), reference()) for _ in range(BLOCKS)]
    return {"ms": median(p[0] for p in pairs), "reference_ms": median(p[1] for p in pairs)}


def ratio(now: dict[str, float], before: dict[str, float]) -> float:
    """Ratio of the times of the work, in units of the reference."""
    return now["ms"] / now["reference_ms"] / (before["ms"] / before["reference_ms"])


def line(name: str, now: dict[str, float], before: dict[str, float] | None) -> str:
    """A line of the output."""
    if before is None:
        return f"{name:45}  {now['ms']:9.2f} ms  new"
    change = ratio(now, before)
    return f"{name:45}  {now['ms']:9.2f} ms  {before['ms']:9.2f} ms  {change:5.2f}x{'  slower' * (change > CAP)}"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regression",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="work whose name contains this")
    parser.add_argument("--save", action="store_true", help="store these figures for later comparisons")
    options = parser.parse_args()
    chosen = {name: prepare for name, prepare in CASES.items() if options.only in name}
    if not chosen:
        parser.error(f"--only: no name contains {options.only!r}: {'; '.join(CASES)}")
    torch.set_num_threads(1)
    saved = report.load(PATH)
    before: dict[str, Any] = saved.get("cases", {})
    found: dict[str, dict[str, float]] = {}
    print(f"{'':45}  {'now':>12}  {'then':>12}  by the reference")
    for name, prepare in chosen.items():
        try:
            found[name] = measure(prepare)
        except ImportError as error:
            print(f"{name:45}  is skipped: {error}")
            continue
        print(line(name, found[name], before.get(name)), flush=True)
    if options.save:
        report.save(PATH, {"machine": report.machine(), "cases": {**before, **found}})
    known = [ratio(now, before[name]) for name, now in found.items() if name in before]
    if known:
        print(f"median {median(known):.2f}x of the figures of {saved['machine']}")
    return int(not options.save and any(value > CAP for value in known))


if __name__ == "__main__":
    sys.exit(main())
