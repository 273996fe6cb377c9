"""How likely an agent is to build an object, and bounds of log Z, estimated from trajectories."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from agents.agent import Agent
from agents.rollout import sample_backward
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.enumeration import EnumerationError

#: Network inputs, in numbers, that one call may hold.
CHUNK_NUMBERS = 2**24


def log_ratios(agent: Agent, trajectories: Trajectories) -> FloatArray:
    """log P_B(tau|x) - log P_F(tau) of each trajectory, float64 (n,)."""
    chunk, parts = _chunk(agent), []
    for start in range(0, len(trajectories), chunk):
        part = trajectories.part(start, min(start + chunk, len(trajectories)))
        with torch.inference_mode():
            terms = agent.terms(part)
            difference = (terms.log_pb - terms.log_pf).double().cpu().numpy()
        parts.append(np.add.reduceat(difference, part.edge_offsets[:-1]))
    return np.concatenate(parts)


def _chunk(agent: Agent) -> int:
    """How many of the longest trajectories one call may hold: what the network reads of them, and its logits."""
    dag = agent.dag
    return max(1, CHUNK_NUMBERS // ((dag.num_features + dag.num_actions) * (dag.max_length + 1)))


def backward_log_ratios(agent: Agent, objects: IntArray, rng: np.random.Generator) -> FloatArray:
    """:func:`log_ratios` of one trajectory to each of ``objects`` (n, state_width), sampled from P_B, float64 (n,)."""
    chunk, parts = _chunk(agent), []
    for start in range(0, len(objects), chunk):
        with torch.inference_mode():
            batch = sample_backward(agent.dag, objects[start : start + chunk], agent.backward_logits(), rng)
        parts.append(log_ratios(agent, batch))
    return np.concatenate(parts)


def sampled_log_p(
    agent: Agent, objects: IntArray, rng: np.random.Generator, num_trajectories: int = 10
) -> tuple[FloatArray, FloatArray]:
    """log p(x) estimated as the log of the mean of P_F(tau) / P_B(tau|x) over trajectories from P_B.

    The mean is an unbiased estimate of p(x); its log is too low on average, the less so the more trajectories.

    Args:
        agent: whose p(x).
        objects: terminal states (n, state_width).
        rng: source of randomness.
        num_trajectories: K for each object, at least 2.

    Returns:
        ``(log_p, standard_error)``, float64 (n,) each; the error by the delta method.
    """
    k = num_trajectories
    if k < 2:
        raise ValueError(f"num_trajectories must be at least 2, got {k}")
    log_weights = -backward_log_ratios(agent, np.repeat(objects, k, axis=0), rng).reshape(-1, k)
    top = log_weights.max(1, keepdims=True)
    weights = np.exp(log_weights - top)
    mean = weights.mean(1)
    return np.log(mean) + top[:, 0], weights.std(1, ddof=1) / np.sqrt(k) / mean


def ancestor_log_p(agent: Agent, objects: IntArray, max_states: int = 20_000) -> FloatArray:
    """Exact log p(x), float64 (n,), by dynamic programming over the ancestors of each of ``objects`` (n, state_width).

    Step by step back from x: v_t(s), the probability that t steps of P_F lead from s to x, is the sum over the edges
    from s of P_F(s'|s) v_{t-1}(s'); p(x) is the sum of v_t(s0) over t. So the DAG as a whole may be of any size.

    Raises:
        EnumerationError: more than ``max_states`` ancestors, of all objects together, in one step.
    """
    dag = agent.dag
    log_p = np.full(len(objects), -np.inf)
    owner, states, log_v = np.arange(len(objects)), np.asarray(objects, dtype=dag.state_dtype), np.zeros(len(objects))
    while len(states):
        row, parents, actions = dag.parents(states)
        # The same state is another one for another object.
        tagged = np.column_stack([owner[row], parents.astype(np.int64)])
        _, first, inverse = np.unique(row_keys(tagged), return_index=True, return_inverse=True)
        if len(first) > max_states:
            raise EnumerationError(
                f"{len(objects)} objects have more than {max_states:,} ancestors in one step ({len(first):,}); "
                "use sampled_log_p"
            )
        if not len(first):
            break
        inverse, child_log_v = inverse.ravel(), log_v[row]
        owner, states, log_v = owner[row][first], parents[first], np.full(len(first), -np.inf)
        with np.errstate(divide="ignore"):
            log_pf = np.log(_probabilities(agent, states)[inverse, actions])
        np.logaddexp.at(log_v, inverse, log_pf + child_log_v)
        source = ~dag.backward_mask(states).any(1)
        np.logaddexp.at(log_p, owner[source], log_v[source])
    return log_p


def _probabilities(agent: Agent, states: IntArray) -> FloatArray:
    chunk = max(1, CHUNK_NUMBERS // agent.dag.num_features)
    return np.concatenate([agent.probabilities(part) for part in _chunks(states, chunk)])


def _chunks(rows: IntArray, size: int) -> Iterator[IntArray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def target_samples(agent: Agent, n: int, rng: np.random.Generator) -> IntArray:
    """``n`` objects (n, state_width) drawn in proportion to R(x).

    Raises:
        EnumerationError: where the DAG is too large.
    """
    target = exact.target_distribution(agent.dag)
    return agent.dag.terminal_states()[rng.choice(len(target), size=n, p=target)]


def upper_bounds(agent: Agent, num_samples: int, rng: np.random.Generator) -> FloatArray:
    """log R(x) + log P_B(tau|x) - log P_F(tau) of trajectories drawn from R P_B / Z, float64 (num_samples,).

    Their mean, the EUBO, estimates log Z + KL(R P_B / Z || P_F), an upper bound of log Z.

    Raises:
        EnumerationError: where the DAG is too large to draw x in proportion to R(x).
    """
    objects = target_samples(agent, num_samples, rng)
    return agent.dag.log_reward(objects) + backward_log_ratios(agent, objects, rng)
