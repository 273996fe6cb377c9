"""Rows of the history: means of what updates return, reasons of undefined metrics, the final metrics."""

from __future__ import annotations

import math
from typing import Any

from agents.agent import Agent
from agents.evaluation.evaluate import EXACT_STATES, is_enumerable
from agents.evaluation.metrics import EXACT_METRICS

#: What an update returns and a row reports in its own way.
OWN = ("loss", "log_z", "transitions")


def add_numbers(sums: dict[str, list[float]], info: dict[str, Any]) -> None:
    """Add the numbers that an update returned to ``sums``: name -> [sum, count]. None and text count nothing."""
    for name, value in info.items():
        if name in OWN or value is None or isinstance(value, str):
            continue
        total = sums.setdefault(name, [0.0, 0])
        total[0], total[1] = total[0] + float(value), total[1] + 1


def means(sums: dict[str, list[float]]) -> dict[str, float]:
    """The mean of each name in ``sums``."""
    return {name: total / count for name, (total, count) in sums.items() if count}


def undefined(agent: Agent, metrics: dict[str, Any]) -> dict[str, list[str]]:
    """Reason -> names of the metrics of an evaluation that are None, NaN or infinite."""
    found: dict[str, list[str]] = {}
    for name, value in metrics.items():
        if value is None:
            found.setdefault(_reason(agent, name), []).append(name)
        elif isinstance(value, float) and not math.isfinite(value):
            found.setdefault(f"the value is {value}", []).append(name)
    return found


def _reason(agent: Agent, name: str) -> str:
    if name != "log_z" and agent.dag.expensive_reward:
        return "the reward is expensive"
    if name in EXACT_METRICS and not is_enumerable(agent.dag):
        return f"the environment has more than {EXACT_STATES:,} states"
    if name.startswith("log_z") and agent.log_z is None:
        return "the agent has no estimate of log Z"
    if name == "loss":
        return "no iteration since the last row"
    return "undefined for this environment" if agent.samples_by_policy else "the agent samples without a policy"


def final_metrics(agent: Agent, history: list[dict[str, Any]], begun: int = 0) -> dict[str, Any]:
    """The last evaluation of a run, with its speed and seed. Speeds are None if the run had no iteration left.

    Args:
        agent: the trained agent.
        history: rows of the history.
        begun: iteration at which the run began.
    """
    last = [row for row in history if "elbo" in row][-1]
    seconds = last["seconds"]
    return {
        **last,
        "agent": agent.name,
        "seed": agent.seed,
        "iterations_per_second": (last["iteration"] - begun) / seconds if seconds else None,
        "transitions_per_second": last["transitions"] / seconds if seconds else None,
    }
