"""Facts from the files of runs: settings, results, and commands to run them again."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agents.evaluation.labels import LABELS
from agents.registry import AGENTS
from agents.replay.schemes import AUTOMATIC
from agents.runs.compare import Group, Run, final_metrics, is_number, shown_arguments
from agents.runs.directory import settings_of

#: Metrics in the boxes at the top of a report, in order of preference.
HEADLINES = (
    *("tv", "mean_reward_error", "log_z_error", "modes_found", "sampled_mean_reward", "top_10_reward", "elbo"),
    *("distinct_objects", "spearman", "batch_ess", "log_z", "loss"),
)
MAX_HEADLINES = 5
#: Short names for boxes.
SHORT = {
    "tv": "total variation",
    "mean_reward_error": "mean-reward error",
    "log_z_error": "log Z error",
    "sampled_mean_reward": "mean reward",
    "top_10_reward": "mean of the 10 best",
    "elbo": "ELBO",
    "distinct_objects": "distinct objects",
    "modes_found": "modes found",
    "spearman": "rank correlation of R, p",
    "batch_ess": "effective share",
}


class Fact(NamedTuple):
    """A name with a value, and whether the value is a default."""

    name: str
    value: str
    is_default: bool = False


def what_was_run(group: Group) -> list[Fact]:
    """Agent, environment, seeds, iterations, time and place of a group."""
    first, config = group.runs[0], group.runs[0].config
    agent = AGENTS.get(config["agent"])
    summary = "" if agent is None else (inspect.getdoc(agent) or "").split("\n")[0]
    facts = [
        Fact("agent", f"{config['agent']}: {summary}" if summary else config["agent"]),
        Fact("paper", getattr(agent, "paper", "") or ""),
        Fact("environment", group.environment),
        Fact("seeds", ", ".join(str(run.config["seed"]) for run in group.runs)),
        Fact("iterations", _iterations(group)),
        Fact("engine", str(config.get("engine", ""))),
        Fact("transitions", _range(group, "transitions")),
        Fact("seconds of training", _range(group, "seconds")),
        Fact("calls of the reward", _range(group, "oracle_calls")),
        Fact("machine", _last_origin(first).get("platform") or ""),
        Fact("date", _last_origin(first).get("date") or ""),
        Fact("run directories", ", ".join(str(run.path) for run in group.runs)),
    ]
    return [fact for fact in facts if fact.value]


def _iterations(group: Group) -> str:
    total = group.runs[0].config["iterations"]
    short = [f"seed {run.config['seed']} is at {run.iteration:,}" for run in group.unfinished]
    return f"{total:,}" + (f" ({', '.join(short)}: unfinished)" if short else "")


def _range(group: Group, column: str) -> str:
    values: list[Any] = [run.history[-1].get(column) for run in group.runs if run.history]
    found = sorted(float(value) for value in values if is_number(value))
    if not found:
        return ""
    return number(found[0]) if found[0] == found[-1] else f"{number(found[0])} to {number(found[-1])}"


def settings_facts(group: Group) -> list[Fact]:
    """Every setting of the agent, and whether it is the current default."""
    config = group.runs[0].config
    agent = AGENTS.get(config["agent"])
    defaults: dict[str, Any] = {} if agent is None else settings_of(agent.config_class())
    if defaults.get("replay") == "auto":  # Runs record the scheme in use.
        expensive = "oracle" in config or config["env_arguments"].get("expensive_reward")
        defaults["replay"] = AUTOMATIC[bool(expensive)]
    return [
        Fact(name, str(value), name in defaults and defaults[name] == value)
        for name, value in config["settings"].items()
    ]


def argument_facts(group: Group) -> list[Fact]:
    """Every argument of the environment."""
    return [Fact(name, str(value)) for name, value in shown_arguments(group.runs[0].config).items()]


# ---------------------------------------------------------------------- results


def headlines(metrics: Mapping[str, Any], group: Group) -> list[tuple[str, str, str]]:
    """(name, value, error) of the metrics in the boxes: means over seeds, or those of an evaluation."""
    summaries, boxes = final_metrics(group), []
    for name in HEADLINES:
        text = error = ""
        if name in summaries and len(group.runs) > 1:
            summary = summaries[name]
            text = number(summary.mean)
            error = "" if summary.se is None else f"± {summary.se:.2g} over {summary.n} seeds"
        elif is_number(metrics.get(name)):
            text, deviation = number(metrics[name]), metrics.get(f"{name}_se")
            error = f"± {deviation:.2g}" if is_number(deviation) else ""
        if name == "modes_found" and text and is_number(metrics.get("num_modes")):
            error = f"of {metrics['num_modes']:,}"
        if text:
            boxes.append((SHORT.get(name, LABELS.get(name, name)), text, error))
    return boxes[:MAX_HEADLINES]


def metric_rows(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, value ± error) of every metric with a label."""
    rows = []
    for name, label in LABELS.items():
        value, error = metrics.get(name), metrics.get(f"{name}_se")
        if value is not None and name != "warning":
            text = value if isinstance(value, str) else number(value)
            rows.append((label, text + (f" ± {error:.2g}" if is_number(error) else "")))
    return rows


def compared_rows(groups: Sequence[Group]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of the final metrics of several groups."""
    summaries = [final_metrics(group) for group in groups]
    names = [name for name in LABELS if any(name in summary for summary in summaries)]
    rows = []
    for name in names:
        cells = []
        for summary in summaries:
            found = summary.get(name)
            error = "" if found is None or found.se is None else f" ± {found.se:.2g}"
            cells.append("" if found is None else number(found.mean) + error)
        rows.append([LABELS[name], *cells])
    return ["metric", *(f"{group.label}, {len(group.runs)} seed{'s'[: len(group.runs) > 1]}" for group in groups)], rows


def warnings_of(group: Group) -> list[str]:
    """Warnings on a group, one line each: what failed or is unfinished."""
    lines = [f"{run.path} is unfinished: iteration {run.iteration:,}" for run in group.unfinished]
    for run in group.runs:
        where = f"{run.path}: " if len(group.runs) > 1 else ""
        if warning := run.final.get("warning"):
            lines.append(f"{where}{warning}")
        if failed := run.final.get("failed_rewards"):
            lines.append(f"{where}the rewards of {failed:,} objects failed")
    return lines


# ---------------------------------------------------------------------- how to reproduce


def reproduction(group: Group) -> dict[str, Any]:
    """Commands, versions, commit and inputs of the first run of a group."""
    run = group.runs[0]
    origins = run.config.get("provenance", [])
    commands = [(origin.get("date", ""), command_text(origin.get("command", []))) for origin in origins]
    last = _last_origin(run)
    return {
        "commands": [(date, text) for date, text in commands if text],
        "versions": list(last.get("versions", {}).items()),
        "commit": last.get("commit") or "",
        "inputs": list(_inputs(run.config["env_arguments"])),
        "next": [shlex.join(words) for words in _next(run)],
        "path": str(run.path),
    }


def command_text(words: Sequence[str]) -> str:
    """A command line as its user typed it: ``gfn train ...`` or ``python script.py ...``."""
    if not words:
        return ""
    name = Path(words[0]).name
    if name in ("gfn", "gfn_command.py") or words[0].endswith(("agents/__main__.py", "agents\\__main__.py")):
        return shlex.join(["gfn", *words[1:]])
    return shlex.join(["python", *words])


def _next(run: Run) -> Iterator[list[str]]:
    yield ["gfn", "evaluate", str(run.path)]
    yield ["gfn", "sample", str(run.path), "--num", "10000", "--unique", "--sort", "reward", "--out", "samples.csv"]


def _inputs(value: Any) -> Iterator[tuple[str, str]]:
    """Files and functions among the arguments: (name, sha256)."""
    if isinstance(value, dict):
        for tag in ("$file", "$import", "$code", "$object"):
            if tag in value:
                yield str(value[tag]), str(value.get("sha256") or "")
        for element in value.values():
            yield from _inputs(element)
    elif isinstance(value, list):
        for element in value:
            yield from _inputs(element)


def _last_origin(run: Run) -> dict[str, Any]:
    return dict((run.config.get("provenance") or [{}])[-1])


def number(value: float) -> str:
    """A number for people: four digits, with thousands separators."""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
