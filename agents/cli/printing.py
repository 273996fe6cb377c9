"""What the command line prints: metrics of one run, several runs beside each other, environments and agents."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Sequence
from typing import Any

import gymnasium
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.registry import AGENTS
from agents.runs import directory as runs
from agents.runs.compare import Group, Summary, final_metrics, short_environments
from gfn_envs.registration import load_dag_class, registered_ids

LABELS = {
    "tv": "total variation (exact)",
    "jsd": "Jensen-Shannon divergence (exact, nats)",
    "kl": "KL(learned || target) (exact, nats)",
    "kl_reverse": "KL(target || learned) (exact, nats)",
    "l1_mean": "mean |learned - target| (exact)",
    "log_z": "log Z, learned",
    "log_z_error": "|log Z learned - exact|",
    "mean_reward": "mean reward (exact)",
    "target_mean_reward": "mean reward of the target (exact)",
    "mean_reward_error": "relative mean-reward error (exact)",
    "sampled_mean_reward": "mean reward (sampled)",
    "sampled_mean_reward_error": "relative mean-reward error (sampled)",
    "percent_of_target_mean": "percent of the target's mean reward (sampled)",
    "accuracy": "mean reward / target's, at most 1 (exact)",
    "anderson_darling": "Anderson-Darling of rewards / 5% critical value",
    "empirical_tv": "total variation of the samples' frequencies",
    "empirical_jsd": "Jensen-Shannon divergence of the same",
    "empirical_kl": "KL(frequencies || target) of the same",
    "empirical_l1_mean": "mean |frequency - target| of the same",
    "elbo": "lower bound of log Z (ELBO, sampled)",
    "elbo_gap": "log Z - ELBO",
    "eubo": "upper bound of log Z (EUBO, sampled)",
    "eubo_gap": "EUBO - log Z",
    "pearson": "Pearson correlation of log R(x), log p(x)",
    "spearman": "Spearman correlation of log R(x), log p(x)",
    "num_test_objects": "objects behind the correlations",
    "log_p_source": "log p(x) of the correlations",
    "modes_found": "modes found (sampled)",
    "num_modes": "modes there are",
    "distinct_objects": "distinct objects (sampled)",
    "distance": "distance between objects",
    **{f"top_{k}_reward": f"mean reward of the {k} best" for k in (10, 50, 100)},
    **{f"top_{k}_diversity": f"mean distance between the {k} best" for k in (10, 50, 100)},
    **{f"top_{k}_novelty": f"mean distance of the {k} best to the reference" for k in (10, 50, 100)},
    "iterations_per_second": "iterations a second",
    "transitions_per_second": "transitions a second",
}


def print_metrics(metrics: dict[str, Any], title: str) -> None:
    """Metrics as a table; sampled ones with their standard error."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    for key, label in LABELS.items():
        if metrics.get(key) is not None:
            error = metrics.get(f"{key}_se")
            value = metrics[key] if isinstance(metrics[key], str) else f"{metrics[key]:.6g}"
            table.add_row(label, value + (f" ± {error:.2g}" if error is not None else ""))
    Console(width=100).print(table)


#: Columns of the comparison, where some run has them; mean reward and ELBO only where no run has an exact TV.
COMPARED = {
    "tv": "TV",
    "log_z_error": "log Z error",
    "mean_reward_error": "mean-reward error",
    "sampled_mean_reward": "mean reward",
    "elbo": "ELBO",
    "modes_found": "modes",
    "seconds": "seconds",
}


def print_comparison(groups: Sequence[Group], metric: str, bootstrap: bool) -> None:
    """Final metrics of groups of runs: mean ± standard error over seeds, or mean [95% bootstrap interval]."""
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
        used = f"its metrics are those of iteration {run.final['iteration']}" if run.final else "it has no metrics yet"
        print(f"unfinished: {run.path}, at iteration {run.iteration} of {run.config['iterations']}; {used}")


def summary_text(summary: Summary, seeds: int) -> str:
    """``mean``, with its interval or its standard error where there are any, in three digits; ``(n=2)`` where it is
    that of fewer values than there are seeds."""
    text = f"{summary.mean:.3g}"
    if summary.low is not None:
        text += f" [{summary.low:.3g}, {summary.high:.3g}]"
    elif summary.se is not None:
        text += f" ± {summary.se:.2g}"
    return text + (f" (n={summary.n})" if summary.n < seeds else "")


def comparison_json(group: Group, bootstrap: bool) -> dict[str, Any]:
    """A group of runs and its final metrics, as JSON."""
    config = group.runs[0].config
    return {
        "label": group.label,
        **{name: config[name] for name in ("agent", "settings", "env", "env_arguments", "iterations")},
        "seeds": [run.config["seed"] for run in group.runs],
        "unfinished": [str(run.path) for run in group.unfinished],
        "metrics": {name: dataclasses.asdict(summary) for name, summary in final_metrics(group, bootstrap).items()},
    }


def print_json(value: Any) -> None:
    """Indented JSON, in which NaN and infinity are null."""
    print(json.dumps(runs.finite(value), indent=2))


def print_environments() -> None:
    """Every registered environment with its defaults."""
    table = Table("id", "what", "defaults")
    for id in registered_ids():
        spec = dict(gymnasium.registry[id].kwargs)
        summary = (inspect.getdoc(load_dag_class(spec.pop("dag"))) or "").split("\n")[0]
        table.add_row(id, summary, ", ".join(f"{k}={v}" for k, v in spec.items()))
    Console().print(table)


def print_agents() -> None:
    """Every agent with its paper."""
    table = Table("agent", "what", "paper")
    for name, agent in AGENTS.items():
        table.add_row(name, (inspect.getdoc(agent) or "").split("\n")[0], agent.paper)
    Console().print(table)
