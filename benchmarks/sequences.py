"""Trajectory balance on TFBind8 and QM9 strings compared with gfnx: milliseconds per iteration.

Both libraries get the same rewards, batches of 16 and two hidden layers of 256, and learn P_B. gfnx builds TFBind8 by
appending and QM9 by prepending and appending; here both constructions are compared on both. Blocks of the libraries
alternate. gfnx runs with its default threads in the virtual environment that ``python -m benchmarks.peers`` makes. Our
library runs with engine='numba' and engine='torch', each on one thread and on two; the table shows the better.

    python -m benchmarks.sequences            all four cases (about two minutes)
    python -m benchmarks.sequences --quick    a short run

The rewards of QM9 need its data set (gfn data fetch qm9str); its cases are skipped if the data set is not available.
Results are merged into benchmarks/results/sequences.json, and the table is written to sequences.md in the same folder.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import gfn_envs
from benchmarks import report
from benchmarks.peers.libraries import ROOT, Worker, python_of
from benchmarks.peers.speed import summary
from gfn_envs.data.registry import DatasetError

RESULTS = ROOT / "benchmarks" / "results" / "sequences.json"
BATCH, HIDDEN = 16, [256, 256]
LEARNING = {"lr": 5e-4, "lr_log_z": 0.05, "epsilon": 0.0}
CASES = {
    f"{env}-{construction}": (env, construction)
    for env, construction in itertools.product(("TFBind8", "QM9Str"), ("append", "prepend_append"))
}
NAMES = ("compiled", "ours", "gfnx")
CONTESTANTS: list[tuple[str, int | None]] = [
    ("gfnx", None),
    *((name, threads) for name in NAMES[:2] for threads in (1, 2)),
]
AIM = 2.0


def task(library: str, threads: int | None, env: str, construction: str, rewards: Path) -> dict[str, Any]:
    """Task of a worker."""
    common = {"env": env, "construction": construction, "rewards": str(rewards), "seed": 0}
    if library == "gfnx":
        return {**common, "objective": "tb", "batch": BATCH, "hidden": HIDDEN, **LEARNING}
    agent = {"batch_size": BATCH, "hidden": HIDDEN, "engine": "numba" if library == "compiled" else "torch", **LEARNING}
    return {**common, "threads": threads, "agent": agent}


def start(library: str, threads: int | None, env: str, construction: str, rewards: Path) -> Worker:
    """Process of one library."""
    script = "gfnx_train.py" if library == "gfnx" else "ours_strings.py"
    given = task(library, threads, env, construction, rewards)
    return Worker(library, script, given, python_of("gfnx" if library == "gfnx" else "ours"))


def measure_case(env: str, construction: str, rewards: Path, rounds: int, iterations: int) -> dict[str, Any]:
    """Alternate blocks of ``iterations``, after one warm-up block."""
    blocks: list[list[dict[str, Any]]] = [[] for _ in CONTESTANTS]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(start(library, threads, env, construction, rewards)) for library, threads in CONTESTANTS
        ]
        for turn in tqdm(range(rounds + 1), desc=f"{env}, {construction}", unit="round"):
            for offset in range(len(workers)):
                # Every worker takes every place in the round, so that none always runs after the same other one.
                i = (turn + offset) % len(workers)
                answer = workers[i].ask(iterations=iterations)
                if turn:
                    blocks[i].append(answer)
    found = [
        {"library": library, "threads": threads, **summary(answers, BATCH)}
        for (library, threads), answers in zip(CONTESTANTS, blocks, strict=True)
    ]
    best = {name: min((c for c in found if c["library"] == name), key=lambda c: c["best_ms"]) for name in NAMES}
    ratios = {
        name: {kind: best["gfnx"][f"{kind}_ms"] / best[name][f"{kind}_ms"] for kind in ("best", "median")}
        for name in NAMES[:2]
    }
    return {"env": env, "construction": construction, "contestants": found, "best": best, "ratios": ratios}


def markdown(results: dict[str, Any]) -> str:
    """The table, and a note on the machine of each case."""
    lines = [
        "| TB iteration, ms, best (median) | ours, compiled | ours | gfnx | gfnx over compiled | gfnx over ours |",
        "|---|---:|---:|---:|---|---|",
    ]
    notes = [
        f"* Batch {BATCH}, two hidden layers of 256, learned P_B; ours on one thread or two, whichever is faster. "
        '"Compiled" is the setting engine="numba".'
    ]
    for name, case in results.items():
        cells = [f"{c['best_ms']:.2f} ({c['median_ms']:.2f})" for c in map(case["best"].get, NAMES)]
        compiled, ours = (f"{r['best']:.1f}x (medians {r['median']:.1f}x)" for r in map(case["ratios"].get, NAMES[:2]))
        verdict = f"target {AIM:g}x {'met' if case['ratios']['compiled']['best'] >= AIM else 'missed'}"
        lines.append(
            f"| {case['env']}, {case['construction']} | {' | '.join(cells)} | {compiled}; {verdict} | {ours} |"
        )
        where, look = case["machine"], ", a short run" * case["quick"]
        notes.append(
            f"* {name}: {where['processor']}, {where['cores']} cores, torch {where['torch']}, {case['date']}{look}."
        )
    return "\n".join([*lines, "", *notes, ""])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sequences", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks, to test that it runs")
    parser.add_argument("--only", default="", metavar="CASES", help="e.g. TFBind8-append,QM9Str-append")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON file of results")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else list(CASES)
    if unknown := [name for name in chosen if name not in CASES]:
        parser.error(f"--only: no case {', '.join(unknown)}; allowed: {', '.join(CASES)}")
    rounds, iterations = (2, 30) if options.quick else (5, 150)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            env, construction = CASES[name]
            rewards = Path(folder) / f"{name}.npy"
            try:
                np.save(rewards, gfn_envs.make_dag(f"GFN/{env}-v0").reward_table)  # type: ignore[attr-defined]
            except DatasetError as error:
                print(f"{name} is skipped: {error}")
                continue
            date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
            found = measure_case(env, construction, rewards, rounds, iterations)
            results[name] = {"quick": options.quick, "date": date, "machine": report.machine_facts(), **found}
            options.results.write_text(json.dumps(results, indent=1) + "\n")
            options.results.with_suffix(".md").write_text(
                f"# String environments compared with gfnx\n\n{markdown(results)}"
            )
    print(markdown(results))


if __name__ == "__main__":
    main()
