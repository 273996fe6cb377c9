"""From packed trajectories and a policy network to log P_F, log P_B and log F, each distinct state evaluated once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.rollout import NoLegalActionError
from agents.trajectories import Trajectories
from gfn_envs.dag import BoolArray, Dag, IntArray

if TYPE_CHECKING:
    from agents.policies import Policy


class EdgeTerms(NamedTuple):
    """Log-probabilities of the edges, and log flows of the states, of packed trajectories."""

    log_pf: Tensor
    """(e,)"""
    log_pb: Tensor
    """(e,)"""
    log_flow: Tensor | None
    """(s,): the network's log F, log R at terminal states; None where the policy has no flow head."""
    log_policy: Tensor
    """(k, num_actions): log P_F of the distinct states that the network was shown."""
    rows: IntArray
    """(e,): the row of ``log_policy`` that is the edge's source."""


def distinct(states: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct rows and, for each row, which of them it is: ``unique[inverse] == states``."""
    # A sum of products modulo 2^64 tells rows apart in practice; the comparison below makes it certain.
    hashes = states @ _hash_weights(states.shape[1])
    order = hashes.argsort()
    ranked = hashes[order]
    first = np.ones(len(states), dtype=bool)
    np.not_equal(ranked[1:], ranked[:-1], out=first[1:])
    unique = states.take(order[first], axis=0)
    inverse = np.empty(len(states), dtype=np.int64)
    inverse[order] = first.cumsum() - 1
    if not np.array_equal(unique.take(inverse, axis=0), states):
        unique, inverse = np.unique(states, axis=0, return_inverse=True)
        inverse = inverse.ravel()
    return unique, inverse


@functools.lru_cache
def _hash_weights(width: int) -> IntArray:
    return np.random.default_rng(0).integers(2**62, size=width, dtype=np.int64) * 2 + 1


def masked_log_softmax(logits: Tensor, mask: BoolArray) -> Tensor:
    """log-softmax over legal actions, (n, actions); illegal ones get the dtype's minimum before normalising.

    Rows without a legal action are the caller's to leave out.
    """
    if (mask.all(1) | ~mask.any(1)).all():
        return logits.log_softmax(1)
    illegal = torch.from_numpy(~mask).to(logits.device)
    return logits.masked_fill(illegal, torch.finfo(logits.dtype).min).log_softmax(1)


def edge_terms(dag: Dag, policy: Policy, trajectories: Trajectories) -> EdgeTerms:
    """Evaluate ``policy`` on trajectories.

    States with a single backward action have log P_B = 0 and, when they are terminal, are not shown to the network.

    Args:
        dag: the environment.
        policy: maps states to :class:`agents.policies.Heads`. Without backward logits, P_B is uniform.
        trajectories: what to evaluate.

    Raises:
        NoLegalActionError: a trajectory passes on from a state without a legal action.
    """
    device = policy.anchor.device
    unique, inverse = distinct(trajectories.states)
    forward_mask, backward_mask = dag.forward_mask(unique), dag.backward_mask(unique)
    inner: BoolArray = np.logical_or.reduce(forward_mask, axis=1)
    num_parents = backward_mask.sum(1)
    shown = np.flatnonzero(inner | (num_parents > 1)) if policy.learns_backward else np.flatnonzero(inner)
    row = np.full(len(unique), -1)
    row[shown] = np.arange(len(shown))
    source, target = inverse[trajectories.sources], inverse[trajectories.targets]
    source_row = row[source]
    if not inner[source].all():
        raise NoLegalActionError("a trajectory passes on from a state that has no legal action")

    heads = policy(unique[shown])
    log_policy = masked_log_softmax(heads.forward_logits, forward_mask[shown])
    log_pf = _pick(log_policy, source_row, trajectories.actions)
    if heads.backward_logits is None:
        log_pb = torch.from_numpy(-np.log(num_parents[target])).to(log_pf)
    elif dag.num_backward_actions == 1:
        # Certain, whatever the network says; objectives differentiate it all the same.
        log_pb = torch.zeros_like(log_pf) + heads.backward_logits[:0].sum()
    else:
        table = masked_log_softmax(heads.backward_logits, backward_mask[shown])
        target_row = row[target]
        edges = np.flatnonzero(target_row >= 0)
        chosen = _pick(table, target_row[edges], trajectories.backward_actions[edges])
        log_pb = torch.zeros_like(log_pf).index_copy(0, torch.from_numpy(edges).to(device), chosen)
    log_flow = None
    if heads.log_flow is not None:
        log_reward = torch.from_numpy(trajectories.log_reward).to(heads.log_flow)
        known = row[inverse]
        known[trajectories.last] = len(shown) + np.arange(len(trajectories))
        log_flow = torch.cat([heads.log_flow, log_reward]).index_select(0, torch.from_numpy(known).to(device))
    return EdgeTerms(log_pf, log_pb, log_flow, log_policy, source_row)


def _pick(table: Tensor, rows: IntArray, columns: IntArray) -> Tensor:
    """``table[rows, columns]``, (k,)."""
    index = torch.from_numpy(rows * table.shape[1] + columns)
    return table.reshape(-1).index_select(0, index.to(table.device))
