"""The command line of a study.

(none)      train every row and seed that is missing, one after another; repeat the command to continue
--figures   only tables and figures, from the run files and from the results that the repository keeps
--list      only what is missing or stale
--time      a few rounds of every row, and the CPU hours that the study takes at that speed
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np
import torch
from study import Part, Results, Study, collect, rounded, state
from study_page import page
from tables import key, positive, run, stop

import agents
import gfn_envs
from agents.runs import directory as runs

ROOT = Path(__file__).resolve().parents[2]
#: CPU seconds of a row of --time.
SMOKE_SECONDS = 0.5
SEEDS = (0, 1, 2)


def smoke(part: Part, seeds: Sequence[int]) -> float:
    """CPU hours of all rows and seeds of a part, from a few rounds of each row; NaN if its data are missing."""
    try:
        dag = gfn_envs.make_dag(part.experiment.env, **part.experiment.env_arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"{part.key}: {str(error).splitlines()[0]}")
        return float("nan")
    torch.set_num_threads(1)
    hours = 0.0
    for name in part.names:
        row = part.experiment.rows[name]
        agent = agents.make_agent(row.agent, dag, **{**row.settings, **part.settings})
        agent.update()  # Compilation and caches.
        start, rounds = process_time(), 0
        while rounds < 2 or (process_time() - start < SMOKE_SECONDS and rounds < 100):
            agent.update()
            rounds += 1
        per_round = (process_time() - start) / rounds
        hours += len(part.seeds_of(name, seeds)) * part.length * per_round / 3600
        print(f"{part.key}, {name}: {1000 * per_round:.1f} ms per round, {part.length:,} rounds", flush=True)
    return hours


def main(study: Study, description: str | None, arguments: Sequence[str] | None = None) -> None:
    """Run the study's command line."""
    made = argparse.ArgumentParser(
        prog=f"python -m examples.papers.{study.name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="parts: " + ", ".join(part.key for part in study.parts),
    )
    made.add_argument("--only", metavar="A,B", help="parts (default: all)")
    made.add_argument("--rows", metavar="A,B", help="rows to run (default: all)")
    made.add_argument("--seeds", default="0,1,2", metavar="N,N", help="seeds of each row (default 0,1,2)")
    made.add_argument("--minutes", type=positive, metavar="M", help="stop each row after M minutes of training")
    made.add_argument("--figures", action="store_true", help="write the page and its figures from the run files")
    made.add_argument("--list", action="store_true", help="print which rows are missing or stale")
    made.add_argument("--time", action="store_true", help="measure a few rounds of every row")
    made.add_argument("--runs", type=Path, default=Path("runs/papers"), metavar="DIR", help="directory of the runs")
    made.add_argument("--results", type=Path, default=ROOT / "examples/papers/results", metavar="DIR")
    made.add_argument("--docs", type=Path, default=ROOT / "docs/papers", metavar="DIR", help="directory of the page")
    options = made.parse_args(arguments)
    if options.only is not None:
        wanted = [name.strip() for name in options.only.split(",")]
        if unknown := sorted(set(wanted) - {part.key for part in study.parts}):
            made.error(f"--only: no part {', '.join(unknown)}; allowed: {', '.join(p.key for p in study.parts)}")
    else:
        wanted = [part.key for part in study.parts]
    parts = [part for part in study.parts if part.key in wanted]
    names = {name for part in parts for name in part.names}
    rows = None if options.rows is None else [name.strip() for name in options.rows.split(",")]
    if unknown := sorted(set(rows or ()) - names):
        made.error(f"--rows: no row {', '.join(unknown)}; allowed: {', '.join(sorted(names))}")
    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        made.error(f"--seeds: expected integers such as 0,1,2, got {options.seeds!r}")
    try:
        carry_out(study, parts, rows, seeds, options)
    except (ValueError, OSError) as error:
        stop(f"error: {error}", 2)
    except KeyboardInterrupt:
        stop("interrupted; the same command continues, and rows that are finished are kept", 130)


def carry_out(
    study: Study, parts: Sequence[Part], rows: Sequence[str] | None, seeds: Sequence[int], options: argparse.Namespace
) -> None:
    """What the options ask for: measure, list, draw, or train."""
    file, timing = options.results / f"{study.name}.json", options.results / f"{study.name}_hours.json"
    hours = runs.read_json(timing) if timing.exists() else {}
    if options.time:
        for part in parts:
            hours[part.key] = rounded(smoke(part, SEEDS))
        options.results.mkdir(parents=True, exist_ok=True)
        runs.write_json(timing, {name: value for name, value in hours.items() if np.isfinite(value)})
        print(f"all: {sum(value for value in hours.values() if np.isfinite(value)):.1f} CPU hours with three seeds")
        return
    if options.figures or options.list:
        results = collect(study, options.runs, file)
        if options.list:
            for part in parts:
                for (row, seed), text in state(part, results.get(part.key, {}), seeds).items():
                    if text != "done":
                        print(f"{part.key}: {row}, seed {seed}: {text}")
        if options.figures:
            options.results.mkdir(parents=True, exist_ok=True)
            options.docs.mkdir(parents=True, exist_ok=True)
            text = page(study, results, seeds, options.docs / "figures", hours)
            (options.docs / f"{study.name}.md").write_text(text, "utf-8")
            runs.write_json(file, results)
            print(f"{options.docs / study.name}.md")
        return
    train(study, parts, seeds, rows, options.minutes, options.runs, collect(study, options.runs, file))


def train(
    study: Study,
    parts: Sequence[Part],
    seeds: Sequence[int],
    rows: Sequence[str] | None,
    minutes: float | None,
    directory: Path,
    results: dict[str, Results],
) -> None:
    """Train the rows that neither the runs nor the repository hold. A part without its data is left out: one line."""
    for part in parts:
        status = state(part, results.get(part.key, {}), seeds)
        out = directory / study.name / part.key
        for name in (name for name in part.names if rows is None or name in rows):
            for seed in (seed for seed in part.seeds_of(name, seeds) if status[name, seed] == "done"):
                print(f"{part.key}: {key(name, seed)}: already there")
            if not (asked := [seed for seed in part.seeds_of(name, seeds) if status[name, seed] != "done"]):
                continue
            try:
                run(part.experiment, [name], asked, part.length, minutes, out, {}, part.settings)
            except (ValueError, OSError, ImportError) as error:
                print(f"{part.key}: {error}", file=sys.stderr)
                break
