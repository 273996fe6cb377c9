"""gfn report: one HTML file on one or several runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from tqdm import tqdm

from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, check_seed, parse, read_known
from agents.report.write import Options, write_report
from agents.runs.compare import read_runs


@dataclass
class ReportOptions:
    """One self-contained HTML file on one or several runs: settings, learning curves, learned and target distributions,
    best objects with pictures, diagnostics, and commands to reproduce the runs. Example: gfn report runs/demo"""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories. Runs that differ only in their seed are one setting."""
    out: Path | None = None
    """File to write. Default: report.html in the run directory, or in this folder for several runs."""
    num_samples: int = 2000
    """Number of trajectories to evaluate, per setting."""
    seed: int = 0
    """Seed of those trajectories."""
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all that the report needs, none, or auto (none if they are expensive, else all)."""
    exact_states: int | None = None
    """Distributions are exact if the environment has at most this many states. Default: 2,000,000."""
    known: Path | None = None
    """SMILES file (.smi, .csv) of known molecules, such as a training set, for the novelty of molecules."""
    trust: bool = False
    """Import the modules that the runs name, such as that of a reward function. This runs their code."""
    progress: bool = True
    """Show progress."""


def report(arguments: list[str]) -> int:
    """gfn report DIR ..."""
    options = parse(ReportOptions, arguments, "gfn report")
    check_seed(options.seed)
    check_at_least(2, options, "num_samples")
    check_at_least(1, options, "exact_states")
    found, reasons = read_runs(options.runs)
    if not found:
        raise UsageError("; ".join(reasons) or "gfn report needs run directories, such as: gfn report runs/demo")
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    out = options.out or (found[0].path if len(found) == 1 else Path()) / "report.html"
    known = read_known(options.known)
    chosen = Options(
        options.num_samples,
        options.seed,
        options.rewards,
        options.exact_states,
        options.trust,
        None if known is None else tuple(known),
    )
    with tqdm(disable=not options.progress, bar_format="report: {desc} ({elapsed})") as bar:
        write_report([run.path for run in found], out, chosen, bar.set_description_str)
    print(f"saved {out}")
    return 0
