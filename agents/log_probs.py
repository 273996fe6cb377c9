"""Log-probabilities and log flows along trajectories: log P_F, log P_B and log F of a policy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.errors import NoLegalActionError
from agents.policies.backward import BackwardPolicy
from agents.policies.masking import masked_log_softmax
from agents.policies.policy import Policy
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, IntArray, distinct
from gfn_envs.dag import Dag


class LogProbs(NamedTuple):
    """Log-probabilities of the edges, and log flows of the states, of packed trajectories."""

    log_pf: Tensor
    """(e,)"""
    log_pb: Tensor
    """(e,)"""
    log_flow: Tensor | None
    """(s,): the network's log F, and log R at terminal states; None if the policy has no flow head."""
    log_policy: Tensor
    """(k, num_actions): log P_F of the distinct states that the network evaluated."""
    rows: IntArray
    """(e,): row of ``log_policy`` of the edge's source."""
    legal: BoolArray
    """(k, num_actions): legal actions of the distinct states."""


def log_probs(dag: Dag, policy: Policy, trajectories: Trajectories, backward: BackwardPolicy | None = None) -> LogProbs:
    """Evaluate a policy on trajectories, each distinct state once.

    States with a single backward action have log P_B = 0. The network evaluates terminal states only if P_B is learned
    and has a choice there.

    Args:
        dag: the environment.
        policy: maps states to :class:`agents.policies.Heads`.
        trajectories: the trajectories.
        backward: a fixed P_B. Ignored if the policy has backward logits. None: uniform.

    Raises:
        NoLegalActionError: a trajectory leaves a state without a legal action.
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
    if not inner.take(source).all():
        raise NoLegalActionError("a trajectory leaves a state that has no legal action")

    heads, legal = policy(unique[shown]), forward_mask[shown]
    log_policy = masked_log_softmax(heads.forward_logits, legal)
    log_pf = _pick(log_policy, source_row, trajectories.actions)
    if heads.backward_logits is None and backward is not None and backward.name != "uniform":
        log_pb = torch.from_numpy(backward.log_probs(dag, trajectories)).to(log_pf)
    elif heads.backward_logits is None:
        log_pb = torch.from_numpy(-np.log(num_parents[target])).to(log_pf)
    elif dag.num_backward_actions == 1:
        # log 1 for any logits, but with a (zero) gradient.
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
    return LogProbs(log_pf, log_pb, log_flow, log_policy, source_row, legal)


def _pick(table: Tensor, rows: IntArray, columns: IntArray) -> Tensor:
    """``table[rows, columns]``, (k,)."""
    index = torch.from_numpy(rows * table.shape[1] + columns)
    return table.reshape(-1).index_select(0, index.to(table.device))
