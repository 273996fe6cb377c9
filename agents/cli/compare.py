"""gfn compare: several runs in one table and one figure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from agents.cli.errors import UsageError
from agents.cli.parsing import parse
from agents.cli.printing import comparison_json, print_comparison, print_json
from agents.plots.figures import comparison
from agents.runs.compare import group_runs, learning_curves, logged_metrics, read_runs

#: Metrics of the learning curves unless one is given: the first that some run has.
DEFAULT_METRICS = ("tv", "elbo", "log_z", "loss")


@dataclass
class CompareOptions:
    """A table of several runs, and their learning curves. Runs that differ only in their seed are aggregated.
    Example: gfn compare runs/tb-0 runs/tb-1 runs/subtb-0 --metric tv --x transitions"""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories."""
    metric: str | None = None
    """Metric of the learning curves, a column of metrics.jsonl. Default: the first of tv, elbo, log_z, loss
    that a run has."""
    x: Literal["iterations", "transitions", "seconds"] = "iterations"
    """X axis of the learning curves."""
    out: Path = Path("comparison.png")
    """File for the figure of learning curves: means over seeds with a band of one standard error on each side."""
    bootstrap: bool = False
    """Show 95% bootstrap intervals instead of standard errors."""
    json: bool = False
    """Print JSON instead of a table."""


def compare(arguments: list[str]) -> int:
    """gfn compare DIR ..."""
    options = parse(CompareOptions, arguments, "gfn compare")
    if not options.runs:
        raise UsageError("gfn compare needs run directories, such as: gfn compare runs/*")
    found, reasons = read_runs(options.runs)
    if not found:
        raise UsageError("; ".join(reasons))
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    groups = group_runs(found)
    logged = logged_metrics(groups)
    metric = options.metric or next((name for name in DEFAULT_METRICS if name in logged), DEFAULT_METRICS[0])
    panels = learning_curves(groups, metric, options.x)
    try:
        comparison(panels, metric, options.x, options.out)
    except (ValueError, OSError) as error:
        raise UsageError(f"--out {options.out}: {error}") from None
    if options.json:
        described = [comparison_json(group, options.bootstrap) for group in groups]
        print_json({"groups": described, "figure": str(options.out)})
        return 0
    print_comparison(groups, metric, options.bootstrap)
    print(f"saved {options.out}")
    return 0
