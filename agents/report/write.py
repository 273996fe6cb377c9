"""One HTML report on one or several runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.errors import NoLegalActionError
from agents.evaluation.diagnostics import batch_diagnostics, policy_warning
from agents.evaluation.evaluate import may_evaluate_rewards, rewards_reason
from agents.evaluation.full import full_evaluation
from agents.evaluation.metrics import reward_of
from agents.export.samples import Samples, draw_samples, samples_of, select
from agents.report import facts
from agents.report.charts import Chart
from agents.report.curves import curve_charts
from agents.report.distributions import distribution_charts, sampled_charts
from agents.report.page import check_installed, page
from agents.report.pictures import picture
from agents.runs.compare import Group, Run, group_runs, read_run, short_environments
from agents.runs.directory import load_agent
from agents.runs.errors import RunError
from agents.runs.files import write_bytes
from agents.runs.ranking import best_per_environment, direction
from agents.runs.rows import undefined
from gfn_envs.reward_errors import BudgetSpent

#: Best objects that are shown.
NUM_BEST = 12


@dataclass(frozen=True)
class Options:
    """Options of a report.

    Attributes:
        num_samples: trajectories of the evaluation of each setting.
        seed: seed of those trajectories.
        rewards: "auto", "all" or "none", as in :func:`agents.evaluation.evaluate.evaluate`.
        exact_states: see :func:`agents.evaluation.evaluate.is_enumerable`.
        trust: import modules that the runs name, which runs their code.
        known: SMILES of known molecules, for their novelty; not used for other objects.
    """

    num_samples: int = 2000
    seed: int = 0
    rewards: str = "auto"
    exact_states: int | None = None
    trust: bool = False
    known: tuple[str, ...] | None = None


@dataclass
class Learned:
    """The evaluation of an agent of a group.

    Attributes:
        run: the run that was opened.
        metrics: its metrics.
        undefined: reason -> names of metrics that are missing.
        charts: the learned distribution and the target.
        objects: its best objects: name, reward, samples, picture.
        calls: the best calls of its oracle, if it has one: name, reward.
        notes: parts that are left out, and the reasons.
    """

    run: Run
    metrics: dict[str, Any]
    undefined: dict[str, list[str]] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write_report(
    runs: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "report.html",
    options: Options | None = None,
    advance: Callable[[str], object] = lambda step: None,
) -> Path:
    """Write one self-contained HTML file on one or several run directories, finished or not.

    Runs that differ only in their seed are one setting. The agent of one run per setting is opened and evaluated. If
    that is not possible, the report says why and contains the rest.

    Args:
        runs: run directories.
        out: the file.
        options: what to evaluate.
        advance: called with the name of each step when it begins.

    Returns:
        The path of the file.

    Raises:
        RunError: a directory is not a run, or no directory was given.
        ImportError: plotly or jinja2 is not installed.
        OSError: the file cannot be written, for example because the disk is full. An older file stays.
    """
    check_installed()
    options, out = options or Options(), Path(out)
    groups = group_runs(read_run(path) for path in runs)
    if not groups:
        raise RunError("a report needs at least one run directory")
    advance("learning curves")
    curves = curve_charts(groups)
    sections = []
    for group in groups:
        advance(f"{group.label} on {group.environment}")
        sections.append(section(group, learned(group, options)))
    advance("page")
    content = page(title_of(groups), sections, curves, comparison(groups)).encode()
    write_bytes(out, content)
    return out


def title_of(groups: Sequence[Group]) -> str:
    """The heading of a report."""
    names = list(dict.fromkeys(short_environments(groups)))
    where = names[0] if len(names) == 1 else f"{len(names)} environments"
    what = groups[0].label if len(groups) == 1 else f"{len(groups)} settings"
    return f"{what} on {where}"


def comparison(groups: Sequence[Group]) -> dict[str, Any] | None:
    """The table of several settings, and the best of each environment; None for a single setting."""
    if len(groups) < 2:
        return None
    header, rows = facts.compared_rows(groups)
    known = {name for group in groups for run in group.runs for name in run.final}
    metric = next((name for name in ("tv", "elbo", "sampled_mean_reward") if name in known), None)
    best = []
    if metric is not None and (which := direction(metric)) is not None:
        for found in best_per_environment(groups, metric, which):
            error = "" if found.summary.se is None else f" ± {found.summary.se:.2g}"
            value = f"{facts.number(found.summary.mean)}{error}"
            best.append(f"{found.group.environment}: {found.group.label} has the best {metric}, {value}")
    return {"header": header, "rows": rows, "best": best}


def section(group: Group, found: Learned) -> dict[str, Any]:
    """The section of the page on a group."""
    metrics = {**found.run.final, **found.metrics}
    warnings = facts.warnings_of(group)
    if (warning := found.metrics.get("warning")) and not any(run.final.get("warning") for run in group.runs):
        warnings.append(warning)
    return {
        "label": group.label,
        "environment": group.environment,
        "run": facts.what_was_run(group),
        "settings": facts.settings_facts(group),
        "arguments": facts.argument_facts(group),
        "headlines": facts.headlines(metrics, group),
        "warnings": warnings,
        "notes": found.notes,
        "charts": found.charts,
        "objects": found.objects,
        "calls": found.calls,
        "metrics": facts.metric_rows(metrics),
        "undefined": [(reason, ", ".join(names)) for reason, names in found.undefined.items()],
        "reproduction": facts.reproduction(group),
        "opened": str(found.run.path) if len(group.runs) > 1 else "",
    }


def learned(group: Group, options: Options) -> Learned:
    """Open and evaluate the first finished run of a group."""
    run = next((run for run in group.runs if run.finished), group.runs[0])
    found = Learned(run, {}, run.final.get("undefined") or {})
    try:
        agent = load_agent(run.path, trust=options.trust)
    except (RunError, OSError, ImportError) as error:
        found.notes.append(f"The agent was not opened, so its samples are missing: {error}")
        return found
    found.calls = best_calls(agent.dag)
    try:
        _evaluate(agent, options, found)
    except (ValueError, ArithmeticError, NoLegalActionError, BudgetSpent, OSError, ImportError) as error:
        found.notes.append(f"The evaluation stopped: {error}")
    return found


def _evaluate(agent: Agent, options: Options, found: Learned) -> None:
    """Add metrics, charts and best objects of an agent to ``found``."""
    dag, rewards = agent.dag, options.rewards
    if may_evaluate_rewards(dag, rewards):
        trajectories = agent.sample_trajectories(options.num_samples, rng=np.random.default_rng(options.seed))
        known = options.known
        if known is not None and not dag.has("molecules"):
            found.notes.append(f"known molecules are given, but the objects of {type(dag).__name__} are not molecules")
            known = None
        samples = samples_of(dag, trajectories)
        found.objects = best_objects(dag, samples)
        found.metrics = full_evaluation(
            agent,
            options.num_samples,
            options.seed,
            rewards=rewards,
            exact_states=options.exact_states,
            trajectories=trajectories,
            known=known,
        )
        found.metrics |= batch_diagnostics(agent)
        found.undefined = undefined(agent, found.metrics, rewards, options.exact_states)
        if warning := policy_warning(agent, found.metrics):
            found.metrics["warning"] = warning
        found.charts = distribution_charts(agent, samples, options.exact_states, options.seed)
    else:
        samples = draw_samples(agent, options.num_samples, options.seed, rewards=rewards)
        found.objects = best_objects(dag, samples)
        found.charts = sampled_charts(agent, samples, options.seed)
        found.notes.append(f"No new reward was evaluated: {rewards_reason(rewards)}.")


def best_objects(dag: Any, samples: Samples) -> list[dict[str, Any]]:
    """The objects with the most reward, or with the most samples if no reward is known: name, reward, picture."""
    sort = "samples" if np.isnan(samples.log_reward).all() else "reward"
    best = select(samples, unique=True, sort=sort, top=NUM_BEST)
    shown = []
    for k, name in enumerate(best.names):
        log_reward = float(best.log_reward[k])
        value = None if np.isnan(log_reward) else reward_of(log_reward)
        # R is outside the range of double precision, or not known.
        reward = facts.number(value) if value is not None else "" if np.isnan(log_reward) else f"e^{log_reward:.6g}"
        facts_of = {"name": name, "reward": reward, "samples": f"{best.samples[k]:,}"}
        shown.append({**facts_of, "picture": picture(dag, best.states[k])})
    return shown


def best_calls(dag: Any) -> list[tuple[str, str]]:
    """The objects with the most reward among all calls in the log of the environment's oracle: (name, reward)."""
    if dag.oracle is None:
        return []
    values = {call.name: call.value for call in dag.oracle.log if call.value is not None}
    best = sorted(values.items(), key=lambda item: -item[1])[:NUM_BEST]
    return [(name, facts.number(value)) for name, value in best]
