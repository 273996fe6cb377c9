"""The page of :mod:`benchmarks.ranking`: tables, interquartile means with intervals, and what follows from them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.stats import trim_mean

from benchmarks import report
from benchmarks.ranking_methods import METHODS, TASKS
from gfn_envs.arrays import FloatArray

Budget = Literal["seconds", "transitions"]
#: Bootstrap replications, for a precision of a hundredth of the interval.
REPLICATIONS = 2000


def value(row: dict[str, Any], budget: Budget) -> float | None:
    """TV, or the ELBO, of a run at the CPU seconds or the transitions of its task; None if it did not get there."""
    if row.get("unsupported") or row.get("failed"):
        return None
    point = (row["curve"][-1] if row["curve"] else None) if budget == "seconds" else row["at_transitions"]
    return None if point is None else point["tv" if TASKS[row["task"]].exact else "elbo"]


def score(row: dict[str, Any], budget: Budget) -> float:
    """More is better: minus TV, or the ELBO; minus infinity without a value."""
    found = value(row, budget)
    return -np.inf if found is None else -found if TASKS[row["task"]].exact else found


def chosen(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(task, method) -> runs with the seeds that count."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if not row.get("unsupported") and row["seed"] in TASKS[row["task"]].seeds:
            found.setdefault((row["task"], row["method"]), []).append(row)
    return found


def normalized(rows: list[dict[str, Any]], budget: Budget) -> dict[str, FloatArray]:
    """method -> scores in [0, 1], (seeds, tasks), of the methods with runs on every task that any method has.

    1 - TV on exact tasks; elsewhere the ELBO on a line from the worst run of random sampling, or of all methods, to the
    best run. A run without a value scores 0.
    """
    runs = chosen(rows)
    tasks = [task for task in TASKS if any(t == task for t, _ in runs)]
    found = {}
    for method in METHODS:
        if not all((task, method) in runs for task in tasks):
            continue
        columns = [np.array([_scaled(r, runs, budget) for r in runs[task, method]]) for task in tasks]
        least = min(map(len, columns))
        found[method] = np.stack([column[:least] for column in columns], 1)
    return found


def _scaled(row: dict[str, Any], runs: dict[tuple[str, str], list[dict[str, Any]]], budget: Budget) -> float:
    found, task = score(row, budget), row["task"]
    if not np.isfinite(found):
        return 0.0
    if TASKS[task].exact:
        return 1 + found
    everything = [score(r, budget) for (t, _), many in runs.items() if t == task for r in many]
    known = [s for s in everything if np.isfinite(s)]
    low, high = min(known), max(known)
    return 1.0 if high == low else (found - low) / (high - low)


def interquartile_means(scores: dict[str, FloatArray], seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """method -> interquartile mean and the ends of its 95% stratified bootstrap interval (Agarwal et al. 2021).

    The mean of the middle half of all scores (seeds, tasks); the bootstrap draws seeds task by task. These are
    ``metrics.aggregate_iqm`` and ``library.get_interval_estimates`` of rliable, which cannot be installed beside pandas
    3: it needs arch < 8.
    """
    rng, found = np.random.default_rng(seed), {}
    for method, array in scores.items():
        seeds, tasks = array.shape
        drawn = array[rng.integers(seeds, size=(REPLICATIONS, seeds, tasks)), np.arange(tasks)]
        means = trim_mean(drawn.reshape(REPLICATIONS, -1), 0.25, axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        found[method] = float(trim_mean(array, 0.25, axis=None)), float(low), float(high)
    return found


def task_table(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Mean and standard error per method and task; the best of a task is bold."""
    runs = chosen(rows)
    tasks = [task for task in TASKS if any(t == task for t, _ in runs)]
    means: dict[tuple[str, str], float] = {}
    for key, many in runs.items():
        known = [s for s in (score(r, budget) for r in many) if np.isfinite(s)]
        if len(known) == len(many):
            means[key] = float(np.mean(known))
    lines = []
    for method in METHODS:
        cells = []
        for task in tasks:
            values = [value(row, budget) for row in runs.get((task, method), [])]
            known = [v for v in values if v is not None]
            text = report.cell(known) if known else "-"
            best = max((mean for (t, _), mean in means.items() if t == task), default=None)
            cells.append(f"**{text}**" if known and means.get((task, method)) == best else text)
        if any(cell != "-" for cell in cells):
            lines.append([f"`{method}`", *cells])
    return report.table(["method", *tasks], lines)


def rank_table(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Methods by interquartile mean."""
    scores = normalized(rows, budget)
    if not scores:
        return "No method has runs on every task yet."
    found = sorted(interquartile_means(scores).items(), key=lambda item: -item[1][0])
    lines = [
        [str(i), f"`{m}`", f"{mean:.3f}", f"{low:.3f} to {high:.3f}"]
        for i, (m, (mean, low, high)) in enumerate(found, start=1)
    ]
    return report.table(["rank", "method", "interquartile mean", "95% interval"], lines)


def advice(rows: list[dict[str, Any]]) -> str:
    """The three best methods of each task at equal seconds, in words."""
    runs, lines = chosen(rows), []
    for task in TASKS:
        means = {m: float(np.mean([score(r, "seconds") for r in many])) for (t, m), many in runs.items() if t == task}
        if means:
            best = sorted(means, key=lambda m: -means[m])[:3]
            lines.append(f"- {task}: {', '.join(f'`{m}`' for m in best)}.")
    return "\n".join(lines)


def page(rows: list[dict[str, Any]]) -> str:
    """docs/ranking.md."""
    counted = [row for many in chosen(rows).values() for row in many]
    parts = [
        "# Ranking",
        "Made by `python -m benchmarks.ranking --report` from benchmarks/results/ranking.jsonl "
        f"({len(rows)} runs, {len(counted)} of them with the seeds that count). Every method has the best candidate of "
        "a small grid of settings, chosen on another seed (benchmarks/ranking_methods.py). Tasks that can be listed "
        "have exact total variation (less is better), the others the ELBO (more is better). Interquartile means "
        "(Agarwal et al. 2021) are over scores in [0, 1] of methods that have runs on every task.",
    ]
    for budget, title in (("seconds", "equal CPU seconds"), ("transitions", "equal transitions")):
        parts += [f"## At {title}", rank_table(rows, budget), task_table(rows, budget)]  # type: ignore[arg-type]
    return "\n\n".join([*parts, "## The best methods of each task", advice(rows)]) + "\n"
