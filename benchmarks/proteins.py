"""Peptides and proteins of Madan et al. 2023 with --quick: the tables of three scripts, for docs/results.md.

Runs madan2023_{amp,gfp,inverse_folding}.py of examples/papers with --quick (two minutes each; finished rows are kept)
and writes the section. GFP and inverse folding need their data sets (gfn data fetch gfp gfp-distances).

    python -m benchmarks.proteins
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.runs import directory as runs
from benchmarks import report
from benchmarks.papers import tables

TASKS = {"madan2023_amp": "AMP", "madan2023_gfp": "GFP", "madan2023_inverse_folding": "Inverse folding"}
NOTES = {
    "madan2023_amp": "Peptides are built by appending; R = p^3, with the probability p of our classifier, which is "
    "not the paper's. Compare the methods with each other; only their order can be compared with the paper's. "
    "Diversity is the mean Levenshtein distance between the 100 best of 2,000 samples. A2C-ER maximizes E R and "
    "therefore finds peptides of which the classifier is certain; this does not show that they are antimicrobial.",
    "madan2023_gfp": "Up to 5 mutations of the wild type, whereas the paper builds whole proteins. Diversity is at "
    "most 10 and not comparable. R = y^3, with the brightness y of our model, scaled to the range of the "
    "measurements. A dash means fewer than 100 distinct proteins among 2,000 samples.",
    "madan2023_inverse_folding": "Backbone of avGFP, 100 samples, log R = -E / 50. The paper reports curves, so there "
    "are no published values. Sequences of random residues have energies of -9,154 ± 427, lower than the native one. "
    "Only MCMC, which needs no network, is far below them after so few rounds.",
}


def part(name: str, results: dict[str, Any]) -> str:
    """Table and notes of one script, as Markdown."""
    shared, experiment = tables(), importlib.import_module(name).EXPERIMENT
    head = ["row", "rounds", "seconds", f"published: {experiment.published}", *(c.heading for c in experiment.columns)]
    lines = []
    for row, described in experiment.rows.items():
        if (entry := results.get(shared.key(row, 0))) is not None:
            figures = [shared.summary([entry], column) for column in experiment.columns]
            lines.append([row, f"{entry['rounds']:,}", f"{entry['seconds']:.0f}", described.published, *figures])
    return f"### {TASKS[name]}\n\n{report.table(head, lines)}\n\n* {NOTES[name]}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.proteins", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs/proteins"), metavar="DIR", help="directory of the rows")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE", help="page that contains the section")
    options = parser.parse_args(arguments)
    shared = tables()
    texts = [
        "## Madan et al. 2023: peptides, proteins, inverse folding",
        "`python -m benchmarks.proteins`: short runs with one seed. The published values took far more training and "
        "another reward model. Seconds are training time on one thread of a machine that also did other work.",
    ]
    for name in TASKS:
        module, out = importlib.import_module(name), options.runs / name
        shared.main(module.EXPERIMENT, module.__doc__, ["--quick", "--out", str(out)])
        texts.append(part(name, runs.read_json(out / "results.json")))
    texts.append(f"* Measured on {report.machine()}.")
    report.write_section("proteins", "\n\n".join(texts), options.page)


if __name__ == "__main__":
    main()
