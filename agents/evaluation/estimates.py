"""Estimates of log p(x), the log-probability that an agent builds an object, and of bounds of log Z."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from agents.agent import Agent
from agents.evaluation.metrics import log_mean_exp
from agents.memory import states_per_call, trajectories_per_call, trajectories_per_part
from agents.rollout import sample_backward
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.enumeration import EnumerationError


class Samples(NamedTuple):
    """The parts of n trajectories of an agent that evaluations need."""

    objects: IntArray
    """Their terminal states (n, state_width)."""
    log_reward: FloatArray
    """log R of each, float64 (n,)."""
    log_ratio: FloatArray | None
    """log P_B(tau|x) - log P_F(tau) of each, float64 (n,); None if the agent samples without a policy."""
    drawn: int
    """Number of trajectories that were sampled: n, and those whose reward failed and that are left out."""

    @property
    def every_log_reward(self) -> FloatArray:
        """log R of all trajectories sampled, -inf of those that are left out, float64 (drawn,)."""
        return np.append(self.log_reward, np.full(self.drawn - len(self.objects), -np.inf))


def samples(agent: Agent, n: int, rng: np.random.Generator) -> Samples:
    """``n`` samples of the agent. They are drawn in parts if long trajectories would take much memory."""
    size = trajectories_per_part(agent)
    parts = [samples_of(agent, agent.sample_trajectories(min(size, n - start), rng=rng)) for start in range(0, n, size)]
    objects, log_reward, ratios, _ = zip(*parts, strict=True)
    log_ratio = np.concatenate(ratios) if agent.samples_by_policy else None
    return Samples(np.concatenate(objects), np.concatenate(log_reward), log_ratio, n)


def samples_of(agent: Agent, trajectories: Trajectories, drawn: int | None = None) -> Samples:
    """Trajectories of the agent as samples, those left of ``drawn``; None: all are there."""
    log_ratio = log_ratios(agent, trajectories) if agent.samples_by_policy else None
    return Samples(trajectories.terminal_states, trajectories.log_reward, log_ratio, max(drawn or 0, len(trajectories)))


def log_ratios(agent: Agent, trajectories: Trajectories) -> FloatArray:
    """log P_B(tau|x) - log P_F(tau) of each trajectory, float64 (n,)."""
    chunk, parts = trajectories_per_call(agent), []
    for start in range(0, len(trajectories), chunk):
        part = trajectories.part(start, min(start + chunk, len(trajectories)))
        with torch.inference_mode():
            terms = agent.log_probs(part)
            difference = (terms.log_pb - terms.log_pf).double().cpu().numpy()
        parts.append(np.add.reduceat(difference, part.edge_offsets[:-1]))
    return np.concatenate(parts)


def log_pf(agent: Agent, trajectories: Trajectories) -> FloatArray:
    """log P_F(tau) of each trajectory, float64 (n,)."""
    chunk, parts = trajectories_per_call(agent), []
    for start in range(0, len(trajectories), chunk):
        part = trajectories.part(start, min(start + chunk, len(trajectories)))
        with torch.inference_mode():
            edges = agent.log_probs(part).log_pf.double().cpu().numpy()
        parts.append(np.add.reduceat(edges, part.edge_offsets[:-1]))
    return np.concatenate(parts)


def backward_log_ratios(agent: Agent, objects: IntArray, rng: np.random.Generator) -> FloatArray:
    """:func:`log_ratios` of one trajectory per object, float64 (n,).

    The trajectories end in ``objects`` (n, state_width) and are sampled from P_B.
    """
    chunk, parts = trajectories_per_call(agent), []
    for start in range(0, len(objects), chunk):
        with torch.inference_mode():
            part = objects[start : start + chunk]
            # The rewards do not matter here, so none is evaluated.
            batch = sample_backward(agent.dag, part, agent.backward_logits(), rng, log_reward=np.zeros(len(part)))
        parts.append(log_ratios(agent, batch))
    return np.concatenate(parts)


def sampled_log_p(
    agent: Agent, objects: IntArray, rng: np.random.Generator, num_trajectories: int = 10
) -> tuple[FloatArray, FloatArray]:
    """Estimate log p(x) as the log of the mean of P_F(tau) / P_B(tau|x) over K trajectories from P_B.

    The mean is an unbiased estimate of p(x). Its log is biased downwards, by about half of its squared standard error.
    The bias vanishes as K grows.

    Args:
        agent: the agent that samples x with probability p(x).
        objects: terminal states (n, state_width).
        rng: source of randomness.
        num_trajectories: K, trajectories per object, at least 2.

    Returns:
        ``(log_p, standard_error)``, float64 (n,) each. The error follows from the delta method.

    Raises:
        ValueError: ``num_trajectories`` is below 2.
    """
    log_weights = path_log_weights(agent, objects, rng, num_trajectories)
    log_p = log_mean_exp(log_weights)
    with np.errstate(invalid="ignore"):
        relative = np.exp(log_weights - log_p[:, None])
    return log_p, relative.std(1, ddof=1) / np.sqrt(num_trajectories)


def path_log_weights(
    agent: Agent, objects: IntArray, rng: np.random.Generator, num_trajectories: int = 10
) -> FloatArray:
    """log of P_F(tau) / P_B(tau|x) of K trajectories from P_B to each of ``objects`` (n, state_width), float64 (n, K).

    Raises:
        ValueError: ``num_trajectories`` is below 2.
    """
    k = num_trajectories
    if k < 2:
        raise ValueError(f"num_trajectories must be at least 2, got {k}")
    return -backward_log_ratios(agent, np.repeat(objects, k, axis=0), rng).reshape(-1, k)


def ancestor_log_p(agent: Agent, objects: IntArray, max_states: int = 20_000) -> FloatArray:
    """Exact log p(x), float64 (n,), by dynamic programming over the ancestors of each of ``objects`` (n, state_width).

    Let v_t(s) be the probability that t steps of P_F lead from s to x. It is the sum over edges s -> s' of
    P_F(s'|s) v_{t-1}(s'), and p(x) is the sum of v_t(s0) over t. Only ancestors of x count, so the DAG as a whole may
    have any size.

    Raises:
        EnumerationError: the objects together have more than ``max_states`` ancestors at one distance t.
    """
    dag = agent.dag
    log_p = np.full(len(objects), -np.inf)
    owner, states, log_v = np.arange(len(objects)), np.asarray(objects, dtype=dag.state_dtype), np.zeros(len(objects))
    while len(states):
        row, parents, actions = dag.parents(states)
        # Ancestors are kept per object: a state that leads to two objects counts twice.
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
    return np.concatenate([agent.probabilities(part) for part in _chunks(states, states_per_call(agent))])


def _chunks(rows: IntArray, size: int) -> Iterator[IntArray]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
