"""Tables and JSON of the command line: metrics of one run, and comparisons of several."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.evaluation.labels import LABELS
from agents.runs import directory as runs
from agents.runs.compare import Group, Summary, final_metrics, short_environments

#: Reasons list at most this many metrics by name.
NAMED = 8


def print_metrics(metrics: dict[str, Any], title: str) -> None:
    """Print metrics as a table, sampled ones with their standard error."""
    print(title)  # rich would break it at the width of the table
    table = Table()
    table.add_column("metric")
    table.add_column("value", justify="right")
    for key, label in LABELS.items():
        if metrics.get(key) is not None:
            error = metrics.get(f"{key}_se")
            value = metrics[key] if isinstance(metrics[key], str) else f"{metrics[key]:.6g}"
            table.add_row(label, escape(value) + (f" ± {error:.2g}" if error is not None else ""))
    Console(width=100).print(table)


def print_undefined(reasons: Mapping[str, Sequence[str]]) -> None:
    """Print why metrics are missing, one line per reason. Errors and biases of other metrics are left out."""
    for reason, names in reasons.items():
        shown = [name for name in names if not name.endswith(("_se", "_bias"))]
        more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
        if shown:
            print(f"without {', '.join(shown[:NAMED])}{more}: {reason}")


def print_objects(objects: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print :func:`agents.evaluation.objects.named_objects` as a table."""
    if not objects:
        return
    print(title)
    table = Table()
    table.add_column("object", overflow="fold")
    for name in ("reward", "log R", "samples"):
        table.add_column(name, justify="right")
    for found in objects:
        values = ("-" if found[name] is None else f"{found[name]:.6g}" for name in ("reward", "log_reward"))
        table.add_row(escape(found["object"]), *values, f"{found['samples']:,}")
    Console(width=100).print(table)


#: Columns of the comparison that some run has. Mean reward and ELBO are shown only if no run has an exact TV.
COMPARED = {
    "tv": "TV",
    "mean_tv": "mean TV over conditions",
    "log_z_error": "log Z error",
    "mean_reward_error": "mean-reward error",
    "sampled_mean_reward": "mean reward",
    "elbo": "ELBO",
    "modes_found": "modes",
    "seconds": "seconds",
}


def print_comparison(groups: Sequence[Group], metric: str, bootstrap: bool) -> None:
    """Print final metrics of groups of runs: mean ± standard error over seeds, or mean [95% bootstrap interval]."""
    summaries = [final_metrics(group, bootstrap) for group in groups]
    known = {name for summary in summaries for name in summary}
    columns = [name for name in dict.fromkeys((*COMPARED, metric)) if name in known]
    if "tv" in known:
        columns = [name for name in columns if name not in ("sampled_mean_reward", "elbo") or name == metric]
    table = Table()
    for name in ("agent", "environment", "seeds"):
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(COMPARED.get(name, name), justify="right")
    for group, environment, summary in zip(groups, short_environments(groups), summaries, strict=True):
        seeds = f"{len(group.runs)}" + (f" ({len(group.unfinished)} unfinished)" if group.unfinished else "")
        cells = [summary_text(summary[name], len(group.runs)) if name in summary else "-" for name in columns]
        table.add_row(*map(escape, (group.label, environment, seeds, *cells)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    for run in (run for group in groups for run in group.unfinished):
        used = f"metrics of iteration {run.final['iteration']}" if run.final else "no metrics yet"
        print(f"unfinished: {run.path}, at iteration {run.iteration} of {run.config['iterations']}; {used}")


def summary_text(summary: Summary, seeds: int) -> str:
    """A summary in three digits: the mean, with its interval or standard error if known.

    Ends with ``(n=2)`` if the metric has fewer values than there are seeds.
    """
    text = f"{summary.mean:.3g}"
    if summary.low is not None:
        text += f" [{summary.low:.3g}, {summary.high:.3g}]"
    elif summary.se is not None:
        text += f" ± {summary.se:.2g}"
    return text + (f" (n={summary.n})" if summary.n < seeds else "")


def comparison_json(group: Group, bootstrap: bool) -> dict[str, Any]:
    """A group of runs with its final metrics, as JSON."""
    config = group.runs[0].config
    return {
        "label": group.label,
        **{name: config[name] for name in ("agent", "settings", "env", "env_arguments", "iterations")},
        "seeds": [run.config["seed"] for run in group.runs],
        "unfinished": [str(run.path) for run in group.unfinished],
        "metrics": {name: dataclasses.asdict(summary) for name, summary in final_metrics(group, bootstrap).items()},
    }


def print_json(value: Any) -> None:
    """Print indented JSON. NaN and infinity become null."""
    print(json.dumps(runs.finite(value), indent=2))
