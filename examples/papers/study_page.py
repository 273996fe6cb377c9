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


def page(study: Study, results: dict[str, Results], seeds: Sequence[int], figures: Path, timing: Results) -> str:
    """The paper's page, as Markdown. Figures are drawn on the way."""
    texts = [f"# {study.title}", f"Written by `python -m examples.papers.{study.name} --figures`; do not edit by hand."]
    spent = sum(seconds_shown(part, results.get(part.key, {}), seeds) for part in study.parts) / 3600
    texts.append(f"Mean ± standard error over seeds. Training of the rows shown took {spent:.1f} hours on one core.")
    if timing:
        texts[-1] += (
            f" All rows and seeds take about {sum(timing.values()):.0f} CPU hours at the speed of their first rounds "
            "(`--time`), without evaluations, and longer where trajectories get longer."
        )
    for part in study.parts:
        texts += section(study, part, results.get(part.key, {}), seeds, figures, timing.get(part.key))
    return "\n\n".join(texts) + "\n"


def seconds_shown(part: Part, results: Results, seeds: Sequence[int]) -> float:
    """Seconds of training of the rows and seeds that the part's table shows."""
    done = [results[key(*label)] for label, text in state(part, results, seeds).items() if text == "done"]
    return float(sum(entry["metrics"].get("seconds") or 0 for entry in done))


def section(
    study: Study, part: Part, results: Results, seeds: Sequence[int], figures: Path, hours: float | None
) -> Iterator[str]:
    """Heading, table, claims, figure and missing rows of a part."""
    status = state(part, results, seeds)
    shown = {key(*label): results[key(*label)] for label, text in status.items() if text == "done"}
    yield f"## {part.title}"
    whole = "" if hours is None else f" All rows and seeds take about {hours:.2g} CPU hours."
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
