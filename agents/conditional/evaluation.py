"""Exact metrics of a conditional agent, condition by condition."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from agents.conditional.agent import Conditional
from agents.evaluation import estimates, evaluate, metrics
from agents.threads import on_working_threads
from gfn_envs.conditions.conditions import ConditionArray
from gfn_envs.edge_blocks import edge_blocks

#: Exact metrics of each condition.
EXACT = ("tv", "jsd", "log_z_error")
#: Sampled metrics of each condition, if states cannot be listed.
SAMPLED = ("elbo", "sampled_mean_reward")


def chosen_conditions(agent: Conditional, conditions: int | str | npt.ArrayLike, seed: int = 0) -> ConditionArray:
    """Conditions for an evaluation, float32 (m, k).

    Args:
        agent: the agent.
        conditions: "grid": about 20, evenly spread (:meth:`gfn_envs.conditions.Conditions.grid`); a number n: n drawn
            conditions, which are new to the agent if they are continuous; or the conditions.
        seed: seed of drawn conditions.

    Raises:
        ValueError: a condition is out of range, or the text is not "grid".
    """
    of = agent.dag.conditions
    if isinstance(conditions, str):
        if conditions != "grid":
            raise ValueError(f"conditions must be 'grid', a number or an array, got {conditions!r}")
        return of.grid(20)
    if np.ndim(conditions) == 0:
        number = int(conditions)  # type: ignore[arg-type]
        if number < 1:
            raise ValueError(f"the number of conditions must be at least 1, got {number}")
        return of.sample(number, np.random.default_rng([seed, 19]))
    return of.checked(conditions)


@on_working_threads
def conditional_metrics(
    agent: Any,
    conditions: int | str | npt.ArrayLike = "grid",
    num_samples: int = 1000,
    seed: int = 0,
    exact_states: int | None = None,
) -> dict[str, Any]:
    """Metrics at each of several conditions, and over all. The agent and its random stream stay unchanged.

    Args:
        agent: an agent with conditions.
        conditions: "grid", a number of drawn conditions, or conditions (m, k); see :func:`chosen_conditions`.
        num_samples: trajectories per condition, for sampled metrics.
        seed: seed of drawn conditions and of samples.
        exact_states: as for :func:`agents.evaluation.evaluate.evaluate`.

    Returns:
        ``conditions``: the conditions (m, k) as a list. If the environment can be enumerated: ``tv``, ``jsd`` and
        ``log_z_error`` of each condition as lists, and ``mean_tv``, ``worst_tv``, ... over them. Otherwise ``elbo`` and
        ``sampled_mean_reward`` of each, and their means.

    Raises:
        TypeError: an agent without conditions.
        ValueError: a condition is out of range.
    """
    if not isinstance(agent, Conditional):
        raise TypeError(f"agent {getattr(agent, 'name', agent)!r} has no conditions: make its environment with some")
    given = chosen_conditions(agent, conditions, seed)
    base = agent.dag.base
    exact = evaluate.is_enumerable(base, exact_states)
    if exact:
        edge_blocks(base, 1)  # Listed once: copies of the environment share it.
    rows = []
    for condition in given:
        at = agent.at(condition)
        if exact:
            found = metrics.exact_metrics(evaluate.learned_distribution(at), evaluate.target_of(at.dag), at.log_z)
            rows.append([found[name] for name in EXACT])
        else:
            drawn = estimates.samples(at, num_samples, np.random.default_rng(seed))
            found = evaluate.metrics_of_samples(at, drawn)
            rows.append([found[name] for name in SAMPLED])
    result: dict[str, Any] = {"conditions": given.tolist()}
    for name, values in zip(EXACT if exact else SAMPLED, zip(*rows, strict=True), strict=True):
        known = None not in values
        result[name] = list(values)
        result[f"mean_{name}"] = float(np.mean(values)) if known else None
        if exact:
            result[f"worst_{name}"] = float(np.max(values)) if known else None
    return result


@on_working_threads
def watched_conditions(
    agent: Any, num_samples: int = 2000, seed: int = 0, *, exact_states: int | None = None
) -> dict[str, Any]:
    """The metrics watched during the training of an agent with conditions.

    Args:
        agent: the agent.
        num_samples: trajectories for the sampled metrics, at conditions drawn as in training.
        seed: seed of those trajectories.
        exact_states: as for :func:`agents.evaluation.evaluate.evaluate`.

    Returns:
        :func:`agents.evaluation.evaluate.sampled_metrics` over drawn conditions, and, if the environment can be
        enumerated, the mean and the worst of each exact metric of :func:`conditional_metrics` over a grid. Without
        rewards (``expensive_reward``) all are None.
    """
    if not evaluate.may_evaluate_rewards(agent.dag, "auto"):
        return dict.fromkeys(evaluate.SAMPLED_METRICS)
    found = evaluate.sampled_metrics(agent, num_samples, seed)
    if evaluate.is_enumerable(agent.dag.base, exact_states):
        exact = conditional_metrics(agent, exact_states=exact_states)
        found |= {name: exact[name] for name in exact if name.startswith(("mean_", "worst_"))}
    return found
