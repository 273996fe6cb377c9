"""Our library compared with gfnx and torchgfn, in one run on one machine.

The first use installs the peers from PyPI into separate virtual environments under .peers/ (minutes; gfnx needs about
1 GB, torchgfn more if torch includes CUDA). Each library runs as a process that computes only on request. Blocks of the
libraries alternate, so that a slow phase of the machine affects all of them.

parts:
  speed       milliseconds per trajectory-balance iteration on three HyperGrids, gfnx, torchgfn, ours (about 5 min)
  objectives  milliseconds per iteration of tb, db, subtb and fm on 4-D side 20, gfnx (no fm) and ours (about 3 min)
  quality     exact total variation after 5,000 iterations on two grids, torchgfn and ours (about 2 min per seed)
  time        seconds of training to exact TV 0.05 on 4-D side 20, torchgfn twice and ours (up to 3 x --time-limit)
  rollout     transitions per second of random rollouts, gfnx and ours (about 1 min)

examples:
  python -m benchmarks.peers --quick                 a short run of everything, a few minutes
  python -m benchmarks.peers --only speed,rollout
  python -m benchmarks.peers                         results to publish, on an otherwise idle machine

Results are merged into benchmarks/results/peers.json, and the table is written to peers.md in the same folder.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.peers import objectives, quality, rollout, speed
from benchmarks.peers.libraries import ROOT
from benchmarks.peers.report import markdown

RESULTS = ROOT / "benchmarks" / "results" / "peers.json"
PARTS = ("speed", "objectives", "quality", "time", "rollout")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help="parts to run, such as speed,rollout")
    parser.add_argument("--quick", action="store_true", help="fewer blocks, iterations and seeds, to test that it runs")
    parser.add_argument(
        "--time-limit",
        type=float,
        default=600.0,
        metavar="S",
        help="part time: seconds of training per library (default 600)",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="part quality: seeds per library (default 3)")
    parser.add_argument(
        "--our-seeds",
        type=int,
        metavar="N",
        help="part quality: seeds of our library, which takes less time (default: as --seeds)",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON file of results")
    options = parser.parse_args()
    parts = [part.strip() for part in options.only.split(",")]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"--only: no part {', '.join(unknown)}; allowed: {', '.join(PARTS)}")

    run: dict[str, Callable[[], Any]] = {
        "speed": lambda: speed.measure(options.quick),
        "objectives": lambda: objectives.measure(options.quick),
        "quality": lambda: quality.measure(options.quick, options.seeds, options.our_seeds),
        "time": lambda: quality.measure_time(options.quick, options.time_limit),
        "rollout": lambda: rollout.measure(options.quick),
    }
    results = report.load(options.results)
    for part in parts:
        print(f"== {part}", flush=True)
        date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        results[part] = {"quick": options.quick, "date": date, "machine": report.machine_facts(), "result": run[part]()}
        report.save(options.results, results)
        options.results.with_suffix(".md").write_text(markdown(results))
    print(markdown(results))
    print(f"written: {options.results} and {options.results.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
