"""Reproduction of Shen et al. 2023, table 1, on TFBind8 and QM9str: percentage of the target mean, and exact TV.

Runs four rows of shen2023_tfbind8.py and shen2023_qm9str.py in examples/papers for a number of minutes each, stores
them under runs/papers, and writes the section of docs/results.md and benchmarks/results/papers.json from all stored
rows. It can be interrupted, and repeated with more minutes: rows then continue.

    python -m benchmarks.papers --minutes 15
    python -m benchmarks.papers --minutes 0     only rewrite the section from the stored rows
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.runs import directory as runs
from benchmarks import report

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "papers.json"
TASKS = {"tfbind8": "TFBind8 (SIX6)", "qm9str": "QM9str"}
ROWS = ("tb", "tb+prt", "tb+prt+ssr", "sub+prt+ssr")
#: Settings that differ from the paper's. With its width of 1024, a round of SSR takes 0.4 s on one core.
CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    ("qm9str", "tb+prt+ssr"): {"hidden": (128,)},
    ("qm9str", "sub+prt+ssr"): {"hidden": (128,)},
}
#: Rounds at which the table shows the percentage of the target mean.
ROUNDS = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


def tables(name: str = "tables") -> Any:
    """Import a module that the scripts share."""
    if str(ROOT / "examples" / "papers") not in sys.path:
        sys.path.insert(0, str(ROOT / "examples" / "papers"))
    return importlib.import_module(name)


def compact(entry: dict[str, Any]) -> dict[str, Any]:
    """Stored form of a row: without the looks, but with the percentages over training computed from them."""
    looks, last = entry["looks"], tables("runner").LOOKS
    mean = [look["mean_reward"] for look in looks]
    curve = {
        str(looks[i]["round"]): 100 * float(np.mean(mean[max(0, i + 1 - last) : i + 1])) / entry["target_mean"]
        for i in range(len(looks))
        if looks[i]["round"] in ROUNDS
    }
    names = ("rounds", "seconds", "percent_of_target", "rounds_to_target", "modes", "num_modes", "published")
    return {**{name: entry[name] for name in names}, "tv": entry["evaluation"]["tv"], "percent": curve}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    parts = [
        "## Shen et al. 2023, table 1",
        "`python -m benchmarks.papers`: % of target mean is the mean reward of 128 objects sampled at every tenth of "
        "the last 500 rounds, divided by sum R² / sum R. The published value is that percentage or, if it reached "
        "100%, the number of rounds until then, over several seeds. TV is the exact total variation between the "
        "learned distribution and R(x) / Z. A percentage above 100 is an excess of high rewards, which TV counts as "
        "an error. One seed. Seconds are training time on a machine that also did other work. Guided TB (sub) cannot "
        "reach R / Z: its guide depends on x, so no Markov P_F matches it.",
    ]
    for task, title in TASKS.items():
        found = {row: results[task][row] for row in ROWS if row in results.get(task, {})}
        if not found:
            continue
        shown = [r for r in ROUNDS if any(str(r) in entry["percent"] for entry in found.values())]
        head = ["row", "published", "rounds", "seconds", "% of target mean", "rounds to 100%", "exact TV", "modes"]
        head += [f"% at {r:,}" for r in shown]
        lines = [head, ["---"] * len(head)]
        for row, entry in found.items():
            modes = f"{entry['modes']:,} of {entry['num_modes']:,}"
            curve = [f"{entry['percent'][str(r)]:.1f}" if str(r) in entry["percent"] else "" for r in shown]
            reached = "-" if entry["rounds_to_target"] is None else f"{entry['rounds_to_target']:,}"
            figures = [f"{entry['percent_of_target']:.1f}", reached, f"{entry['tv']:.3f}", modes, *curve]
            lines.append([row, entry["published"], f"{entry['rounds']:,}", f"{entry['seconds']:.0f}", *figures])
        parts += [f"### {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        for row, entry in found.items():
            if entry["changes"]:
                changes = ", ".join(f"{name} {value}" for name, value in entry["changes"].items())
                parts.append(f"* `{row}` differs from the paper's settings: {changes}.")
    where = results["machine"]
    machine_text = f"{where['processor']}, {where['cores']} cores, torch {where['torch']} on 1 thread"
    parts.append(f"Measured on {machine_text}, {results['date']}.")
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.papers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=15.0, help="minutes of training per row (default 15)")
    parser.add_argument("--tasks", default=",".join(TASKS), help=f"tasks, of {', '.join(TASKS)}")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"rows, of {', '.join(ROWS)}")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs") / "papers", metavar="DIR", help="directory of the rows"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON file of results")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE", help="page that contains the section")
    options = parser.parse_args(arguments)
    shared, results = tables(), runs.read_json(options.results) if options.results.exists() else {}
    for task in options.tasks.split(","):
        experiment = importlib.import_module(f"shen2023_{task}").EXPERIMENT
        for row in options.rows.split(","):
            out, changes = options.runs / task, CHANGES.get((task, row), {})
            if options.minutes > 0:
                shared.run(experiment, [row], [0], experiment.rounds, options.minutes, out, {}, changes)
            kept = runs.read_json(out / "results.json") if (out / "results.json").exists() else {}
            if (entry := kept.get(shared.key(row, 0))) is not None:
                results.setdefault(task, {})[row] = {**compact(entry), "changes": changes}
            date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
            results |= {"machine": report.machine_facts(), "date": date}
            runs.write_json(options.results, results)
            report.write_section("papers", section(results), options.page)
    print(section(results))


if __name__ == "__main__":
    main()
