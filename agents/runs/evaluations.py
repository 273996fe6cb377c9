"""Evaluations during training."""

from __future__ import annotations

import sys
import time
from typing import Any

from agents.agent import Agent
from agents.conditional.evaluation import watched_conditions
from agents.evaluation.diagnostics import batch_diagnostics, policy_warning
from agents.evaluation.evaluate import enumeration_text, evaluate, is_enumerable, may_evaluate_rewards
from agents.runs.progress import Progress
from agents.runs.rows import undefined


def enumerate_states(agent: Agent, exact_states: int | None, progress: bool) -> None:
    """Enumerate the DAG, and evaluate its rewards, before the clock and the progress bar start."""
    if not may_evaluate_rewards(agent.dag, "auto"):
        return
    given: Any = agent.dag
    dag = given if given.conditions is None else given.base
    if progress:
        print(enumeration_text(dag, exact_states), file=sys.stderr)
    if is_enumerable(dag, exact_states) and agent.dag.conditions is None:
        evaluate(agent, 2, exact_states=exact_states)


def evaluated_columns(agent: Agent, state: Progress, num_samples: int, exact_states: int | None) -> dict[str, Any]:
    """The metrics of an evaluated row, with the reasons of undefined ones and a warning."""
    start = time.perf_counter()
    watched = evaluate if agent.dag.conditions is None else watched_conditions
    metrics = watched(agent, num_samples, exact_states=exact_states)
    metrics |= batch_diagnostics(agent)
    warning, reasons = policy_warning(agent, metrics), undefined(agent, metrics, exact_states=exact_states)
    seconds = time.perf_counter() - start
    state.evaluation_seconds += seconds
    return {
        **metrics,
        "evaluation_seconds": seconds,
        **({"undefined": reasons} if reasons else {}),
        **({"warning": warning} if warning else {}),
    }
