"""The section of docs/results.md on earlier, shorter runs of Shen et al. 2023, table 1, from papers.json.

The runs had one seed and settings that differ from the paper's. `python -m examples.papers.shen2023` replaces them.

    python -m benchmarks.papers
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.runs import directory as runs
from benchmarks import report

RESULTS = report.RESULTS / "papers.json"
TASKS = {"tfbind8": "TFBind8 (SIX6)", "qm9str": "QM9str"}
ROWS = ("tb", "tb+prt", "tb+prt+ssr", "sub+prt+ssr")
#: Tasks whose published value is a percentage of the target mean, as ours; elsewhere it is a number of rounds.
PERCENTAGES = ("tfbind8",)
INTRODUCTION = (
    "`python -m benchmarks.papers`: runs of an earlier version, one seed each; `python -m examples.papers.shen2023` "
    "replaces them. % of target mean is the mean reward of 128 objects sampled at every tenth of the last 500 rounds, "
    "divided by sum R² / sum R. TV is the exact total variation between the learned distribution and R(x) / Z. A "
    "percentage above 100 is an excess of high rewards, which TV counts as an error. Unlike the paper's code, each "
    "batch is used for one gradient step (three on TFBind8 there), losses are not clamped at 100, hidden layers have "
    "ReLU, and guided TB (sub) learns on trajectories of P_F and P_B instead of the guide's. On TFBind8, seed 1 of "
    "`tb` ends at 93.8%, and with three steps per batch seed 0 ends at 96.7%. Guided TB cannot reach R / Z: its guide "
    "depends on x, so no Markov P_F matches it. Published values are shown where they are the same quantity, with the "
    "paper's widths."
)


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    parts = ["## Shen et al. 2023, table 1: earlier runs", INTRODUCTION]
    for task, title in TASKS.items():
        found = {row: results[task][row] for row in ROWS if row in results.get(task, {})}
        if not found:
            continue
        rounds = sorted({int(r) for entry in found.values() for r in entry["percent"]})
        head = ["row", "published %", "rounds", "seconds", "% of target mean", "exact TV", "modes"]
        lines = [[*head, *(f"% at {r:,}" for r in rounds)], ["---"] * (len(head) + len(rounds))]
        for row, entry in found.items():
            published = entry["published"] if task in PERCENTAGES and not entry["changes"] else "-"
            modes = f"{entry['modes']:,} of {entry['num_modes']:,}"
            curve = [f"{entry['percent'][str(r)]:.1f}" if str(r) in entry["percent"] else "" for r in rounds]
            figures = [f"{entry['percent_of_target']:.1f}", f"{entry['tv']:.3f}", modes, *curve]
            lines.append([row, published, f"{entry['rounds']:,}", f"{entry['seconds']:.0f}", *figures])
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
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="JSON file of results")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE", help="page that contains the section")
    options = parser.parse_args(arguments)
    report.write_section("papers", section(runs.read_json(options.results)), options.page)


if __name__ == "__main__":
    main()
