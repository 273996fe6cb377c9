"""Rows of the history: means of the results of updates, reasons of undefined metrics, the final metrics."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.evaluation.diagnostics import tempering_warning
from agents.evaluation.evaluate import (
    EXACT_STATES,
    SAMPLED_METRICS,
    is_enumerable,
    may_evaluate_rewards,
    rewards_reason,
)
from agents.evaluation.full import CORRELATIONS, FULL_EXACT_METRICS
from agents.evaluation.metrics import EXACT_METRICS
from agents.runs.oracles import oracle_columns
from agents.runs.progress import Progress
from gfn_envs.validation import shown

#: The reason why a run has no metrics.
NOT_EVALUATED = "training was not evaluated (eval_every=0); run gfn evaluate"
#: Metrics that need the reward of every object, or test objects.
EVERY_OBJECT = {*EXACT_METRICS, *FULL_EXACT_METRICS, *CORRELATIONS}
#: Entries of an update that a row reports in its own way.
OWN = ("loss", "log_z", "transitions", "beta")
#: Columns that updates must not return.
COLUMNS = {
    *("iteration", "seconds", "failed_rewards", "undefined", "warning", "evaluation_seconds"),
    *EXACT_METRICS,
    *SAMPLED_METRICS,
} - set(OWN)


def add_info(agent: str, state: Progress, info: Any) -> None:
    """Add the result of an update to the progress of a run.

    Numbers are averaged until the next row; of text and arrays of numbers the last value counts; a mapping becomes one
    column per key, ``name.key``; None counts nothing.

    Args:
        agent: name of the agent, for messages.
        state: the progress.
        info: ``loss``, ``transitions`` and whatever else the agent reports.

    Raises:
        ValueError: it is not a mapping, lacks ``loss`` or ``transitions``, or has a value of another type or under the
            name of a column of every history.
    """
    if not isinstance(info, Mapping) or not {"loss", "transitions"} <= info.keys():
        raise ValueError(f"agent {agent!r}: update must return a dict with 'loss' and 'transitions', got {shown(info)}")
    if taken := info.keys() & COLUMNS:
        raise ValueError(f"agent {agent!r}: update returned {min(taken)!r}, which is another column of the history")
    state.transitions += int(info["transitions"])
    if info["loss"] is not None:
        state.window, state.loss_sum = state.window + 1, state.loss_sum + float(info["loss"])
    for name, value in flat({name: value for name, value in info.items() if name not in OWN}).items():
        if isinstance(value, str):
            state.latest[name] = value
            continue
        try:
            numbers = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"agent {agent!r}: update returned {name} = {shown(value)}; allowed: numbers, text, arrays of numbers, "
                "mappings of these"
            ) from None
        if numbers.ndim:
            state.latest[name] = numbers.tolist()
            continue
        total = state.sums.setdefault(name, [0.0, 0])
        total[0], total[1] = total[0] + float(numbers), total[1] + 1


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``, without None."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, Mapping) else None
        found |= {name: value} if inner is None else flat(inner)
    return {name: value for name, value in found.items() if value is not None}


def means(sums: dict[str, list[float]]) -> dict[str, float]:
    """The mean of each name in ``sums``."""
    return {name: total / count for name, (total, count) in sums.items() if count}


def undefined(
    agent: Agent, metrics: dict[str, Any], rewards: str = "auto", exact_states: int | None = None
) -> dict[str, list[str]]:
    """Reason -> names of the metrics of an evaluation that are None, NaN or infinite.

    Args:
        agent: the agent that was evaluated.
        metrics: what :func:`~agents.evaluation.evaluate.evaluate` or ``full_evaluation`` returned.
        rewards, exact_states: as in that call.
    """
    reason = functools.partial(_reason, agent, metrics, may_evaluate_rewards(agent.dag, rewards), rewards, exact_states)
    found: dict[str, list[str]] = {}
    for name, value in metrics.items():
        if value is None:
            found.setdefault(reason(name), []).append(name)
        elif isinstance(value, float) and not math.isfinite(value):
            found.setdefault(f"the value is {value}", []).append(name)
    return found


def _reason(
    agent: Agent, metrics: dict[str, Any], allowed: bool, rewards: str, exact_states: int | None, name: str
) -> str:
    dag = agent.dag
    if name == "log_z" or (name == "log_z_error" and agent.log_z is None):
        return "the agent has no estimate of log Z"
    if name in ("modes_found", "num_modes") and not dag.defines_modes:
        return "the environment defines no modes"
    if not allowed:
        return rewards_reason(rewards)
    if not agent.samples_by_policy:
        return "the agent samples without a policy"
    if name in EVERY_OBJECT and not is_enumerable(dag, exact_states):
        text = f"the environment has more than {exact_states or EXACT_STATES:,} states (exact_states, --exact-states)"
        return f"{text}, and no test objects were given" if name in CORRELATIONS else text
    if name in CORRELATIONS:
        kind = name.rpartition("_")[2]
        known = {"se": "it is over all objects", "bias": "log p(x) is not estimated"}
        return known.get(kind, "log R(x) or log p(x) is the same for all objects")
    if name.startswith("top_"):
        k = name.split("_")[1]
        if metrics.get("distinct_objects", 0) < int(k):
            return f"fewer than {k} distinct objects were sampled"
    if name == "num_modes":
        return "the number of modes is not known"
    if "reward" in name:
        return "the reward is outside the range of double precision"
    return "undefined for this environment"


def history_row(agent: Agent, state: Progress, metrics: dict[str, Any]) -> dict[str, Any]:
    """A row of the history. Resets the loss window."""
    state.tv = metrics.get("tv", state.tv)
    row = {
        "iteration": agent.iteration,
        "loss": state.loss_sum / state.window if state.window else None,
        "log_z": agent.log_z,
        "transitions": state.transitions,
        "seconds": state.seconds,
        **means(state.sums),
        **state.latest,
        **({"beta": agent.beta} if agent.beta < 1 else {}),
        **({} if agent.dag.on_error == "raise" else {"failed_rewards": state.failed_rewards}),
        **oracle_columns(agent.dag),
        **metrics,
    }
    state.window, state.loss_sum, state.sums, state.latest = 0, 0.0, {}, {}
    return row


def final_metrics(
    agent: Agent, history: list[dict[str, Any]], begun: int = 0, evaluation_seconds: float = 0.0
) -> dict[str, Any]:
    """The last row of a run, with its speed and seed. Speeds are None if the run had no iteration left.

    Args:
        agent: the trained agent.
        history: rows of the history.
        begun: iteration at which the run began.
        evaluation_seconds: seconds spent in evaluations.
    """
    last = dict(history[-1])
    if "elbo" not in last:
        last["undefined"] = {NOT_EVALUATED: [*EXACT_METRICS, *SAMPLED_METRICS]}
    if warning := tempering_warning(agent.beta, ended=True):
        last["warning"] = warning
    seconds = last["seconds"]
    return {
        **last,
        "agent": agent.name,
        "seed": agent.seed,
        "total_evaluation_seconds": evaluation_seconds,
        "iterations_per_second": (last["iteration"] - begun) / seconds if seconds else None,
        "transitions_per_second": last["transitions"] / seconds if seconds else None,
    }
