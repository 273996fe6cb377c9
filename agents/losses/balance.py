"""Balance objectives: one residual on pairs of states. An objective is a choice of pairs, weights and flows.

Along a trajectory s_0, ..., s_T let S_t be the sum of log P_F - log P_B over the edges before s_t, and
u_t = log F(s_t) - S_t. The flows balance on every part of the trajectory if and only if u is constant. The residual of
a pair of states (i, j), i < j, is

    u_i - u_j = log F(s_i) + sum log P_F - log F(s_j) - sum log P_B,    sums over the edges from s_i to s_j.

A loss is the weighted sum of a penalty, such as the square, of these residuals:

| agent | log F | pairs | weight |
|---|---|---|---|
| tb | log Z at s0, log R at x | (s0, x) | 1/n |
| vargrad | 0 at s0, log R at x; the mean residual is subtracted | (s0, x) | 1/n |
| db | network | (t, t+1) | 1/(n T) |
| subtb | network | all, or those of at most k edges | lambda^(j-i), normalized |
| fldb, flsubtb | network + partial log reward | as db, subtb | |
| mdb | log R(stop here) - log P_F(stop) | (t, t+1), without stopping | 1/e |
| pcl | network | (t, t+d), cut at x | 1/e |

with n trajectories of T edges and e pairs in the batch.

alpha-GFN (Chen et al. 2026, arXiv 2602.01749; setting ``mixing``) balances alpha F(s) P_F(s'|s) with (1 - alpha) F(s')
P_B(s|s'): c = log(alpha / (1 - alpha)) is added to log P_F - log P_B of every edge. The flows that balance exist and
are unique for every P_B. They sample x in proportion to R(x) times the mean of e^(-c T) over the trajectories of P_B to
x, of T edges: R(x) if all have the same length. The formulas follow from the paper's abstract and its reversibility
condition; whether its experiments mix the last edge too could not be checked. Here all edges are mixed.

Both engines read these declarations: :func:`balance_loss` is
the torch implementation, ``agents/engines/numba/balance.py`` the compiled one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gfn_envs.arrays import FloatArray, IntArray

#: More edges than any trajectory has.
WHOLE = 2**31 - 1


class Pairs(NamedTuple):
    """Rule that selects pairs of states (i, j) of each trajectory, and weights them.

    Pair i with the states ``shortest`` to ``longest`` edges later. A pair that would reach beyond the last state ends
    there. The weights are proportional to ``decay`` to the power of j - i and add up to 1.
    """

    from_source: bool = False
    """Only pairs that start at s0."""
    shortest: int = 1
    """Fewest edges between the two states, at least 1."""
    longest: int = WHOLE
    """Most edges between the two states."""
    terminal: bool = True
    """Include pairs that end at a terminal state."""
    decay: float = 1.0
    """lambda > 0."""
    over: Literal["trajectory", "batch"] = "trajectory"
    """Normalize weights within each trajectory and average over trajectories, or within the batch."""


#: (s0, x): one pair per trajectory.
COMPLETE = Pairs(from_source=True, shortest=WHOLE)
#: (t, t+1): one pair per edge.
EDGES = Pairs(longest=1)
#: One pair per edge that does not stop.
EDGES_BEFORE_STOP = Pairs(longest=1, terminal=False, over="batch")


def sub_trajectories(
    lamda: float, over: Literal["trajectory", "batch"] = "trajectory", longest: int | None = None
) -> Pairs:
    """All pairs, weighted by lambda^(j - i) (Madan et al. 2023, equation 11), or those of at most ``longest`` edges.

    Raises:
        ValueError: lambda <= 0 or infinite, an unknown normalization, or ``longest`` < 1.
    """
    if not 0 < lamda < math.inf:
        raise ValueError(f"lambda must be finite and > 0, got {lamda}")
    if over not in ("trajectory", "batch"):
        raise ValueError(f"weighting must be 'trajectory' or 'batch', got {over!r}")
    if longest is not None and longest < 1:
        raise ValueError(f"longest must be at least 1, got {longest}")
    return Pairs(decay=lamda, over=over, longest=WHOLE if longest is None else longest)


def paths(steps: int | None) -> Pairs:
    """(t, t+steps), cut at the terminal state; None: always to the terminal state (Nachum et al. 2017)."""
    d = WHOLE if steps is None else steps
    return Pairs(shortest=d, longest=d, over="batch")


class Balance(NamedTuple):
    """A balance objective: what an engine needs to know of it."""

    pairs: Pairs
    flow: Literal["log_z", "network", "stop", "none"]
    """Source of log F(s). "log_z": a parameter at s0; "network": the policy's flow head; "stop": log R(s stopped) -
    log P_F(stop|s); "none": 0. Terminal states always have log R(x)."""
    partial_reward: bool = False
    """Add the environment's partial log reward to log F of states that are not terminal."""
    centered: bool = False
    """Subtract the weighted mean residual, and fit log Z to it."""


def select(pairs: Pairs, offsets: IntArray) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """The pairs of a batch of trajectories.

    Args:
        pairs: the rule.
        offsets: trajectory i has the states ``offsets[i]:offsets[i + 1]`` (n + 1,).

    Returns:
        ``(first, last, weight, trajectory)``, each (p,): positions of both states, int64; the weight, float64; and the
        trajectory.
    """
    n = len(offsets) - 1
    if pairs == COMPLETE:  # As below, in fewer operations.
        return offsets[:-1], offsets[1:] - 1, np.full(n, 1 / n), np.arange(n)
    edges = np.diff(offsets) - (1 if pairs.terminal else 2)
    if pairs.longest == 1 and not pairs.from_source:
        return _single_edges(pairs, offsets, np.maximum(edges, 0))
    if pairs.from_source:
        start, owner, remaining = offsets[:-1], np.arange(n), edges
    else:
        start = np.arange(offsets[-1])
        owner = np.repeat(np.arange(n), np.diff(offsets))
        remaining = (offsets[:-1] + edges)[owner] - start
    if not (inner := remaining > 0).all():
        start, owner, remaining = start[inner], owner[inner], remaining[inner]
    if pairs.shortest == pairs.longest:
        gap, first = np.minimum(pairs.shortest, remaining), start
    else:
        low = np.minimum(pairs.shortest, remaining)
        count = np.minimum(pairs.longest, remaining) - low + 1
        first, owner = np.repeat(start, count), np.repeat(owner, count)
        gap = np.arange(len(first)) + np.repeat(low - (count.cumsum() - count), count)
    return first, first + gap, _weights(pairs, gap, owner, edges), owner


def _single_edges(pairs: Pairs, offsets: IntArray, edges: IntArray) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """:func:`select` for pairs of one edge, in fewer operations."""
    owner, total = np.repeat(np.arange(len(edges)), edges), int(edges.sum())
    first = np.arange(total) + (offsets[:-1] + edges - edges.cumsum()).take(owner)
    if pairs.over == "batch":
        return first, first + 1, np.full(total, 1 / max(total, 1)), owner
    weight = 1 / (np.maximum(edges, 1) * np.count_nonzero(edges)) if total else np.ones(len(edges))
    return first, first + 1, weight.take(owner), owner


def _weights(pairs: Pairs, gap: IntArray, owner: IntArray, edges: IntArray) -> FloatArray:
    """Weights that add up to 1, of pairs with ``gap`` edges in between, of trajectories ``owner`` with ``edges``."""
    if not len(gap):
        return np.zeros(0)
    # Relative to the largest weight of the trajectory (or batch), so that no power of lambda overflows.
    if pairs.decay > 1:
        reference = np.minimum(pairs.longest, edges if pairs.over == "trajectory" else edges.max())
    else:
        reference = np.minimum(pairs.shortest, edges) if pairs.from_source else np.ones(1, dtype=np.int64)
    per_pair = reference if np.size(reference) == 1 else reference[owner]
    if pairs.decay == 1:
        weight = np.ones(len(gap))
    else:
        powers = np.exp(-abs(math.log(pairs.decay)) * np.arange(edges.max() + 1))
        weight = powers.take(abs(gap - per_pair))
    if pairs.over == "batch":
        return weight / weight.sum()
    total = np.bincount(owner, weight, len(edges))
    return weight / (total * np.count_nonzero(total))[owner]


def share(pairs: Pairs, offsets: IntArray, first: int, last: int) -> float:
    """Sum of the weights of the pairs of trajectories ``first`` to ``last - 1``, in [0, 1].

    The loss of a batch is the sum of the losses of its parts times their shares. (A centered loss is not.)

    Args:
        pairs: the rule.
        offsets: as in :func:`select`, of the whole batch.
        first, last: the part.
    """
    if pairs.over == "trajectory":
        counted = np.diff(offsets) > (1 if pairs.terminal else 2)
        return float(counted[first:last].sum() / max(1, int(counted.sum())))
    _, _, weight, owner = select(pairs, offsets)
    return float(weight[(owner >= first) & (owner < last)].sum())


def path_sums(values: Tensor, pairs: Pairs, edge: IntArray, length: IntArray) -> Tensor:
    """Sums of ``values`` (e,) over the edges of each pair, ``edge`` to ``edge + length`` (p,).

    ``pairs`` are single edges or complete trajectories.
    """
    if pairs == COMPLETE:
        return torch.segment_reduce(values, "sum", lengths=torch.from_numpy(length).to(values.device), unsafe=True)
    return values if pairs.terminal else values.index_select(0, torch.from_numpy(edge).to(values.device))


def sums_before(values: Tensor, offsets: IntArray) -> Tensor:
    """Sum of ``values`` (e,) over the edges before each state, float64 (s,).

    They run on from trajectory to trajectory, which cancels in differences, without a trace in double precision.
    """
    sums = torch.nn.functional.pad(values.cumsum(0, dtype=torch.float64), (1, 0))
    edge = np.arange(offsets[-1]) - np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return sums.index_select(0, torch.from_numpy(edge).to(values.device))


def balance_loss(
    log_pf: Tensor,
    log_pb: Tensor,
    log_flow: Tensor,
    offsets: IntArray,
    balance: Balance,
    penalty: Callable[[Tensor], Tensor] = torch.square,
    end_flow: Tensor | None = None,
    log_z: Tensor | None = None,
    groups: IntArray | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Weighted sum of the penalties of the residuals of a batch.

    Args:
        log_pf, log_pb: log-probabilities of the edges (e,), trajectory by trajectory.
        log_flow: log F of the states (s,).
        offsets: trajectory i has the states ``offsets[i]:offsets[i + 1]`` (n + 1,), one more than edges.
        balance: pairs, weights, and whether the mean residual is subtracted.
        penalty: elementwise, of residuals.
        end_flow: log F of the second state of each pair (s,) if it comes from elsewhere, such as a target network.
        log_z: added to log F(s0), if that is a parameter; all pairs must then start at s0.
        groups: numbers of groups of trajectories (n,): a centered balance subtracts the mean residual of each group.
            None: they are one group.

    Returns:
        ``(loss, mean)``: the loss, a scalar, 0 if there is no pair; the weighted mean residual if the balance is
        centered, else None. It is a scalar, or that of the group of each pair (p,).
    """
    first, last, weights, owner = select(balance.pairs, offsets)
    start, end, weight = (torch.from_numpy(a).to(log_flow.device) for a in (first, last, weights))
    end_flow = log_flow if end_flow is None else end_flow
    if balance.pairs == COMPLETE or balance.pairs.longest == 1:  # As below, in fewer operations.
        # State k of the batch, if it is of trajectory i, leaves by edge k - i.
        sums = path_sums(log_pf - log_pb, balance.pairs, first - owner, last - first)
        residual = log_flow.index_select(0, start) - end_flow.index_select(0, end) + sums
    else:
        sums = sums_before(log_pf - log_pb, offsets)
        u = log_flow - sums
        u_end = u if end_flow is log_flow else end_flow - sums
        residual = u.index_select(0, start) - u_end.index_select(0, end)
    residual = residual.to(log_pf.dtype)
    weight = weight.to(residual.dtype)
    if log_z is not None:
        residual = residual + log_z
    if not balance.centered:
        return weight @ penalty(residual), None
    mean = weight @ residual if groups is None else group_means(residual, weight, groups[owner])
    return weight @ penalty(residual - mean), mean


def group_means(values: Tensor, weight: Tensor, groups: IntArray) -> Tensor:
    """For each value (p,), the weighted mean of its group; groups are numbers from 0."""
    index = torch.from_numpy(groups).to(values.device)
    sums, total = values.new_zeros((2, int(groups.max()) + 1))
    means = sums.index_add(0, index, weight * values) / total.index_add(0, index, weight)
    return means.index_select(0, index)
