"""Several runs beside each other: those that differ only in their seed are aggregated."""

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
from gfn_envs.arrays import FloatArray, IntArray

#: Axes of a learning curve -> the column of metrics.jsonl that holds it.
AXES = {"iterations": "iteration", "transitions": "transitions", "seconds": "seconds"}


@dataclass(frozen=True)
class Run:
    """What a run directory says.

    Attributes:
        path: the directory.
        config: its config.json.
        history: the rows of its metrics.jsonl.
        final: its final metrics; of an unfinished run the last row that holds an evaluation, or {}.
        finished: whether it reached the number of iterations that its config asks for.
    """

    path: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    final: dict[str, Any]
    finished: bool

    @property
    def iteration(self) -> int:
        """The last one that the history tells of, 0 where it is empty."""
        return max((row["iteration"] for row in self.history), default=0)

    @property
    def environment(self) -> str:
        """Id and arguments in one line, without arguments that are None."""
        arguments = self.config["env_arguments"].items()
        return f"{self.config['env']}({', '.join(f'{k}={v}' for k, v in arguments if v is not None)})"


def read_run(path: str | os.PathLike[str]) -> Run:
    """Read a run directory, finished or not.

    Raises:
        RunError: not a run, or damaged.
    """
    path = Path(path)
    config, history = runs.read_config(path), runs.read_history(path)
    if not isinstance(config.get("iterations"), int):
        raise runs.RunError(f"{path / runs.CONFIG} is not the config of a run: it has no iterations (int)")
    final = runs.read_json(path / runs.METRICS) if (path / runs.METRICS).exists() else {"iteration": -1}
    if not isinstance(final.get("iteration"), int):
        raise runs.RunError(f"{path / runs.METRICS} is damaged: its iteration is {final.get('iteration')!r}")
    # A run that was resumed for more iterations still holds the metrics of the earlier end.
    finished = final["iteration"] >= config["iterations"]
    if not finished:
        final = next((row for row in reversed(history) if "elbo" in row), {})
    return Run(path, config, history, final, finished)


def read_runs(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Run], list[str]]:
    """Those of ``paths`` that are runs, and why each of the others is none, one line each."""
    found, reasons = [], []
    for path in paths:
        try:
            found.append(read_run(path))
        except runs.RunError as error:
            reasons.append(str(error))
    return found, reasons


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        label: the agent, and the settings that tell it from other groups on the same environment.
        runs: by seed.
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
        """The final value of ``metric`` of each run that has it."""
        return [run.final[metric] for run in self.runs if is_number(run.final.get(metric))]


def is_number(value: Any) -> bool:
    """Whether ``value`` is an int or a float, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def group_runs(given: Iterable[Run]) -> list[Group]:
    """Group runs that agree in everything but the seed, in order of first appearance.

    Raises:
        RunError: two runs of one group have the same seed: as the same run twice they would feign certainty.
    """
    groups: dict[str, list[Run]] = {}
    for run in given:
        key = json.dumps({k: v for k, v in run.config.items() if k != "seed"}, sort_keys=True)
        groups.setdefault(key, []).append(run)
    members = [sorted(group, key=lambda run: run.config["seed"]) for group in groups.values()]
    for group in members:
        for a, b in itertools.pairwise(group):
            if a.config["seed"] == b.config["seed"]:
                raise runs.RunError(f"{a.path} and {b.path} are the same run, with seed {a.config['seed']}: give one")
    return [Group(label, tuple(group)) for label, group in zip(_labels(members), members, strict=True)]


def _labels(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Names of agents, each with the settings in which it differs from its namesakes on the same environment."""
    firsts = [group[0] for group in groups]
    names = [(run.config["agent"], run.environment) for run in firsts]
    settings = [{**run.config["settings"], "iterations": run.config["iterations"]} for run in firsts]
    return [f"{name}{told}" for (name, _), told in zip(names, _differences(names, settings), strict=True)]


def short_environments(groups: Sequence[Group]) -> list[str]:
    """Names of the groups' environments, without namespace; each with the arguments that tell it from its namesakes."""
    names = [group.runs[0].config["env"] for group in groups]
    arguments = [group.runs[0].config["env_arguments"] for group in groups]
    told = _differences(names, arguments)
    return [f"{name.split('/')[-1]}{differences}" for name, differences in zip(names, told, strict=True)]


def _differences(names: Sequence[Any], settings: Sequence[dict[str, Any]]) -> list[str]:
    """For each name, its settings that are not those of every equal name: " (lr=0.1, side=8)", or ""."""
    told = []
    for name, own in zip(names, settings, strict=True):
        others = [other for other_name, other in zip(names, settings, strict=True) if other_name == name]
        differing = [key for key in own if any(other.get(key) != own[key] for other in others)]
        told.append(f" ({', '.join(f'{key}={own[key]}' for key in differing)})" if differing else "")
    return told


# ---------------------------------------------------------------------- final metrics


@dataclass(frozen=True)
class Summary:
    """A metric over seeds: ``n`` values, their mean, its standard error (None where n is 1) and, where asked for and n
    is 2 or more, the ends of its 95% bootstrap interval."""

    n: int
    mean: float
    se: float | None
    low: float | None = None
    high: float | None = None


def summarize(values: Sequence[float], bootstrap: bool = False, seed: int = 0) -> Summary:
    """Aggregate one value a seed.

    Args:
        values: at least one.
        bootstrap: also the 95% percentile bootstrap interval of the mean (Efron 1979), from 9,999 resamples.
        seed: of the resamples.
    """
    mean, error = mean_and_error(values)
    if not bootstrap or len(values) < 2:
        return Summary(len(values), mean, error)
    from scipy import stats

    interval = stats.bootstrap(
        (np.asarray(values, dtype=np.float64),),
        np.mean,
        confidence_level=0.95,
        method="percentile",  # the only one that is defined for two seeds, or for equal values
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Summary(len(values), mean, error, float(interval.low), float(interval.high))


def final_metrics(group: Group, bootstrap: bool = False) -> dict[str, Summary]:
    """Every number among the final metrics of a group, over the runs that have it."""
    names = dict.fromkeys(name for run in group.runs for name in run.final if name not in ("seed", "iteration"))
    return {name: summarize(values, bootstrap) for name in names if (values := group.values(name))}


# ---------------------------------------------------------------------- learning curves


@dataclass(frozen=True)
class Curve:
    """A metric over training, one point for each iteration at which some seed has it.

    Attributes:
        label: of the group.
        x: iterations, or the mean transitions or seconds of the seeds at that iteration (p,).
        mean: over seeds (p,).
        se: standard error of that mean, 0 where there is one seed (p,).
        count: seeds behind each point (p,); fewer where an unfinished run has ended.
    """

    label: str
    x: FloatArray
    mean: FloatArray
    se: FloatArray
    count: IntArray


def learning_curve(group: Group, metric: str, axis: str = "iterations") -> Curve | None:
    """``metric`` of a group over ``axis`` (one of AXES), seeds aggregated at equal iterations.

    Returns:
        None where no row has the metric.

    Raises:
        ValueError: an unknown axis.
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
    """The curves of all groups that have ``metric``, for each environment apart: values on two do not compare.

    Raises:
        RunError: no run's history has the metric; the message lists those that it has.
    """
    panels: dict[str, list[Curve]] = {}
    for group in groups:
        if (curve := learning_curve(group, metric, axis)) is not None:
            panels.setdefault(group.environment, []).append(curve)
    if not panels:
        known = sorted(logged_metrics(groups))
        raise runs.RunError(f"no run has logged the metric {metric!r} (logged: {', '.join(known) or 'nothing'})")
    return panels


def logged_metrics(groups: Sequence[Group]) -> set[str]:
    """Names of the numbers in the histories, apart from the axes."""
    rows = (row for group in groups for run in group.runs for row in run.history)
    return {name for row in rows for name, value in row.items() if is_number(value)} - set(AXES.values())
