"""Signs of a collapsed policy, from the metrics of training."""

from __future__ import annotations

from typing import Any

from agents.agent import Agent
from agents.evaluation.estimates import log_ratios
from agents.tempering import effective_share
from gfn_envs.arrays import IntArray, distinct

#: Thresholds of :func:`collapse_warning`. Measured on grids, strings and bit sequences with batches of 16: in the
#: second half of 1,000 to 2,000 iterations, tb and subtb with default settings have an effective share of 0.26 to 1, a
#: gap of at most 0.4 nats, 0.19 to 1 distinct objects and an exact total variation of at most 0.26. Policies that
#: collapsed (reinforce, or tb at a learning rate of 0.05) have one or two distinct objects in 16 and a total variation
#: of 0.84 or more; on the way there, their effective share falls to 0.14.
LOW_ESS, LOW_DISTINCT, LARGE_GAP, LARGE_TV = 0.2, 0.15, 3.0, 0.5
#: Smaller batches are not diagnosed.
MIN_BATCH = 8


def distinct_share(objects: IntArray) -> float:
    """Number of distinct rows per row of ``objects`` (n, width), in [1/n, 1]."""
    return len(distinct(objects)[0]) / len(objects)


def batch_diagnostics(agent: Agent) -> dict[str, Any]:
    """Diagnostics of the agent's last batch of training, under its present parameters.

    Returns:
        ``batch_ess``: :func:`effective_share` of the weights R(x) P_B(tau|x) / P_F(tau), which are all equal once the
        policy samples proportionally to R. ``batch_distinct``: share of distinct objects. {} if there is no batch of at
        least MIN_BATCH trajectories, or if the agent samples without a policy.
    """
    batch = agent.last_batch
    if batch is None or len(batch) < MIN_BATCH or not agent.samples_by_policy:
        return {}
    log_weights = log_ratios(agent, batch) + batch.log_reward
    return {"batch_ess": effective_share(log_weights), "batch_distinct": distinct_share(batch.terminal_states)}


def tempering_warning(beta: float, ended: bool = False) -> str | None:
    """One line on a policy that has learned R^beta (:mod:`agents.tempering`); None if beta is 1.

    Args:
        beta: exponent of the reward in the agent's last batch.
        ended: whether training has ended at this beta.
    """
    if beta >= 1:
        return None
    if not ended:
        return f"at beta {beta:.2g} the policy samples R^{beta:.2g}, not R yet"
    return (
        f"training ended at beta {beta:.2g}: the policy samples R^{beta:.2g}; train for more iterations "
        "(--resume --iterations N), or with expensive_reward=True if the reward allows only few calls"
    )


def policy_warning(agent: Agent, metrics: dict[str, Any], ended: bool = False) -> str | None:
    """:func:`tempering_warning`, or :func:`collapse_warning` once beta is 1: before, the target is not R."""
    return tempering_warning(agent.beta, ended) or collapse_warning(metrics)


def collapse_warning(metrics: dict[str, Any]) -> str | None:
    """One line on a policy that seems collapsed or far from its target, with what to try; None without such signs.

    If the exact total variation is known, it replaces the share of distinct objects, which is also small if few objects
    have most of the reward. Otherwise a policy that covers only some modes, in proportion to R, shows no sign: its
    samples do not reveal the other modes.

    Args:
        metrics: ``batch_ess``, ``batch_distinct``, ``elbo``, ``log_z`` and ``tv``, if they are known.
    """
    signs = []
    if (ess := metrics.get("batch_ess")) is not None and ess < LOW_ESS:
        signs.append(f"effective sample size of a batch {ess:.0%}")
    share, tv = metrics.get("batch_distinct"), metrics.get("tv")
    if tv is not None and tv > LARGE_TV:
        signs.append(f"exact total variation {tv:.2f}")
    if tv is None and share is not None and share < LOW_DISTINCT:
        signs.append(f"distinct objects in a batch {share:.0%}")
    log_z, elbo = metrics.get("log_z"), metrics.get("elbo")
    if log_z is not None and elbo is not None and abs(log_z - elbo) > LARGE_GAP:
        signs.append(f"log Z {log_z:.3g} against its lower bound {elbo:.3g}")
    if not signs:
        return None
    return (
        f"the policy may have collapsed or is far from its target ({'; '.join(signs)}): try more iterations, "
        "exploration (epsilon, temperature), a replay buffer, or another learning rate"
    )
