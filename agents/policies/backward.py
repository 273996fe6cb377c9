"""Backward policies that are not learned with the objective."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


def maxent_log_pb(dag: Dag, trajectories: Trajectories) -> FloatArray:
    """log P_B of each edge (e,) under the maximum-entropy backward policy: P_B(s|s') = n(s) / n(s').

    n(s) is the number of trajectories from s0 to s, so every trajectory to an object is equally likely
    (Mohammadpour et al. 2024).
    """
    log_n = dag.log_num_paths(trajectories.states)
    return log_n[trajectories.sources] - log_n[trajectories.targets]


def maxent_logits(dag: Dag, states: IntArray) -> FloatArray:
    """Backward logits (n, num_backward_actions) of that policy: log n of the parent, 0 where illegal."""
    mask = dag.backward_mask(states)
    row, actions = np.nonzero(mask)
    logits = np.zeros(mask.shape, dtype=np.float32)
    log_n = dag.log_num_paths(dag.undo(states[row], actions))
    # Relative to the state's own count, so that single precision loses nothing on long trajectories.
    logits[row, actions] = log_n - dag.log_num_paths(states)[row]
    return logits


def negative_log_likelihood(log_pb: Tensor, num_trajectories: int) -> Tensor:
    """Minus log P_B(tau|x), averaged over trajectories: what trajectory-likelihood maximisation (TLM) minimises on
    trajectories of P_F (Gritsaev et al. 2025), and pessimistic GFlowNets on those remembered (Jang et al. 2024)."""
    return -log_pb.sum() / num_trajectories
