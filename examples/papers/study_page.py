"""The page of a paper: tables, figures, verdicts, and missing rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from study import Part, Results, Study, state
from tables import key, summary

from agents.evaluation import metrics
from agents.plots.figures import comparison
from agents.runs.compare import Curve

#: "done", or what is missing, of each row and seed.
Status = dict[tuple[str, int], str]


def page(study: Study, results: dict[str, Results], seeds: Sequence[int], figures: Path, timing: Results) -> str:
    """The paper's page, as Markdown. Figures are drawn on the way."""
    texts = [f"# {study.title}", f"Written by `python -m examples.papers.{study.name} --figures`; do not edit by hand."]
    found = {part.key: results.get(part.key, {}) for part in study.parts}
    status = {part.key: state(part, found[part.key], seeds) for part in study.parts}
    spent = sum(seconds_shown(found[key], status[key]) for key in found) / 3600
    measured = {part.key: measured_hours(part, found[part.key], status[part.key], seeds) for part in study.parts}
    complete = sum(hours or 0.0 for hours in measured.values())
    rest = sum(hours for name, hours in timing.items() if name in measured and measured[name] is None)
    texts.append(
        f"Mean ± standard error over seeds. Training of the rows shown took {spent:.1f} hours on one core. All rows "
        f"and seeds of the complete parts take {complete:.1f} CPU hours"
        + (f", and the other parts at least {rest:.1f}, at the speed of their first rounds (`--time`)" if rest else "")
        + ". Evaluations are not included."
    )
    for part in study.parts:
        hours = measured[part.key]
        whole = f" All rows and seeds took {hours:.2g} CPU hours." if hours is not None else ""
        if hours is None and part.key in timing:
            whole = f" All rows and seeds take at least {timing[part.key]:.2g} CPU hours."
        texts += section(study, part, found[part.key], status[part.key], seeds, figures, whole)
    return "\n\n".join(texts) + "\n"


def seconds_shown(results: Results, status: Status) -> float:
    """Seconds of training of the rows and seeds that a part's table shows."""
    done = [results[key(*label)] for label, text in status.items() if text == "done"]
    return float(sum(entry["metrics"].get("seconds") or 0 for entry in done))


def measured_hours(part: Part, results: Results, status: Status, seeds: Sequence[int]) -> float | None:
    """CPU hours of training of all rows and seeds that are asked for; None if a row has no result yet.

    A seed that is missing counts as much as the others of its row.
    """
    total = 0.0
    for row in part.names:
        done = [results[key(row, seed)] for seed in seeds if status.get((row, seed)) == "done"]
        if not done:
            return None
        total += float(np.mean([entry["metrics"]["seconds"] for entry in done])) * len(part.seeds_of(row, seeds))
    return total / 3600


def section(
    study: Study, part: Part, results: Results, status: Status, seeds: Sequence[int], figures: Path, whole: str
) -> Iterator[str]:
    """Heading, table, claims, figure and missing rows of a part. ``whole`` says how long all of it takes."""
    shown = {key(*label): results[key(*label)] for label, text in status.items() if text == "done"}
    yield f"## {part.title}"
    command = f"python -m examples.papers.{study.name} --only {part.key}"
    scaled = part.length < part.experiment.rounds
    rounds = f"{part.length:,} rounds" + (f", scaled down from {part.experiment.rounds:,}" if scaled else "")
    alone = f" At least one seed of {', '.join(part.single)}: more than 20 CPU minutes each." if part.single else ""
    yield f"`{command}`: {rounds}.{alone}{whole} {part.note}".strip()
    columns = part.experiment.columns
    published = part.comparable and any(row.published != "-" for row in part.experiment.rows.values())
    head = ["row", "seeds", "CPU seconds", *([f"published: {part.experiment.published}"] * published)]
    lines = [[*head, *(column.heading for column in columns)]]
    for row in part.names:
        found = [shown[key(row, seed)] for seed in seeds if key(row, seed) in shown]
        if found:
            entries = [{"evaluation": {}, **entry["metrics"]} for entry in found]
            seconds = np.mean([entry["metrics"]["seconds"] for entry in found])
            of_paper = [part.experiment.rows[row].published] * published
            lines.append([row, str(len(found)), f"{seconds:.0f}", *of_paper, *(summary(entries, c) for c in columns)])
    if len(lines) > 1:
        lines.insert(1, ["---"] * len(lines[0]))
        yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if part.claims and shown:
        yield "\n".join(f"* {claim.text}: {claim.verdict(shown, seeds)}." for claim in part.claims)
    if found := curves(part, shown, seeds):
        file = figures / f"{study.name}_{part.key}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        comparison({part.title: found}, part.metric.replace("_", " "), "round", file)
        yield f"![{part.title}: {part.metric} over rounds](figures/{file.name})"
    rest = [f"{row}, seed {seed}: {text}" for (row, seed), text in status.items() if text != "done"]
    if len(rest) == len(status) and not results:
        yield f"No run yet: all {len(status)} rows and seeds are missing."
    elif rest:
        yield "Not shown: " + "; ".join(rest) + "."


def curves(part: Part, shown: Results, seeds: Sequence[int]) -> list[Curve]:
    """Learning curves of the part's metric, of the rows with results."""
    made = []
    for row in part.names:
        points: dict[int, list[float]] = {}
        for entry in (shown[key(row, seed)] for seed in seeds if key(row, seed) in shown):
            for point in entry["curve"]:
                if part.metric in point:
                    points.setdefault(point["round"], []).append(point[part.metric])
        if points:
            at = sorted(points)
            means, errors = zip(*(metrics.mean_and_error(points[r]) for r in at), strict=True)
            counts = np.array([len(points[r]) for r in at])
            made.append(Curve(row, np.array(at, float), np.array(means), np.array([e or 0.0 for e in errors]), counts))
    return made
