"""Damage, interruptions, full disks, races, and wrong rewards, arguments and data: python -m benchmarks.robustness

Writes benchmarks/results/robustness.json and the table of docs/robustness.md. A fault is an outcome that must not
occur: wrong results without an error, a traceback, a message of several lines, a hang, a lost checkpoint. Faults are
printed with everything needed to reproduce them. The exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from benchmarks import report
from benchmarks.robustness import (
    arguments,
    bits,
    data_files,
    full_disk,
    hostile,
    interruptions,
    races,
    rewards,
    small_runs,
)
from benchmarks.robustness.outcome import Outcomes
from benchmarks.robustness.page import write_page


class Check(NamedTuple):
    """A check: its line in the table, its trials, their number, and their number with --quick."""

    title: str
    trials: Callable[[int, Path], Outcomes]
    full: int
    quick: int


CHECKS = {
    "bits": Check("one bit of a file of a run is flipped", bits.trials, 1000, 24),
    "interruptions": Check("kill -9, SIGTERM or Ctrl-C at a random moment, then resume", interruptions.trials, 100, 3),
    "full-disk": Check("the disk is full from the k-th operation on, then resume", full_disk.trials, 1000, 4),
    "races": Check("two processes begin to train in one directory", races.trials, 20, 2),
    "rewards": Check("a reward raises or is not a number > 0", rewards.trials, 500, 25),
    "arguments": Check("random arguments of every environment", arguments.trials, 2000, 48),
    "data-files": Check("data files with random changes", data_files.trials, 1000, 56),
    "hostile": Check("hostile files, links, leftovers of killed processes", hostile.trials, 10, 10),
}
FORKING = ("interruptions", "full-disk", "races")


def run(name: str, check: Check, count: int) -> dict[str, Any]:
    """The outcomes of a check, as JSON."""
    kinds: Counter[str] = Counter()
    faults, start = [], time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        for outcome in tqdm(check.trials(count, Path(work)), desc=name, unit="trial", total=count):
            kinds[outcome.kind] += 1
            if outcome.fault:
                faults.append(outcome.fault)
                tqdm.write(f"{name}: {outcome.kind}: {outcome.fault[:2000]}")
    return {
        "title": check.title,
        "trials": sum(kinds.values()),
        "kinds": dict(kinds),
        "faults": len(faults),
        "examples": faults[:10],
        "seconds": round(time.monotonic() - start, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few trials of each check; writes nothing")
    parser.add_argument("--only", action="append", choices=CHECKS, metavar="NAME", help=f"one of {', '.join(CHECKS)}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.only or list(CHECKS)
    if set(names) & set(FORKING):
        with tempfile.TemporaryDirectory() as folder:
            small_runs.warm_up(Path(folder))
    path = report.RESULTS / "robustness.json"
    results = report.load(path) or {"checks": {}}
    total = 0
    for name in names:
        check = CHECKS[name]
        found = run(name, check, check.quick if options.quick else check.full)
        total += found["faults"]
        print(f"{name}: {found['trials']} trials, {found['faults']} faults, {found['seconds']} s")
        if not options.quick:
            checks = {**results["checks"], name: found}
            results = {
                "machine": report.machine(),
                "checks": {name: checks[name] for name in CHECKS if name in checks},
            }
            report.save(path, results)
            write_page(results)
    return int(total > 0)


if __name__ == "__main__":
    sys.exit(main())
