"""GFlowNet losses as pure functions of log-probabilities on packed trajectories.

Shapes: ``log_pf``, ``log_pb`` (e,) on edges, trajectory-major; ``log_flow`` (s,) on states, log R at terminal ones;
``log_reward`` (n,) on trajectories; ``log_z`` a scalar. The edges of trajectory i are
``edge_offsets[i]:edge_offsets[i + 1]`` and its states ``offsets[i]:offsets[i + 1]``, one more. Residuals are returned,
to be squared (or passed through another penalty) and averaged, unless a function says that it returns a loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gfn_envs.arrays import FloatArray, IntArray


def segment_ids(offsets: Tensor, total: int) -> Tensor:
    """Which segment ``offsets[i]:offsets[i + 1]`` each of ``total`` entries is in, (total,)."""
    n = len(offsets) - 1
    return torch.repeat_interleave(torch.arange(n, device=offsets.device), offsets.diff(), output_size=total)


def segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    """Sum of ``values`` (e,) within each segment ``offsets[i]:offsets[i + 1]``, (n,)."""
    return torch.segment_reduce(values, "sum", offsets=offsets)


def penalty(residual: Tensor, loss: str = "squared", clamp: float | None = None) -> Tensor:
    """Penalty of each residual d, elementwise.

    Args:
        residual: any shape.
        loss: "squared", d^2; "huber", d^2 / 2 up to abs(d) = 1 and abs(d) - 1/2 beyond; "log-cosh", log cosh d.
        clamp: the most a penalty may be. Beyond it the gradient is 0: at 100, squared residuals above 10 teach nothing.

    Raises:
        ValueError: an unknown loss.
    """
    if loss == "squared":
        value = residual.square()
    elif loss == "huber":
        value = torch.nn.functional.huber_loss(residual, torch.zeros_like(residual), reduction="none")
    elif loss == "log-cosh":
        size = residual.abs()
        value = size + torch.nn.functional.softplus(-2 * size) - math.log(2)
    else:
        raise ValueError(f"loss must be 'squared', 'huber' or 'log-cosh', got {loss!r}")
    if clamp is None:
        return value
    # The gradient of an infinite residual is to be 0 too, and 0 times infinity is not.
    large = value.detach() > clamp
    return penalty(residual.masked_fill(large, 0.0), loss).masked_fill(large, clamp)


def trajectory_balance(
    log_pf: Tensor, log_pb: Tensor, log_z: Tensor, log_reward: Tensor, edge_offsets: Tensor
) -> Tensor:
    """Residual of trajectory balance, (n,).

    log Z + sum_t log P_F(s_{t+1}|s_t) - log R(x) - sum_t log P_B(s_t|s_{t+1})  (Malkin et al. 2022, equation 14).
    """
    return log_z + segment_sum(log_pf - log_pb, edge_offsets) - log_reward


def log_partition_variance(log_pf: Tensor, log_pb: Tensor, log_reward: Tensor, edge_offsets: Tensor) -> Tensor:
    """Residual of VarGrad, (n,): trajectory balance with log Z replaced by its best value for the batch.

    That value is the mean of log R + sum log P_B - sum log P_F (Zhang et al. 2023, Robust Scheduling).
    """
    score = segment_sum(log_pf - log_pb, edge_offsets) - log_reward
    return score - score.mean()


def detailed_balance(log_pf: Tensor, log_pb: Tensor, log_flow_source: Tensor, log_flow_target: Tensor) -> Tensor:
    """Residual of detailed balance, (e,).

    log F(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'), with log R(x) for log F at terminal states
    (Bengio et al. 2023, GFlowNet Foundations, equation 15).
    """
    return log_flow_source + log_pf - log_flow_target - log_pb


def flow_matching(log_inflow: Tensor, log_outflow: Tensor, eps: float = 0.0) -> Tensor:
    """Residual of flow matching, (s,), for states other than s0.

    log(eps + sum of edge flows in) - log(eps + sum of edge flows out), where the outflow of a terminal state is its
    reward (Bengio et al. 2021, equation 12).
    """
    if eps == 0:
        return log_inflow - log_outflow
    floor = torch.full((), eps, dtype=log_inflow.dtype, device=log_inflow.device).log()
    return torch.logaddexp(log_inflow, floor) - torch.logaddexp(log_outflow, floor)


def subtrajectory_balance(
    log_pf: Tensor,
    log_pb: Tensor,
    log_flow: Tensor,
    offsets: Tensor,
    lamda: float = 0.9,
    weighting: Literal["trajectory", "batch"] = "trajectory",
    penalty: Callable[[Tensor], Tensor] = torch.square,
) -> Tensor:
    """Loss of sub-trajectory balance SubTB(lambda), a scalar (Madan et al. 2023, equation 10).

    The residual of the sub-trajectory from step i to step j > i is
    log F(s_i) + sum_{i<=t<j} log P_F - log F(s_j) - sum_{i<=t<j} log P_B. Squared residuals are averaged with weights
    lambda^(j - i), normalised over each trajectory and then averaged, or over the whole batch. lambda -> 0 gives
    detailed balance, lambda -> infinity trajectory balance with log Z = log F(s_0).

    Args:
        log_pf, log_pb: (e,).
        log_flow: (s,), log R at terminal states.
        offsets: of the states, (n + 1,).
        lamda: lambda > 0.
        weighting: what the weights are normalised over.
        penalty: elementwise, of the residuals.

    Raises:
        ValueError: lambda <= 0 or infinite, or an unknown weighting.
    """
    if not 0 < lamda < float("inf"):
        raise ValueError(f"lambda must be finite and > 0, got {lamda}")
    if weighting not in ("trajectory", "batch"):
        raise ValueError(f"weighting must be 'trajectory' or 'batch', got {weighting!r}")
    first, last, weight = (
        torch.from_numpy(values).to(log_flow.device)
        for values in _subtrajectories(offsets.cpu().numpy(), lamda, weighting)
    )
    # With S_i the sum of log P_F - log P_B over the edges before state i, a residual is the difference u_i - u_j of
    # u = log F - S. S runs on from trajectory to trajectory: that cancels out, in double precision without a trace.
    sums = torch.nn.functional.pad((log_pf - log_pb).cumsum(0, dtype=torch.float64), (1, 0))
    edges_before = torch.arange(len(log_flow), device=log_flow.device) - segment_ids(offsets, len(log_flow))
    u = log_flow - sums.index_select(0, edges_before)
    residual = (u.index_select(0, first) - u.index_select(0, last)).to(log_flow.dtype)
    return weight.to(log_flow.dtype) @ penalty(residual)


def _subtrajectories(
    offsets: IntArray, lamda: float, weighting: Literal["trajectory", "batch"]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Every sub-trajectory of trajectories whose states are ``offsets[i]:offsets[i + 1]``.

    Returns:
        ``(first, last, weight)``, each (p,): positions of its first and last state, and its share of the loss, float64.
    """
    num_edges, position = np.diff(offsets) - 1, np.arange(offsets[-1])
    # A state is the first of as many sub-trajectories as there are states after it in its trajectory.
    after = np.repeat(offsets[1:] - 1, num_edges + 1) - position
    first = np.repeat(position, after)
    gap = np.arange(1, len(first) + 1) - (after.cumsum() - after).take(first)
    log_weight = gap * math.log(lamda)
    if weighting == "batch":
        weight = np.exp(log_weight - log_weight.max())
        return first, first + gap, weight / weight.sum()
    # The weights of m edges add up to sum_{k<=m} (m + 1 - k) lambda^k, a cumulative sum of cumulative sums over m.
    log_total = np.arange(1, num_edges.max() + 1) * math.log(lamda)
    for _ in range(2):
        log_total = np.logaddexp.accumulate(log_total)
    share = log_total[num_edges - 1] + math.log(len(num_edges))
    return first, first + gap, np.exp(log_weight - np.repeat(share, num_edges + 1).take(first))


def modified_detailed_balance(
    log_pf: Tensor,
    log_pb: Tensor,
    log_reward_source: Tensor,
    log_reward_target: Tensor,
    log_stop_source: Tensor,
    log_stop_target: Tensor,
) -> Tensor:
    """Residual of modified detailed balance, (e,), on DAGs where every state can stop; e runs over edges that do not.

    log R(s') + log P_B(s|s') + log P_F(stop|s) - log R(s) - log P_F(s'|s) - log P_F(stop|s')
    (Deleu et al. 2022, equation 6).
    """
    return log_reward_target + log_pb + log_stop_source - log_reward_source - log_pf - log_stop_target
