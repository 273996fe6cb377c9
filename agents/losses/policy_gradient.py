"""Policy gradients for GFlowNets as pure functions on packed trajectories (Niu et al. 2024).

The KL divergence KL(P_F(tau) || P_B(tau|x) R(x) / Z) is the expected sum of costs, one per edge, under the policy
itself: reinforcement learning with a cost that depends on the policy. Gradients treat costs as constants, because the
gradient through them is zero in expectation. The discount is 1.

Shapes: everything on edges is (e,), trajectory-major, in the order of decisions. The edges of
trajectory i are ``edge_offsets[i]:edge_offsets[i + 1]``. The value of an edge is that of the state it leaves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agents.losses.segments import segment_ids


def forward_costs(log_pf: Tensor, log_pb: Tensor, log_reward: Tensor, log_z: Tensor, edge_offsets: Tensor) -> Tensor:
    """Cost of each edge, (e,), detached: c(s, a) = log P_F(s'|s) - log P_B(s|s'), and on last edges - log R(x) + log Z.

    Their sum over a trajectory is the residual of trajectory balance, and its expectation under P_F is
    KL(P_F || P_B R / Z*) + log Z - log Z* with Z* = sum R (Niu et al. 2024).
    """
    costs = (log_pf - log_pb).detach()
    costs[edge_offsets[1:] - 1] += (log_z - log_reward).detach().to(costs)
    return costs


def backward_costs(log_pb: Tensor, log_reference: Tensor) -> Tensor:
    """Cost of each edge in the backward problem, (e,), detached: log P_B(s|s') - log P_G(s'|s).

    Its expected sum over trajectories from x under P_B is KL(P_B(tau|x) || P_G(tau|x)) up to a term in x alone.
    """
    return (log_pb - log_reference).detach()


def mirrored(values: Tensor, edge_offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Edges in the order of backward trajectories, from x to s0, and their offsets; trajectories are reversed too."""
    return values.flip(0), edge_offsets[-1] - edge_offsets.flip(0)


def suffix_sums(values: Tensor, edge_offsets: Tensor, lamda: float = 1.0) -> Tensor:
    """sum_k lambda^k values_{t+k} over the rest of the trajectory, (e,).

    Sums over 2h edges are sums over h edges plus lambda^h times the sums that start h edges later. This takes about
    log2(longest trajectory) passes, and no division by powers of lambda.
    """
    positions = torch.arange(len(values), device=values.device)
    remaining = edge_offsets[1:][segment_ids(edge_offsets, len(values))] - positions
    sums, gap = values.clone(), 1
    longest = int(remaining.max()) if len(values) else 0
    while gap < longest:
        later = torch.where(remaining[:-gap] > gap, sums[gap:] * lamda**gap, 0.0)
        sums = torch.cat([sums[:-gap] + later, sums[-gap:]])
        gap *= 2
    return sums


def generalized_advantages(costs: Tensor, values: Tensor, edge_offsets: Tensor, lamda: float) -> Tensor:
    """Advantages A_t = delta_t + lambda A_{t+1}, delta_t = c_t + V(s_{t+1}) - V(s_t), (e,); V = 0 at the end.

    Schulman et al. 2016 with discount 1. lambda = 1 gives returns minus V.
    """
    following = values.roll(-1)
    following[edge_offsets[1:] - 1] = 0.0
    return suffix_sums(costs + following - values, edge_offsets, lamda)


def policy_loss(log_p: Tensor, advantages: Tensor, n: int) -> Tensor:
    """A scalar whose gradient is the policy gradient, the mean over ``n`` trajectories of sum_t A_t grad log P."""
    return (advantages.detach() * log_p).sum() / n


def kl_divergence(log_p: Tensor, log_q: Tensor, weights: Tensor) -> Tensor:
    """sum_s weights_s KL(p(.|s) || q(.|s)), a scalar, from log-probabilities (n, actions) and weights (n,).

    Illegal actions, whose log-probabilities are the dtype's minimum, add nothing.
    """
    p = log_p.exp()
    return weights @ torch.where(p > 0, p * (log_p - log_q), 0.0).sum(1)


def surrogate(
    log_p: Tensor, log_old: Tensor, row: Tensor, actions: Tensor, advantages: Tensor, visits: Tensor
) -> Tensor:
    """Objective of the new policy on trajectories of the old one, ignoring changes in state visits; a scalar.

    Mean over edges of A p(a|s) / old(a|s) (Schulman et al. 2015; Niu et al. 2024), plus the mean KL(p || old). The
    second term is missing in advantages of detached costs, because the cost of an edge contains log p. Its gradient is
    0 at p = old; its Hessian determines the step length in :func:`trust_region_step`.

    Args:
        log_p, log_old: log-probabilities of all actions of the distinct states (n, actions).
        row, actions: the edges' states, as rows of those, and actions (e,).
        advantages: (e,).
        visits: share of the edges that leave each state (n,).
    """
    ratio = (log_p[row, actions] - log_old[row, actions]).exp()
    return (ratio * advantages).mean() + kl_divergence(log_p, log_old, visits)


def capped_stop(log_p: Tensor, low: Tensor, log_cap: float) -> Tensor:
    """Log-probabilities (n, actions) whose last, the stop action, is at most ``log_cap`` in rows that are ``low`` (n,).

    Renormalized. A row whose only action is to stop stays as it is.
    """
    stop = torch.where(low, log_p[:, -1].clamp(max=log_cap), log_p[:, -1])
    return torch.cat([log_p[:, :-1], stop[:, None]], 1).log_softmax(1)
