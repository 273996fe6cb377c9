"""gfn compare: several runs in one ranked table and one figure."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from agents.cli.errors import UsageError
from agents.cli.parsing import parse
from agents.cli.printing import comparison_json, print_comparison, print_json, summary_text
from agents.plots.figures import comparison
from agents.plots.heat_map import heat_map
from agents.runs.compare import Group, Summary, group_runs, learning_curves, logged_metrics, read_runs
from agents.runs.ranking import Best, best_per_environment, direction, ranked, setting_grids
from agents.sweeps.record import run_directories

#: Metrics of the learning curves unless one is given: the first that some run has.
DEFAULT_METRICS = ("tv", "mean_tv", "elbo", "log_z", "loss")


@dataclass
class CompareOptions:
    """A ranked table of several runs, and their learning curves. Runs that differ only in their seed are aggregated.
    Examples: gfn compare runs/tb-0 runs/tb-1 runs/subtb-0 --metric tv --x transitions;
    gfn compare runs/sweep/* --heat-map agent.lr agent.lamda"""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories, or folders of gfn sweep."""
    metric: str | None = None
    """Metric of the ranking and of the learning curves, a column of metrics.jsonl. Default: the first of tv, elbo,
    log_z, loss that a run has."""
    best: Literal["min", "max"] | None = None
    """Whether smaller or larger values of the metric are better. Needed if that is not known, as for loss."""
    x: Literal["iterations", "transitions", "seconds"] = "iterations"
    """X axis of the learning curves."""
    out: Path = Path("comparison.png")
    """File for the figure of learning curves: means over seeds with a band of one standard error on each side."""
    heat_map: tuple[str, str] | None = None
    """Two settings, such as agent.lr env.side: draw the final metric over their values."""
    heat_map_out: Path = Path("heat_map.png")
    """File for the heat map."""
    bootstrap: bool = False
    """Show 95% bootstrap intervals instead of standard errors."""
    json: bool = False
    """Print JSON instead of a table."""


def compare(arguments: list[str]) -> int:
    """gfn compare DIR ..."""
    options = parse(CompareOptions, arguments, "gfn compare")
    if not options.runs:
        raise UsageError("gfn compare needs run directories, such as: gfn compare runs/*")
    found, reasons = read_runs(run for path in options.runs for run in run_directories(path))
    if not found:
        raise UsageError("; ".join(reasons))
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    groups = group_runs(found)
    logged = logged_metrics(groups)
    metric = options.metric or next((name for name in DEFAULT_METRICS if name in logged), DEFAULT_METRICS[0])
    best, bests = options.best or direction(metric), []
    if best is not None:
        groups, bests = ranked(groups, metric, best), best_per_environment(groups, metric, best)
    figures = draw(groups, metric, options)
    if options.json:
        described = [comparison_json(group, options.bootstrap) for group in groups]
        found_best = {"metric": metric, "direction": best, "best": [best_json(best) for best in bests]}
        paths = {name: str(path) for name, path in figures.items()}
        print_json({"groups": described, "ranking": found_best, **paths})
        return 0
    print_comparison(groups, metric, options.bootstrap)
    for line in best_lines(bests, metric) if best is not None else [no_ranking(metric)]:
        print(line)
    for path in figures.values():
        print(f"saved {path}")
    return 0


def draw(groups: Sequence[Group], metric: str, options: CompareOptions) -> dict[str, Path]:
    """Save the figures. Returns their paths by kind."""
    grids = setting_grids(groups, *options.heat_map, metric) if options.heat_map else []
    panels = learning_curves(groups, metric, options.x)
    figures = {"figure": options.out}
    try:
        comparison(panels, metric, options.x, options.out)
    except (ValueError, OSError) as error:
        raise UsageError(f"--out {options.out}: {error}") from None
    if options.heat_map:
        figures["heat_map"] = options.heat_map_out
        try:
            heat_map(grids, *options.heat_map, metric, options.heat_map_out)
        except (ValueError, OSError) as error:
            raise UsageError(f"--heat-map-out {options.heat_map_out}: {error}") from None
    return figures


def best_lines(bests: Sequence[Best], metric: str) -> list[str]:
    """One line per environment: its best group, and how far the next is behind."""
    lines = []
    for best in bests:
        where = f" on {best.group.environment}" if len(bests) > 1 else ""
        line = f"best {metric}{where}: {best.group.label}, {_value(best.summary)}"
        if best.next is not None and best.next_summary is not None:
            line += f"; next: {best.next.label}, {_value(best.next_summary)}"
            if best.errors is None:
                line += " (one seed gives no estimate of the error: run more)"
            else:
                close = ", which chance explains" if best.errors < 2 else ""
                line += f" ({best.errors:.2g} standard errors of the difference behind{close})"
        lines.append(line)
    return lines


def _value(summary: Summary) -> str:
    return f"{summary_text(summary, summary.n)} ({summary.n} seed{'s' if summary.n > 1 else ''})"


def no_ranking(metric: str) -> str:
    """The reason why groups are not ranked."""
    return (
        f"no ranking: less or more of {metric} is not known to be better (--best min, --best max, or another --metric)"
    )


def best_json(best: Best) -> dict[str, Any]:
    """The best group of an environment, as JSON."""
    return {
        "environment": best.group.environment,
        "label": best.group.label,
        "runs": [str(run.path) for run in best.group.runs],
        **dataclasses.asdict(best.summary),
        "next": None if best.next is None else best.next.label,
        "standard_errors_ahead": best.errors,
    }
