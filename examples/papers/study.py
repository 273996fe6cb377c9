"""All experiments of one paper: definitions, results, and missing or stale rows.

shen2023.py, madan2023.py and niu2024.py declare a :class:`Study` each; study_command.py runs it, study_page.py writes
its page. Only rows of full length count. Runs with --quick are in other directories and never appear.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from runner import Experiment, rounds_to_target
from tables import key

import agents
import gfn_envs
from agents.evaluation import metrics
from agents.runs import directory as runs

#: Points of a learning curve that the repository keeps.
POINTS = 40

Results = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that a metric can confirm: row ``better`` has a lower (or higher) value than ``worse``.

    The difference counts if it exceeds two standard errors.
    """

    text: str
    metric: str
    better: str
    worse: str
    lower: bool = True

    def verdict(self, results: Results, seeds: Sequence[int]) -> str:
        """ "reproduced", "not reproduced" or "not measured", with the numbers."""
        rows = self.better, self.worse
        found = [values(results, row, seeds, self.metric) for row in rows]
        runs_of = [sum(key(row, seed) in results for seed in seeds) for row in rows]
        if not all(runs_of):
            return "not measured yet"
        if any(len(each) < of for each, of in zip(found, runs_of, strict=True)):
            present = (
                f"{len(each)} of {of} seeds of {row}" + (f" ({number(*metrics.mean_and_error(each))})" if each else "")
                for row, each, of in zip(rows, found, runs_of, strict=True)
            )
            return f"not decided, {self.metric} exists for {' and '.join(present)}"
        (a, ea), (b, eb) = (metrics.mean_and_error(each) for each in found)
        error = 2 * float(np.hypot(ea or 0.0, eb or 0.0))
        gap = (b - a) if self.lower else (a - b)
        how = "reproduced" if gap > error else "reversed" if gap < -error else "not decided, within 2 standard errors"
        if min(map(len, found)) < 2:  # One seed has no error.
            how = f"not decided by one seed, which is {'for' if gap > 0 else 'against'} the claim"
        counts = f"{len(found[0])} and {len(found[1])} seeds"
        return f"{how}: {self.metric} {number(a, ea)} of {self.better}, {number(b, eb)} of {self.worse} ({counts})"


@dataclass(frozen=True)
class Part:
    """One table and figure.

    Attributes:
        key: name of its run directory.
        title: heading.
        experiment: the experiment, with the environment of this part.
        rows: names of rows; None: all.
        rounds: training iterations; None: those of the experiment. Fewer than those are said on the page.
        single: rows of which one seed is asked for, because a seed takes more than 20 CPU minutes.
        settings: settings that replace those of the rows.
        metric: metric of the figure.
        comparable: whether the published values measure the same. If not, they are not shown.
        note: what differs from the paper, and why.
        claims: statements of the paper.
    """

    key: str
    title: str
    experiment: Experiment
    rows: tuple[str, ...] | None = None
    rounds: int | None = None
    single: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    metric: str = "tv"
    comparable: bool = True
    note: str = ""
    claims: tuple[Claim, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.experiment.rows) if self.rows is None else self.rows

    @property
    def length(self) -> int:
        return self.rounds or self.experiment.rounds

    def seeds_of(self, row: str, seeds: Sequence[int]) -> Sequence[int]:
        """Seeds that are asked for: the first one of a row in ``single``, all of others."""
        return seeds[:1] if row in self.single else seeds


@dataclass(frozen=True)
class Study:
    """A paper: ``name`` of its files, ``title`` of its page, and its parts."""

    name: str
    title: str
    parts: tuple[Part, ...]


def on(experiment: Experiment, **env_arguments: Any) -> Experiment:
    """The experiment on another instance of its environment."""
    return dataclasses.replace(experiment, env_arguments={**experiment.env_arguments, **env_arguments})


def values(results: Results, row: str, seeds: Sequence[int], metric: str) -> list[float]:
    """The metric of each seed of a row that has it."""
    found = [results[key(row, seed)]["metrics"].get(metric) for seed in seeds if key(row, seed) in results]
    return [value for value in found if value is not None]


def number(mean: float, error: float | None) -> str:
    return f"{mean:.3g}" + ("" if error is None else f" ± {error:.2g}")


# ---------------------------------------------------------------------- what the repository keeps


def compact(entry: Results) -> Results:
    """A row of results.json without its looks: settings, numbers, and a curve of at most POINTS points.

    ``rounds_to_97`` is added: the first round at which the mean of the preceding 500 rounds reaches 97% of the mean
    reward of an exact sampler to stay.
    """
    numbers = {**entry["evaluation"], **entry}
    if entry["target_mean"]:
        rewards = np.array([look["mean_reward"] for look in entry["looks"]])
        rounds = [look["round"] for look in entry["looks"]]
        numbers["rounds_to_97"] = rounds_to_target(rewards, rounds, 0.97 * entry["target_mean"])
    kept = {name: value for name, value in numbers.items() if isinstance(value, int | float) or value is None}
    looks = entry["looks"]
    exact = [look for look in looks if look.get("tv") is not None]
    points = exact if exact else looks
    chosen = [points[i] for i in np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int))]
    names = ("round", "seconds", "mean_reward", "modes", "tv")
    curve = [{name: rounded(look[name]) for name in names if look.get(name) is not None} for look in chosen]
    return {"config": entry["config"], "rounds": entry["rounds"], "metrics": kept, "curve": curve}


def rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.5g}")


def collect(study: Study, directory: Path, file: Path) -> dict[str, Results]:
    """Results of every part: those that the repository keeps, and those of the run directories, which replace them."""
    kept = runs.read_json(file) if file.exists() else {}
    for part in study.parts:
        source = directory / study.name / part.key / "results.json"
        if source.exists():
            try:
                found = {name: compact(entry) for name, entry in runs.read_json(source).items()}
            except (KeyError, TypeError) as error:
                raise runs.RunError(f"{source} is damaged: a row lacks {error}") from None
            kept[part.key] = {**kept.get(part.key, {}), **found}
    return kept


def state(part: Part, results: Results, seeds: Sequence[int]) -> dict[tuple[str, int], str]:
    """ "done", "missing", "N of M rounds", or why a row is stale, of every row and seed that is asked for or there."""
    status: dict[tuple[str, int], str] = {}
    described: dict[str, Results] = {}
    for row in part.names:
        asked = part.seeds_of(row, seeds)
        for seed in (seed for seed in seeds if seed in asked or key(row, seed) in results):
            entry = results.get(key(row, seed))
            if entry is None:
                status[row, seed] = "missing"
            elif entry["rounds"] < part.length:
                status[row, seed] = f"{entry['rounds']:,} of {part.length:,} rounds"
            else:
                if row not in described:
                    described[row] = configuration(part, row)
                status[row, seed] = difference(entry["config"], described[row])
    return status


def configuration(part: Part, row: str) -> Results:
    """The current configuration of a run of the row, as JSON; empty if its environment cannot be made here."""
    declared = part.experiment.rows[row]
    try:
        dag = gfn_envs.make_dag(part.experiment.env, **part.experiment.env_arguments)
    except (ValueError, OSError, ImportError):
        return {}
    agent = agents.make_agent(declared.agent, dag, **{**declared.settings, **part.settings})
    found: Results = json.loads(json.dumps(runs.describe(agent)))
    return found


def difference(old: Results, new: Results) -> str:
    """ "done", or "stale: " and the settings in which a run differs from what the script asks for now."""
    if not new:
        return "done"
    defaults = json.loads(json.dumps(runs.settings_of(agents.AGENTS[new["agent"]].config_class())))
    before, now = {**defaults, **old["settings"]}, new["settings"]
    changed = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    changed += [name for name in ("agent", "env", "env_arguments") if old[name] != new[name]]
    return f"stale: other {', '.join(changed)}" if changed else "done"
