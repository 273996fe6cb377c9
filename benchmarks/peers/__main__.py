"""Our library compared with gfnx and torchgfn, in one run on one machine.

The first use installs the peers from PyPI into separate virtual environments under .peers/ (minutes; gfnx needs about
1 GB, torchgfn more if torch includes CUDA). Each library runs as a process that computes only on request. Blocks of the
libraries alternate, so that a slow phase of the machine affects all of them.

parts:
  speed       milliseconds per iteration of tb, db and subtb, with first policies and with a trained one (about 15 min)
  time        seconds of training to exact TV 0.05 and 0.02 on 4-D side 20, with gfnx and torchgfn (about an hour)
  quality     exact total variation after 5,000 iterations on two grids, torchgfn and ours (about 2 min per seed)
  rollout     transitions per second of random rollouts, gfnx and ours (about 1 min)

examples:
  python -m benchmarks.peers --quick                 a short run of everything, a few minutes
  python -m benchmarks.peers --only speed --cases "512, trained"
  python -m benchmarks.peers --only time --cases "gfnx, our settings"
  python -m benchmarks.peers                         results to publish, on an otherwise idle machine

Results are merged into benchmarks/results/peers.json, and the section of docs/results.md is written from it. Part time
skips stored runs.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.peers import quality, race, rollout, speed
from benchmarks.peers.libraries import python_of
from benchmarks.peers.report import section

RESULTS = report.RESULTS / "peers.json"
PARTS = ("speed", "time", "quality", "rollout")


def facts(quick: bool) -> dict[str, Any]:
    """Facts that every record has."""
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return {"quick": quick, "date": date, "machine": report.machine_facts()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), metavar="PARTS", help="parts to run, such as speed,rollout")
    parser.add_argument("--cases", default="", metavar="TEXT", help="parts speed and time: cases with this text")
    parser.add_argument(
        "--threads",
        default="1,2",
        help="part speed: cores of every library; the best counts (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="part speed: length of a block (default: 1)")
    parser.add_argument(
        "--time-limit", type=float, default=600.0, metavar="S", help="part time: CPU seconds per run (default 600)"
    )
    parser.add_argument("--quick", action="store_true", help="fewer blocks, iterations and seeds, to test that it runs")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="parts time, quality: seeds (default 3)")
    parser.add_argument("--our-seeds", type=int, metavar="N", help="part quality: our seeds (default: as --seeds)")
    parser.add_argument("--report", action="store_true", help="write the page from the results that are there")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON file of results")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE")
    options = parser.parse_args()
    parts = [part.strip() for part in options.only.split(",")]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"--only: no part {', '.join(unknown)}; allowed: {', '.join(PARTS)}")
    cases = [case for case in speed.CASES if options.cases in f" {case.title}"]
    races = list(race.runs(options.seeds, options.cases))
    if not (cases if "speed" in parts else races):
        known = [case.title for case in speed.CASES] + [key for key, *_ in race.runs(1, "")]
        parser.error(f"--cases: none contains {options.cases!r}: {'; '.join(known)}")
    results = report.load(options.results)

    def record(part: str, found: Any) -> None:
        results[part] = {**facts(options.quick), "result": found}
        report.save(options.results, results)

    if "speed" in parts and not options.report:
        threads = [int(number) for number in options.threads.split(",")]
        for library in ("gfnx", "torchgfn"):
            python_of(library)
        for case in cases:
            found = speed.measure_case(case, threads, *((2, 0.1) if options.quick else (5, options.seconds)))
            results.setdefault("speed", {})[case.title] = {**facts(options.quick), **found}
            report.save(options.results, results)
    if "time" in parts and not options.report:
        part = results.setdefault("time", {"curves": {}})
        for key, name, iterations, seed in races:
            if key not in part["curves"]:
                rows = race.measure(name, iterations, seed, 5.0 if options.quick else options.time_limit)
                part["curves"][key] = rows
                part |= facts(options.quick)
                print(key, rows[-1], flush=True)
                report.save(options.results, results)
    if results.get("time") and not options.quick:
        race.draw(results["time"]["curves"])
    if "quality" in parts and not options.report:
        record("quality", quality.measure(options.quick, options.seeds, options.our_seeds))
    if "rollout" in parts and not options.report:
        record("rollout", rollout.measure(options.quick))
    text = section(results)
    report.write_section("peers", text, options.page)
    print(text)


if __name__ == "__main__":
    main()
