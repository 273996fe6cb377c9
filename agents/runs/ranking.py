"""Ranking of settings by a metric, and a metric over two settings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from agents.runs.compare import Group, Summary, is_number, shown_arguments, summarize
from agents.runs.errors import RunError
from gfn_envs.arrays import FloatArray
from gfn_envs.validation import did_you_mean

Direction = Literal["min", "max"]

#: Metrics that are better if smaller. Losses are not listed: those of two objectives are not comparable.
LESS_IS_BETTER = {
    *("tv", "jsd", "kl", "kl_reverse", "l1_mean", "log_z_error", "mean_reward_error", "sampled_mean_reward_error"),
    *("empirical_tv", "empirical_jsd", "empirical_kl", "empirical_l1_mean", "anderson_darling", "elbo_gap", "eubo_gap"),
    *("eubo", "seconds", "failed_rewards", "mean_tv", "worst_tv"),
}
#: Metrics that are better if larger.
MORE_IS_BETTER = {
    *("mean_reward", "sampled_mean_reward", "percent_of_target_mean", "accuracy", "elbo", "modes_found", "pearson"),
    *("spearman", "distinct_objects", "batch_ess", "batch_distinct", "mean_log_reward"),
    *("iterations_per_second", "transitions_per_second"),
    *(f"top_{k}_{what}" for k in (10, 50, 100) for what in ("reward", "diversity", "novelty")),
}


def direction(metric: str) -> Direction | None:
    """Whether smaller ("min") or larger ("max") values of a metric are better; None if that is not known."""
    return "min" if metric in LESS_IS_BETTER else "max" if metric in MORE_IS_BETTER else None


def ranked(groups: Sequence[Group], metric: str, best: Direction) -> list[Group]:
    """The groups, environment by environment, best first by the mean of their final ``metric``.

    Groups without the metric come last. Values of different environments are not comparable.
    """
    sign, environments = 1 if best == "min" else -1, list(dict.fromkeys(group.environment for group in groups))

    def place(group: Group) -> tuple[int, float]:
        values = group.values(metric)
        return environments.index(group.environment), sign * summarize(values).mean if values else math.inf

    return sorted(groups, key=place)


@dataclass(frozen=True)
class Best:
    """The best group of an environment by a metric.

    Attributes:
        group: the group.
        summary: its metric over seeds.
        next: the second best group, if there is one.
        next_summary: its metric over seeds.
        errors: difference of the two means, in standard errors of that difference; None if one has a single seed.
    """

    group: Group
    summary: Summary
    next: Group | None = None
    next_summary: Summary | None = None
    errors: float | None = None


def best_per_environment(groups: Sequence[Group], metric: str, best: Direction) -> list[Best]:
    """The best group of each environment among those that have the metric."""
    environments: dict[str, list[Group]] = {}
    for group in ranked(groups, metric, best):
        if group.values(metric):
            environments.setdefault(group.environment, []).append(group)
    found = []
    for members in environments.values():
        first, *others = [(group, summarize(group.values(metric))) for group in members[:2]]
        if not others:
            found.append(Best(*first))
            continue
        (second,) = others
        errors = None
        if first[1].se is not None and second[1].se is not None:
            error, difference = math.hypot(first[1].se, second[1].se), abs(first[1].mean - second[1].mean)
            errors = difference / error if error else math.inf if difference else 0.0
        found.append(Best(*first, *second, errors))
    return found


# ---------------------------------------------------------------------- two settings


@dataclass(frozen=True)
class SettingGrid:
    """The mean of a metric over seeds, for each pair of values of two settings.

    Attributes:
        title: agent, environment and the other settings in which grids differ.
        x, y: values of the two settings as text.
        mean: mean over seeds, NaN where there is no run (len(y), len(x)).
        se: its standard error, NaN where it is not known (len(y), len(x)).
    """

    title: str
    x: tuple[str, ...]
    y: tuple[str, ...]
    mean: FloatArray
    se: FloatArray


def settings_of_group(group: Group) -> dict[str, Any]:
    """Name -> value of the agent's name, its settings, the environment's arguments and the number of iterations.

    The names are those of flags: ``agent``, ``agent.lr``, ``env.side``, ``iterations``.
    """
    config = group.runs[0].config
    return {
        "agent": config["agent"],
        "env": config["env"],
        "iterations": config["iterations"],
        **{f"agent.{name}": value for name, value in config["settings"].items()},
        **{f"env.{name}": value for name, value in shown_arguments(config).items()},
    }


def setting_grids(groups: Sequence[Group], x: str, y: str, metric: str) -> list[SettingGrid]:
    """The final ``metric`` over the settings ``x`` and ``y``; groups that differ in others have separate grids.

    Args:
        groups: groups of runs.
        x, y: names of settings: ``agent.lr``, ``env.side``, ``iterations`` or ``agent``, also without the part before
            the dot if that is clear, and with dashes for underscores.
        metric: name of a metric.

    Raises:
        RunError: no group has one of the settings, ``x`` is ``y``, or no group has the metric.
    """
    table = [settings_of_group(group) for group in groups]
    x, y = (_setting(name, {known for settings in table for known in settings}) for name in (x, y))
    if x == y:
        raise RunError(f"a heat map needs two settings, got {x} twice")
    if not any(group.values(metric) for group in groups):
        known = sorted({name for group in groups for run in group.runs for name in run.final})
        raise RunError(f"no run has a final {metric!r} (there are: {', '.join(known)})")
    panels: dict[str, list[int]] = {}
    for place, settings in enumerate(table):
        others = {name: value for name, value in settings.items() if name not in (x, y)}
        panels.setdefault(json.dumps(others, sort_keys=True, default=str), []).append(place)
    differing = {
        name
        for name in {known for settings in table for known in settings} - {x, y}
        if len({json.dumps(settings.get(name), default=str) for settings in table}) > 1
    }
    return [
        _grid([groups[i] for i in members], [table[i] for i in members], x, y, metric, differing)
        for members in panels.values()
    ]


def _grid(
    groups: Sequence[Group], table: Sequence[dict[str, Any]], x: str, y: str, metric: str, differing: set[str]
) -> SettingGrid:
    columns, rows = (_values(settings.get(name) for settings in table) for name in (x, y))
    mean, se = np.full((2, len(rows), len(columns)), np.nan)
    for group, settings in zip(groups, table, strict=True):
        if values := group.values(metric):
            summary, cell = summarize(values), (rows.index(str(settings.get(y))), columns.index(str(settings.get(x))))
            mean[cell], se[cell] = summary.mean, np.nan if summary.se is None else summary.se
    first = table[0]
    names = [str(first[name]) for name in ("agent", "env") if name not in (x, y)]
    names += [f"{name}={first[name]}" for name in sorted(differing - {"agent", "env"}) if name in first]
    return SettingGrid(", ".join(names), columns, rows, mean, se)


def _values(values: Iterable[Any]) -> tuple[str, ...]:
    """Distinct values as text, numbers in their order, then the rest in the order in which they come."""
    distinct = list(dict.fromkeys(map(str, values)))
    return tuple(sorted(distinct, key=lambda text: (0, float(text)) if _is_float(text) else (1, 0.0)))


def _is_float(text: str) -> bool:
    try:
        return is_number(float(text)) and not math.isnan(float(text))
    except ValueError:
        return False


def _setting(name: str, known: set[str]) -> str:
    """The full name of a setting. Raises RunError if no setting or several settings match."""
    name = name.lstrip("-").replace("-", "_")
    found = [full for full in sorted(known) if full == name] or [
        full for full in sorted(known) if full.partition(".")[2] == name
    ]
    if len(found) != 1:
        other = f"is not a setting of these runs{did_you_mean(name, known)}"
        raise RunError(f"heat map: {name!r} {'can be ' + ' or '.join(found) if found else other}")
    return found[0]
