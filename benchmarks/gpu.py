"""Iterations with policies on a GPU, compared with gfnx on the same card and with our default on the CPU.

Needs: an NVIDIA GPU; torch with CUDA in this environment (a build from download.pytorch.org/whl/cu128, say); and jax
with CUDA in that of gfnx: ``.peers/gfnx/bin/python -m pip install "jax[cuda12]==0.7.1"`` after ``python -m
benchmarks.peers --only speed --quick`` has made it. If one of them is missing, the command names it and ends.

    python -m benchmarks.gpu            about ten minutes
    python -m benchmarks.gpu --quick    a short run; nothing is written

Results are merged into benchmarks/results/gpu.json, and the section of docs/results.md is written from it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch

from benchmarks import report
from benchmarks.peers import speed
from benchmarks.peers.libraries import python_of
from benchmarks.peers.trained import trained_policy

PATH = report.RESULTS / "gpu.json"
BATCHES = (16, 512, 4096)
CASES = [
    replace(case, batch=batch, aims={})
    for case in speed.CASES
    if case.trained and case.batch == 16
    for batch in BATCHES
]
#: Contestants: ours on the card and by default on the CPU, and gfnx on the card.
NAMES = ("ours, GPU", "ours, CPU", "gfnx, GPU")


def missing() -> list[str]:
    """The missing requirements, one line each."""
    lacking = []
    if not torch.cuda.is_available():
        lacking.append(f"a GPU that torch can use: torch {torch.__version__} finds none")
    command = [python_of("gfnx"), "-c", "import jax; print(jax.default_backend())"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.stdout.strip() != "gpu":
        reason = (found.stdout + found.stderr).strip().split("\n")[-1]
        lacking.append(f'jax with CUDA in .peers/gfnx (pip install "jax[cuda12]==0.7.1"): its backend is {reason!r}')
    return lacking


def start(case: speed.Case, name: str) -> Any:
    """Process of one contestant, on all cores."""
    weights = str(trained_policy(case.ndim, case.side, speed.HIDDEN))
    common = {"objective": case.objective, "weights": weights, "threads": None, **speed.STILL}
    if name == "gfnx, GPU":
        return speed.training_worker("gfnx", speed.peer_task(case.ndim, case.side, case.batch, **common))
    device = {"device": "cuda"} if name == "ours, GPU" else {}
    return speed.training_worker("ours", speed.our_task(case.ndim, case.side, case.batch, **common, **device))


def measure(case: speed.Case, rounds: int, seconds: float) -> dict[str, Any]:
    """Alternating blocks of the contestants."""
    with ExitStack() as stack:
        workers = [stack.enter_context(start(case, name)) for name in NAMES]
        blocks = speed.alternate(workers, rounds, seconds, case.title)
    return {name: speed.summary(answers, case.batch) for name, answers in zip(NAMES, blocks, strict=True)}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for title, found in results["cases"].items():
        times = [f"{found[name]['best_ms']:.2f} ({found[name]['median_ms']:.2f})" for name in NAMES]
        over = [f"{found['gfnx, GPU']['best_ms'] / found[name]['best_ms']:.1f}x" for name in NAMES[:2]]
        rows.append([title, *times, *over])
    header = ["iteration, ms, best (median)", *NAMES, "gfnx over ours, GPU", "gfnx over ours, CPU"]
    return "\n".join(
        [
            "## Policies on a GPU",
            "",
            "`python -m benchmarks.gpu`: as in the comparison with peer libraries, with the trained policy.",
            "",
            report.table(header, rows),
            "",
            f"* Measured on {results['machine']}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks; nothing is written")
    options = parser.parse_args()
    if lacking := missing():
        sys.exit("\n".join(["error: benchmarks.gpu needs", *(f"  {line}" for line in lacking)]))
    results = report.load(PATH) or {"cases": {}}
    results["machine"] = f"{torch.cuda.get_device_name()}, {report.machine()}"
    for case in CASES:
        results["cases"][case.title] = measure(case, *((2, 0.2) if options.quick else (5, 1.0)))
        if not options.quick:
            report.save(PATH, results)
    if not options.quick:
        report.write_section("gpu", section(results))
    print(section(results))


if __name__ == "__main__":
    main()
