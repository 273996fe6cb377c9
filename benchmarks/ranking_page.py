"""The page of :mod:`benchmarks.ranking`: tables, interquartile means with intervals, and what follows from them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.stats import trim_mean

from benchmarks import report
from benchmarks.ranking_methods import METHODS, TASKS
from gfn_envs.arrays import FloatArray

Budget = Literal["seconds", "transitions"]
BUDGETS: dict[Budget, str] = {"seconds": "equal CPU seconds", "transitions": "equal transitions"}
#: What the tables say together, read from the runs of November 2026.
ADVICE = (
    "Start with `tb` with a fixed P_B (`backward='uniform'`): no method is ahead of it at equal time, and it is "
    "best or level on strings, the bag and spins. If P_B is learned, `vargrad` is the safer start, as it needs no "
    "log Z. On grids, where modes are far apart and rewards between them are small, choose an objective that "
    "learns flows: `subtb` and `flsubtb` on the 2-D grid, `db` and `mdb` on the 4-D grid have about half the TV of "
    "`tb`, or less. With a reward for every state, `mdb` and `flsubtb` lead on Bayesian networks. If transitions "
    "are expensive and gradient steps are cheap, use replay, by loss or by diversity. The adaptive teacher, "
    "Thompson sampling, noisy layers, intrinsic rewards and policy gradients cost more time than they save here. "
    "Steep penalties (`linex`, `shifted-cosh`) are good on strings, and fail on the bag and on grids. Budgets are "
    "short, 4 to 10 CPU seconds: what pays off later is not seen."
)
#: Bootstrap replications, for a precision of a hundredth of the interval.
REPLICATIONS = 2000


def point(row: dict[str, Any], budget: Budget, share: float | None) -> dict[str, Any] | None:
    """The measurement of a run at a share of a budget; None if it failed or has none."""
    if row.get("unsupported") or row.get("failed"):
        return None
    return next((p for p in row.get("points", []) if (p["of"], p["share"]) == (budget, share)), None)


def value_at(row: dict[str, Any], budget: Budget, share: float) -> float | None:
    """TV, or the ELBO, of a run at a share of the CPU seconds or the transitions of its task.

    A run that took too long for all transitions has what it reached.
    """
    found = point(row, budget, share)
    if found is None and budget == "transitions" and share == 1:
        found = point(row, budget, None)
    return None if found is None else found["tv" if TASKS[row["task"]].exact else "elbo"]


def value(row: dict[str, Any], budget: Budget) -> float | None:
    """:func:`value_at` the whole budget."""
    return value_at(row, budget, 1.0)


def score_at(row: dict[str, Any], budget: Budget, share: float) -> float:
    """More is better: minus TV, or the ELBO; minus infinity without a value."""
    found = value_at(row, budget, share)
    return -np.inf if found is None else -found if TASKS[row["task"]].exact else found


def score(row: dict[str, Any], budget: Budget) -> float:
    """:func:`score_at` the whole budget."""
    return score_at(row, budget, 1.0)


def chosen(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """(task, method) -> runs with the seeds that count, in order of seeds, as many as every method of the task has."""
    counts = {task: common_seeds(rows, task) for task in TASKS}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        if not row.get("unsupported") and row["seed"] < counts[row["task"]]:
            found.setdefault((row["task"], row["method"]), []).append(row)
    return found


def common_seeds(rows: list[dict[str, Any]], task: str) -> int:
    """Number n of seeds 0..n-1 that every method has run on a task, those that do not support it aside."""
    own = [row for row in rows if row["task"] == task]
    impossible = {row["method"] for row in own if row.get("unsupported")}
    run = {m: {row["seed"] for row in own if row["method"] == m} for m in METHODS if m not in impossible}
    wanted = TASKS[task].seeds
    return min((next((s for s in wanted if s not in found), len(wanted)) for found in run.values()), default=0)


def shown(rows: list[dict[str, Any]]) -> list[str]:
    """Tasks on which every method has run with at least one seed."""
    return [task for task in TASKS if common_seeds(rows, task)]


def normalized(rows: list[dict[str, Any]], budget: Budget) -> dict[str, FloatArray]:
    """method -> scores in [0, 1], (seeds, tasks), of the methods with a value on every task that is shown.

    1 - TV on exact tasks; elsewhere the ELBO, 0 for the random policy or worse and 1 for the best run. A failed run
    scores 0. Tasks on which no method is ahead of the random policy tell nothing, and are left out.
    """
    runs, found = chosen(rows), {}
    tasks = [task for task in shown(rows) if task not in uninformative(rows, budget)]
    for method in METHODS:
        columns = [runs.get((task, method), []) for task in tasks]
        if tasks and all(any(np.isfinite(score(row, budget)) for row in column) for column in columns):
            least = min(map(len, columns))
            scores = [[_scaled(row, runs, budget) for row in column[:least]] for column in columns]
            found[method] = np.array(scores).T
    return found


def uninformative(rows: list[dict[str, Any]], budget: Budget) -> list[str]:
    """Tasks on which the mean ELBO of no method is above that of the random policy."""
    best = {task: max(scores, key=lambda m: scores[m]) for task, scores in means(rows, budget).items() if scores}
    return [task for task, method in best.items() if method == "random" and not TASKS[task].exact]


def _scaled(row: dict[str, Any], runs: dict[tuple[str, str], list[dict[str, Any]]], budget: Budget) -> float:
    found, task = score(row, budget), row["task"]
    if not np.isfinite(found):
        return 0.0
    if TASKS[task].exact:
        return 1 + found
    known = {m: [score(r, budget) for r in many] for (t, m), many in runs.items() if t == task}
    finite = [s for many in known.values() for s in many if np.isfinite(s)]
    low, high = float(np.mean(known.get("random", min(finite)))), max(finite)
    return 1.0 if high == low else max(0.0, (found - low) / (high - low))


def interquartile_means(scores: dict[str, FloatArray], seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """method -> interquartile mean and the ends of its 95% stratified bootstrap interval (Agarwal et al. 2021).

    The mean of the middle half of all scores (seeds, tasks); the bootstrap draws seeds task by task. These are
    ``metrics.aggregate_iqm`` and ``library.get_interval_estimates`` of rliable, which cannot be installed beside pandas
    3: it needs arch < 8. In an environment of its own, it gives the same means to the last digit and ends of intervals
    within 0.005.
    """
    rng, found = np.random.default_rng(seed), {}
    for method, array in scores.items():
        seeds, tasks = array.shape
        drawn = array[rng.integers(seeds, size=(REPLICATIONS, seeds, tasks)), np.arange(tasks)]
        means = trim_mean(drawn.reshape(REPLICATIONS, -1), 0.25, axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        found[method] = float(trim_mean(array, 0.25, axis=None)), float(low), float(high)
    return found


def _cell(task: str, values: list[float]) -> str:
    """Mean and standard error of TVs to two digits, or of ELBOs to two decimals."""
    mean, error = report.mean_and_error(values)
    return report.cell(values) if TASKS[task].exact else f"{mean:.2f} ± {error:.2g}"


def task_table(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Mean and standard error per method and task; the best of a task is bold."""
    runs, tasks, cells = chosen(rows), shown(rows), {}
    for task in tasks:
        scores = {m: [score(row, budget) for row in runs.get((task, m), [])] for m in METHODS}
        best = max(METHODS, key=lambda m: np.mean(scores[m]) if scores[m] else -np.inf)
        for method in METHODS:
            known = [row for row in runs.get((task, method), []) if value(row, budget) is not None]
            text = _cell(task, [value(row, budget) or 0.0 for row in known]) if known else "-"
            slow = budget == "transitions" and any(point(row, budget, 1.0) is None for row in known)
            cells[task, method] = (f"**{text}**" if method == best else text) + " (slow)" * slow
    lines = [[f"`{m}`", *(cells[task, m] for task in tasks)] for m in METHODS]
    return report.table(["method", *tasks], lines)


def curve(runs: list[dict[str, Any]], budget: Budget) -> dict[float, list[float]]:
    """Share of a budget -> values of the runs, in order of shares, without shares that no run was measured at."""
    shares = sorted({p["share"] for row in runs for p in row.get("points", []) if p["of"] == budget} - {None})
    values = {share: [value_at(row, budget, share) for row in runs] for share in shares}
    return {share: known for share, column in values.items() if (known := [v for v in column if v is not None])}


def curve_table(rows: list[dict[str, Any]], task: str, budget: Budget, number: int = 10) -> str:
    """Means at shares of a budget, of the best ``number`` methods at its end."""
    scores = means(rows, budget)[task]
    best = sorted(scores, key=lambda m: -scores[m])[:number]
    curves = {m: curve(chosen(rows)[task, m], budget) for m in best}
    shares = sorted({share for found in curves.values() for share in found})
    unit = f"{TASKS[task].seconds:g} s" if budget == "seconds" else f"{TASKS[task].transitions:,}"
    lines = [
        [f"`{m}`", *(f"{np.mean(found[share]):.4g}" if share in found else "-" for share in shares)]
        for m, found in curves.items()
    ]
    return report.table([task, *(f"{share:g} of {unit}" for share in shares)], lines)


def rank_table(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Methods by interquartile mean."""
    scores = normalized(rows, budget)
    if not scores:
        return "No task yet."
    found = sorted(interquartile_means(scores).items(), key=lambda item: -item[1][0])
    lines = [
        [str(i), f"`{m}`", f"{mean:.3f}", f"{low:.3f} to {high:.3f}"]
        for i, (m, (mean, low, high)) in enumerate(found, start=1)
    ]
    return report.table(["rank", "method", "interquartile mean", "95% interval"], lines)


def partial_table(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Methods that are not in :func:`rank_table`: mean rank on their own tasks, beside that of ``tb`` there."""
    found = means(rows, budget)
    ranks: dict[str, dict[str, int]] = {}
    for task, scores in found.items():
        for i, method in enumerate(sorted(scores, key=lambda m: -scores[m]), start=1):
            ranks.setdefault(method, {})[task] = i
    lines = []
    for method in METHODS:
        own = ranks.get(method, {})
        if method not in normalized(rows, budget) and own:
            beside = [ranks["tb"][task] for task in own if task in ranks.get("tb", {})]
            without = ", ".join(task for task in shown(rows) if task not in own)
            lines.append([f"`{method}`", f"{np.mean(list(own.values())):.1f}", f"{np.mean(beside):.1f}", without])
    return report.table(["method", "mean rank on its tasks", "of `tb` there", "without"], lines) if lines else ""


def means(rows: list[dict[str, Any]], budget: Budget) -> dict[str, dict[str, float]]:
    """task -> method -> mean score of its runs, where all of them have one."""
    found: dict[str, dict[str, float]] = {task: {} for task in shown(rows)}
    for (task, method), many in chosen(rows).items():
        mean = float(np.mean([score(row, budget) for row in many]))
        if task in found and np.isfinite(mean):
            found[task][method] = mean
    return found


#: What is measured besides the ELBO on tasks that cannot be listed.
FURTHER = {"eubo": "EUBO", "modes": "modes"}


def large_table(rows: list[dict[str, Any]]) -> str:
    """EUBO and modes at the end of the CPU seconds, for the tasks and measures that have them."""
    runs = chosen(rows)
    columns: dict[str, dict[str, list[float]]] = {}
    for task in (task for task in shown(rows) if not TASKS[task].exact):
        for key, label in FURTHER.items():
            points = {m: [point(row, "seconds", 1.0) or {} for row in runs.get((task, m), [])] for m in METHODS}
            known = {m: [p[key] for p in many if p.get(key) is not None] for m, many in points.items()}
            if any(known.values()):
                columns[f"{task}: {label}"] = known
    lines = [[f"`{m}`", *(report.cell(c[m], 3) if c[m] else "-" for c in columns.values())] for m in METHODS]
    return report.table(["method", *columns], lines) if columns else ""


def advice(rows: list[dict[str, Any]]) -> str:
    """The three best methods of each task at equal seconds and at equal transitions, in words."""
    lines = []
    for task in shown(rows):
        best = {}
        for budget in BUDGETS:
            found = means(rows, budget)[task]
            best[budget] = ", ".join(f"`{m}`" for m in sorted(found, key=lambda m: -found[m])[:3])
        lines.append(f"- {task}: {best['seconds']} in equal seconds; {best['transitions']} in equal transitions.")
    return "\n".join(lines)


def state(rows: list[dict[str, Any]]) -> str:
    """What is there, and what is missing."""
    counts = {task: common_seeds(rows, task) for task in TASKS}
    there = [f"{task} ({n} of {len(TASKS[task].seeds)} seeds)" for task, n in counts.items() if n]
    raised = sorted({(row["task"], row["method"]) for row in rows if row.get("unsupported") and counts[row["task"]]})
    lines = [f"There: {', '.join(there) or 'nothing yet'}."]
    if missing := [task for task, n in counts.items() if not n]:
        lines.append(f"Missing: {', '.join(missing)}. The ranks are those of the tasks that are there, and may change.")
    if without := uninformative(rows, "seconds"):
        named = ", ".join(without)
        lines.append(f"No method is ahead of the random policy in the seconds of {named}, which is not in the ranks.")
    if raised:
        lines.append("Not supported: " + ", ".join(f"`{method}` on {task}" for task, method in raised) + ".")
    failed = {(r["task"], r["method"]): r["failed"] for r in rows if r.get("failed")}
    lines += [f"`{method}` on {task} failed: {why.splitlines()[0]}." for (task, method), why in sorted(failed.items())]
    return " ".join(lines)


def page(rows: list[dict[str, Any]]) -> str:
    """docs/ranking.md."""
    parts = [
        "# Ranking",
        "Which objective, exploration or replay is best, judged by exact total variation? This page is made by "
        "`python -m benchmarks.ranking --report` from benchmarks/results/ranking.jsonl. " + state(rows),
        "![Interquartile means with intervals at both budgets](figures/ranking.png)",
        "A run is measured at shares of its CPU seconds and of its transitions (steps taken or undone, replayed ones "
        "included), on one core. Every method uses the best of two or three candidate settings, which raced on another "
        "seed (benchmarks/ranking_methods.py). Tasks whose objects can be listed have exact total variation (less is "
        "better), the others the ELBO (more is better). Means and standard errors are over seeds. Interquartile means "
        "with 95% bootstrap intervals (Agarwal et al. 2021) are over scores in [0, 1] of methods with a value on "
        "every task that is shown: 1 - TV, or the ELBO between the random policy (0) and the best run (1). `(slow)`: "
        "some runs had not reached the transitions after twice the seconds, and are scored by what they reached.",
        "## The best methods of each task",
        advice(rows) or "No task yet.",
    ]
    if shown(rows) == list(TASKS):
        parts += ["## Which method when", ADVICE]
    for budget, title in BUDGETS.items():
        parts += [f"## At {title}", rank_table(rows, budget), partial_table(rows, budget), task_table(rows, budget)]
    if further := large_table(rows):
        modes = ", ".join(f"{t}: distinct objects with R >= {k.high:g}" for t, k in TASKS.items() if k.high)
        parts += [
            "## Upper bounds and modes of the large tasks",
            "At the end of the CPU seconds. The EUBO (less is better) needs exact samples of the target. Modes among "
            f"500 samples ({modes}).",
            further,
        ]
    parts += ["## Curves of the ten best", "![Curves of every task](figures/ranking_curves.png)"]
    parts += [curve_table(rows, task, "seconds") for task in shown(rows)]
    return "\n\n".join(part for part in parts if part) + "\n"
