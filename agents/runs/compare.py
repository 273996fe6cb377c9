"""Comparison of several runs. Runs that differ only in their seed are aggregated."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.metrics import mean_and_error
from agents.runs import directory as runs
from agents.runs.differences import decisive, shown
from agents.runs.errors import RunError
from agents.runs.sources import source_name
from gfn_envs.arrays import FloatArray, IntArray

#: Axes of a learning curve -> the column of metrics.jsonl that holds it.
AXES = {"iterations": "iteration", "transitions": "transitions", "seconds": "seconds"}


@dataclass(frozen=True)
class Run:
    """Contents of a run directory.

    Attributes:
        path: the directory.
        config: its config.json.
        history: rows of its metrics.jsonl.
        final: its final metrics. For an unfinished run, the last row with an evaluation, or {}.
        finished: whether it reached the number of iterations in its config.
    """

    path: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    final: dict[str, Any]
    finished: bool

    @property
    def iteration(self) -> int:
        """The last iteration in the history, or 0."""
        return max((row["iteration"] for row in self.history), default=0)

    @property
    def budget(self) -> int | None:
        """Most calls of the oracle, which end the training; None without a limit."""
        return self.config.get("oracle", {}).get("budget")

    @property
    def environment(self) -> str:
        """Id and arguments on one line, without arguments that are None."""
        arguments = shown_arguments(self.config).items()
        return f"{self.config['env']}({', '.join(f'{k}={v}' for k, v in arguments if v is not None)})"


def shown_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a run's environment by name. Values that JSON cannot express are text."""
    return {name: shown(value) if isinstance(value, dict) else value for name, value in config["env_arguments"].items()}


#: Entries that do not define an experiment: the seed, and where and how a run was made.
NOT_COMPARED = ("seed", "engine", "probe", "provenance", "env_source", "oracle")


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read a run directory, finished or not.

    Raises:
        RunError: the directory is not a run or is damaged.
    """
    path = Path(path)
    config, history = runs.read_config(path), runs.read_history(path)
    if not isinstance(config.get("iterations"), int):
        raise RunError(f"{path / runs.CONFIG} is not the config of a run: it has no iterations (int)")
    final = runs.read_metrics(path) if (path / runs.METRICS).exists() else {"iteration": -1}
    if not isinstance(final.get("iteration"), int):
        raise RunError(f"{path / runs.METRICS} is damaged: its iteration is {final.get('iteration')!r}")
    # A run that was resumed for more iterations still holds the metrics of the earlier end.
    latest = max((row["iteration"] for row in history), default=-1)  # It may have been continued after its stop.
    finished = final["iteration"] >= (latest if "stopped" in final else config["iterations"])
    if not finished:
        final = next((row for row in reversed(history) if "elbo" in row), {})
    return Run(path, config, history, final, finished)


def read_runs(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Run], list[str]]:
    """The runs among ``paths``, and one line per other path that says why it is not a run."""
    found, reasons = [], []
    for path in paths:
        try:
            found.append(read_run(path))
        except RunError as error:
            reasons.append(str(error))
    return found, reasons


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        label: the agent, with the settings that distinguish it from other groups on the same environment.
        runs: the runs, sorted by seed.
    """

    label: str
    runs: tuple[Run, ...]

    @property
    def environment(self) -> str:
        return self.runs[0].environment

    @property
    def unfinished(self) -> list[Run]:
        return [run for run in self.runs if not run.finished]

    def values(self, metric: str) -> list[float]:
        """Final values of ``metric`` of the runs that have it."""
        return [run.final[metric] for run in self.runs if is_number(run.final.get(metric))]


def is_number(value: Any) -> bool:
    """True if ``value`` is an int or a float, but not a bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def group_runs(given: Iterable[Run]) -> list[Group]:
    """Group runs that agree in everything but the seed, in order of first appearance.

    Raises:
        RunError: two runs of one group have the same seed. Counted twice, a run would understate the error.
    """
    groups: dict[str, list[Run]] = {}
    for run in given:
        compared = {k: v for k, v in run.config.items() if k not in NOT_COMPARED} | {"budget": run.budget}
        groups.setdefault(json.dumps(decisive(compared), sort_keys=True), []).append(run)
    members = [sorted(group, key=lambda run: run.config["seed"]) for group in groups.values()]
    for group in members:
        for a, b in itertools.pairwise(group):
            if a.config["seed"] == b.config["seed"]:
                raise RunError(f"{a.path} and {b.path} are the same run with seed {a.config['seed']}: pass one of them")
    return [Group(label, tuple(group)) for label, group in zip(_labels(members), members, strict=True)]


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Names of agents, each with the settings in which groups of the same agent and environment differ."""
    firsts = [group[0] for group in groups]
    names = [(run.config["agent"], run.environment) for run in firsts]
    settings = [
        {**run.config["settings"], "iterations": run.config["iterations"], "budget": run.budget}
        | {part: source_name(each) for part, each in run.config.get("sources", {}).items()}
        | {f"{part} values": digits for part, digits in run.config.get("held", {}).items()}
        for run in firsts
    ]
    return [f"{name}{suffix}" for (name, _), suffix in zip(names, _differences(names, settings), strict=True)]


def short_environments(groups: Sequence[Group]) -> list[str]:
    """Names of the groups' environments without namespace, each with the arguments in which equal names differ."""
    names = [group.runs[0].config["env"] for group in groups]
    suffixes = _differences(names, [shown_arguments(group.runs[0].config) for group in groups])
    return [f"{name.split('/')[-1]}{suffix}" for name, suffix in zip(names, suffixes, strict=True)]


def _differences(names: Sequence[Any], settings: Sequence[dict[str, Any]]) -> list[str]:
    """For each name, the settings in which equal names differ: " (lr=0.1, side=8)", or ""."""
    suffixes = []
    for name, own in zip(names, settings, strict=True):
        others = [other for other_name, other in zip(names, settings, strict=True) if other_name == name]
        differing = [key for key in own if any(other.get(key) != own[key] for other in others)]
        suffixes.append(f" ({', '.join(f'{key}={own[key]}' for key in differing)})" if differing else "")
    return suffixes


# ---------------------------------------------------------------------- final metrics


@dataclass(frozen=True)
class Summary:
    """A metric over seeds.

    Attributes:
        n: number of values.
        mean: their mean.
        se: its standard error, None if n is 1.
        low, high: ends of its 95% bootstrap interval, None if not requested or n is 1.
    """

    n: int
    mean: float
    se: float | None
    low: float | None = None
    high: float | None = None


def summarize(values: Sequence[float], bootstrap: bool = False, seed: int = 0) -> Summary:
    """Aggregate one value per seed.

    Args:
        values: at least one.
        bootstrap: also compute the 95% percentile bootstrap interval of the mean (Efron 1979) from 9,999 resamples.
        seed: seed of the resamples.
    """
    mean, error = mean_and_error(values)
    if not bootstrap or len(values) < 2:
        return Summary(len(values), mean, error)
    from scipy import stats

    interval = stats.bootstrap(
        (np.asarray(values, dtype=np.float64),),
        np.mean,
        confidence_level=0.95,
        method="percentile",  # the only method that is defined for two seeds or equal values
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Summary(len(values), mean, error, float(interval.low), float(interval.high))


def final_metrics(group: Group, bootstrap: bool = False) -> dict[str, Summary]:
    """Every numeric final metric of a group, over the runs that have it."""
    names = dict.fromkeys(name for run in group.runs for name in run.final if name not in ("seed", "iteration"))
    return {name: summarize(values, bootstrap) for name in names if (values := group.values(name))}


# ---------------------------------------------------------------------- learning curves


@dataclass(frozen=True)
class Curve:
    """A metric over training, with one point per iteration at which some seed has it.

    Attributes:
        label: label of the group.
        x: iterations, or the seeds' mean transitions or seconds at that iteration (p,).
        mean: mean over seeds (p,).
        se: standard error of that mean, 0 for a single seed (p,).
        count: number of seeds per point (p,). It falls where an unfinished run ends.
    """

    label: str
    x: FloatArray
    mean: FloatArray
    se: FloatArray
    count: IntArray


def learning_curve(group: Group, metric: str, axis: str = "iterations") -> Curve | None:
    """``metric`` of a group over ``axis`` (one of AXES), seeds aggregated at equal iterations.

    Returns:
        None if no row has the metric.

    Raises:
        ValueError: ``axis`` is unknown.
    """
    if axis not in AXES:
        raise ValueError(f"unknown axis {axis!r} (allowed: {', '.join(AXES)})")
    points: dict[int, list[tuple[float, float]]] = {}
    for run in group.runs:
        for row in run.history:
            if is_number(row.get(metric)) and is_number(row.get(AXES[axis])):
                points.setdefault(row["iteration"], []).append((row[AXES[axis]], row[metric]))
    if not points:
        return None
    ordered = [np.array(points[iteration], dtype=np.float64) for iteration in sorted(points)]
    means, errors = zip(*(mean_and_error(point[:, 1]) for point in ordered), strict=True)
    return Curve(
        group.label,
        np.array([point[:, 0].mean() for point in ordered]),
        np.array(means),
        np.array([error or 0.0 for error in errors]),
        np.array([len(point) for point in ordered]),
    )


def learning_curves(groups: Sequence[Group], metric: str, axis: str = "iterations") -> dict[str, list[Curve]]:
    """Curves of all groups that have ``metric``, per environment, because values do not compare across environments.

    Raises:
        RunError: no run logged the metric. The message lists the logged ones.
    """
    panels: dict[str, list[Curve]] = {}
    for group in groups:
        if (curve := learning_curve(group, metric, axis)) is not None:
            panels.setdefault(group.environment, []).append(curve)
    if not panels:
        known = sorted(logged_metrics(groups))
        raise RunError(f"no run has logged the metric {metric!r} (logged: {', '.join(known) or 'nothing'})")
    return panels


def logged_metrics(groups: Sequence[Group]) -> set[str]:
    """Names of the numeric columns of the histories, without the axes."""
    rows = (row for group in groups for run in group.runs for row in run.history)
    return {name for row in rows for name, value in row.items() if is_number(value)} - set(AXES.values())
