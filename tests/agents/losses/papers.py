"""Balance losses written out as their papers print them: the specification of agents/losses/balance.py.

Shapes: ``log_pf``, ``log_pb`` (e,) on edges, trajectory by trajectory; ``log_flow`` (s,) on states, log R at terminal
ones; ``log_reward`` (n,). Trajectory i has the edges ``edge_offsets[i]:edge_offsets[i + 1]``.
"""

from __future__ import annotations

from torch import Tensor

from agents.losses.segments import segment_sum


def trajectory_balance(
    log_pf: Tensor, log_pb: Tensor, log_z: Tensor, log_reward: Tensor, edge_offsets: Tensor
) -> Tensor:
    """Malkin et al. 2022, equation 14, (n,)."""
    return log_z + segment_sum(log_pf - log_pb, edge_offsets) - log_reward


def log_partition_variance(log_pf: Tensor, log_pb: Tensor, log_reward: Tensor, edge_offsets: Tensor) -> Tensor:
    """Trajectory balance with log Z replaced by its best value for the batch (Zhang et al. 2023), (n,)."""
    score = segment_sum(log_pf - log_pb, edge_offsets) - log_reward
    return score - score.mean()


def detailed_balance(log_pf: Tensor, log_pb: Tensor, log_flow_source: Tensor, log_flow_target: Tensor) -> Tensor:
    """Bengio et al. 2023, GFlowNet Foundations, equation 15, (e,)."""
    return log_flow_source + log_pf - log_flow_target - log_pb


def modified_detailed_balance(
    log_pf: Tensor,
    log_pb: Tensor,
    log_reward_source: Tensor,
    log_reward_target: Tensor,
    log_stop_source: Tensor,
    log_stop_target: Tensor,
) -> Tensor:
    """Deleu et al. 2022, equation 6, on edges that do not stop, (e,)."""
    return log_reward_target + log_pb + log_stop_source - log_reward_source - log_pf - log_stop_target


def subtrajectory_balance(
    log_pf: Tensor,
    log_pb: Tensor,
    log_flow: Tensor,
    offsets: Tensor,
    lamda: float,
    weighting: str,
    longest: int | None = None,
) -> Tensor:
    """Madan et al. 2023, equation 11: the loss, by three loops; with j - i <= longest as in figure A.4."""
    losses, weights = [], []
    for t, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        loss, weight = 0.0, 0.0
        for i in range(begin, end):
            for j in range(i + 1, end if longest is None else min(end, i + longest + 1)):
                edges = slice(i - t, j - t)
                residual = log_flow[i] + log_pf[edges].sum() - log_flow[j] - log_pb[edges].sum()
                loss, weight = loss + lamda ** (j - i) * residual**2, weight + lamda ** (j - i)
        losses.append(loss)
        weights.append(weight)
    if weighting == "batch":
        return sum(losses) / sum(weights)
    return sum(loss / weight for loss, weight in zip(losses, weights, strict=True)) / len(losses)
