"""Balance objectives, compiled: the residuals of :mod:`agents.losses.balance`, their penalties and the gradient.

One kernel for all objectives. It takes the declaration as numbers; see :func:`numbers`.
"""

from __future__ import annotations

import math

import numpy as np

from agents.jit import compiled
from agents.losses.balance import Balance
from agents.losses.penalty import LARGEST

#: Number of each penalty.
PENALTIES = {"squared": 0, "huber": 1, "log-cosh": 2, "half-squared": 3, "shifted-cosh": 4, "linex": 5, "linex-half": 6}


def numbers(balance: Balance) -> tuple[bool, int, int, int, float, bool, bool]:
    """A declaration as numbers: (from_source, shortest, longest, edges left out at the end, lambda, over the batch,
    centered)."""
    pairs = balance.pairs
    return (
        pairs.from_source,
        pairs.shortest,
        pairs.longest,
        1 - pairs.terminal,
        float(pairs.decay),
        pairs.over == "batch",
        balance.centered,
    )


def penalty_numbers(loss: str, clamp: float | None) -> tuple[int, float]:
    """A penalty as numbers: its kind and its upper bound."""
    return PENALTIES[loss], math.inf if clamp is None else float(clamp)


@compiled
def penalize(residual, penalty):
    """``(value, slope)`` of the penalty of a residual."""
    kind, cap = penalty
    size = abs(residual)
    if kind == 0:
        value, slope = residual * residual, 2 * residual
    elif kind == 1:
        value, slope = (size * size / 2, residual) if size <= 1 else (size - 0.5, np.sign(residual))
    elif kind == 2:
        value, slope = size + np.log1p(np.exp(-2 * size)) - np.log(2.0), np.tanh(residual)
    elif kind == 3:
        value, slope = residual * residual / 2, residual
    elif kind == 4:
        inside, beyond = min(size, LARGEST), max(size - LARGEST, 0.0)
        value = 4 * np.sinh(inside / 2) ** 2 + 2 * np.sinh(LARGEST) * beyond
        slope = 2 * np.sinh(inside) * np.sign(residual)
    else:
        part = 1.0 if kind == 5 else 0.5  # Linex of d, or 4 times that of d / 2.
        t = -residual * part
        inside, beyond = min(t, LARGEST), max(t - LARGEST, 0.0)
        value = (np.expm1(inside) - inside + np.expm1(LARGEST) * beyond) / (part * part)
        slope = -np.expm1(inside) / part
    return (cap, 0.0) if value > cap else (value, slope)


@compiled
def references(offsets, rule):
    """Length of the pairs with the largest weight in each trajectory (n,), and the length of the longest trajectory.

    Weights relative to the largest do not overflow.
    """
    from_source, shortest, longest, left_out, decay, over_batch, _ = rule
    n, max_edges = len(offsets) - 1, 0
    for i in range(n):
        max_edges = max(max_edges, offsets[i + 1] - offsets[i] - 1 - left_out)
    reference = np.zeros(n, np.int64)
    for i in range(n):
        reference[i] = 1
        edges = max_edges if over_batch else offsets[i + 1] - offsets[i] - 1 - left_out
        if decay > 1:
            reference[i] = min(longest, edges)
        elif from_source:
            reference[i] = min(shortest, edges)
    return reference, max_edges


@compiled
def totals(offsets, rule, reference, powers):
    """Normalizer (n,): sum of the weights of a trajectory times the number of trajectories, or sum over the batch."""
    from_source, shortest, longest, left_out, _, over_batch, _ = rule
    n, whole, count = len(offsets) - 1, 0.0, 0
    total = np.zeros(n)
    for i in range(n):
        edges = offsets[i + 1] - offsets[i] - 1 - left_out
        for j in range(min(1, edges) if from_source else edges):
            for gap in range(min(shortest, edges - j), min(longest, edges - j) + 1):
                total[i] += powers[abs(gap - reference[i])]
        whole += total[i]
        count += total[i] != 0
    for i in range(n):
        total[i] = whole if over_batch else total[i] * count
    return total


@compiled
def balance_loss(log_pf, log_pb, log_flow, end_flow, offsets, rule, penalty):
    """Loss of a batch and its gradient.

    Args:
        log_pf, log_pb: log-probabilities of the edges (e,).
        log_flow, end_flow: log F of the states (s,), as the first and as the second state of a pair.
        offsets: trajectory i has the states ``offsets[i]:offsets[i + 1]`` (n + 1,).
        rule, penalty: see :func:`numbers` and :func:`penalty_numbers`.

    Returns:
        ``(loss, mean, d_log_pf, d_log_flow, d_end_flow)``: the loss, the weighted mean residual, and the derivatives of
        the loss. The derivative with respect to log P_B is ``-d_log_pf``.
    """
    from_source, shortest, longest, left_out, decay, _, centered = rule
    reference, max_edges = references(offsets, rule)
    powers, scratch = np.zeros(max_edges + 1), np.zeros((4, max_edges + 2))
    for gap in range(max_edges + 1):
        powers[gap] = np.exp(-abs(np.log(decay)) * gap)
    total = totals(offsets, rule, reference, powers)
    d_log_pf, d_log_flow = np.zeros(len(log_pf), np.float32), np.zeros(len(log_flow), np.float32)
    d_end_flow = np.zeros(len(log_flow), np.float32)
    u, u_end, d_u, d_end = scratch[0], scratch[1], scratch[2], scratch[3]
    loss, mean, pull = 0.0, 0.0, 0.0
    # A centered residual depends on all others: find their mean, then the mean slope, then the gradient.
    for stage in range(0 if centered else 2, 3):
        center, mean_here, pull_here = mean if centered else 0.0, 0.0, 0.0
        for i in range(len(offsets) - 1):
            first, m = offsets[i], offsets[i + 1] - offsets[i]
            edges, before = m - 1 - left_out, 0.0
            for j in range(m):
                u[j], u_end[j] = log_flow[first + j] - before, end_flow[first + j] - before
                d_u[j], d_end[j] = 0.0, 0.0
                if j < m - 1:
                    before += log_pf[first + j - i] - log_pb[first + j - i]
            for j in range(min(1, edges) if from_source else edges):
                for gap in range(min(shortest, edges - j), min(longest, edges - j) + 1):
                    k = j + gap
                    weight = powers[abs(gap - reference[i])] / total[i]
                    residual = u[j] - u_end[k]
                    mean_here += weight * residual
                    if stage > 0:
                        value, slope = penalize(residual - center, penalty)
                        pull_here += weight * slope
                        if stage == 2:
                            loss += weight * value
                            d_u[j] += weight * (slope - pull)
                            d_end[k] -= weight * (slope - pull)
            if stage == 2:
                behind = 0.0
                for j in range(m - 1, -1, -1):
                    d_log_flow[first + j], d_end_flow[first + j] = d_u[j], d_end[j]
                    if j < m - 1:
                        d_log_pf[first + j - i] = -behind
                    behind += d_u[j] + d_end[j]
        if stage < 2:
            mean, pull = mean_here, pull_here
        elif not centered:
            mean = mean_here
    return loss, mean, d_log_pf, d_log_flow, d_end_flow
