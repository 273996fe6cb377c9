"""Objectives with their gradients, in closed form: the mathematics of :mod:`agents.losses.balance`, compiled.

Each takes ``log_pf`` and ``log_pb`` (e,), ``log_flow`` (s,), ``log_z``, ``log_reward`` (n,), the ``offsets`` of the
states (n + 1,) and a ``penalty`` (its number in :data:`PENALTIES`, the most that it may be), and returns the loss and
its derivatives with respect to the first four.
"""

from __future__ import annotations

import numpy as np

from agents.engines.numba.kernels import compiled

#: Penalties by number, as :func:`agents.losses.balance.penalty` names them.
PENALTIES = {"squared": 0, "huber": 1, "log-cosh": 2}


@compiled
def penalise(residual, penalty):
    """``(value, slope)`` of the penalty of a residual."""
    kind, most = penalty
    size = abs(residual)
    if kind == 0:
        value, slope = residual * residual, 2 * residual
    elif kind == 1:
        value, slope = (size * size / 2, residual) if size <= 1 else (size - 0.5, np.sign(residual))
    else:
        value, slope = size + np.log1p(np.exp(-2 * size)) - np.log(2.0), np.tanh(residual)
    return (most, 0.0) if value > most else (value, slope)


@compiled
def scores(log_pf, log_pb, log_reward, offsets):
    """sum log P_F - sum log P_B - log R of each trajectory (n,)."""
    n = len(log_reward)
    found = np.empty(n)
    for i in range(n):
        total = 0.0
        for edge in range(offsets[i] - i, offsets[i + 1] - i - 1):
            total += log_pf[edge] - log_pb[edge]
        found[i] = total - log_reward[i]
    return found


@compiled
def of_edges(slopes, offsets):
    """Derivatives of trajectories' scores, as those of their edges: ``(of_log_pf, of_log_pb)``."""
    n = len(slopes)
    of_log_pf = np.empty(offsets[n] - n, np.float32)
    for i in range(n):
        for edge in range(offsets[i] - i, offsets[i + 1] - i - 1):
            of_log_pf[edge] = slopes[i]
    return of_log_pf, -of_log_pf


@compiled
def trajectory_balance(log_pf, log_pb, log_flow, log_z, log_reward, offsets, penalty):
    """Mean penalty of trajectory balance (Malkin et al. 2022, equation 14)."""
    score, n = scores(log_pf, log_pb, log_reward, offsets), len(log_reward)
    loss, slopes = 0.0, np.empty(n)
    for i in range(n):
        value, slope = penalise(log_z + score[i], penalty)
        loss += value / n
        slopes[i] = slope / n
    of_log_pf, of_log_pb = of_edges(slopes, offsets)
    return loss, of_log_pf, of_log_pb, np.zeros_like(log_flow), slopes.sum()


@compiled
def log_partition_variance(log_pf, log_pb, log_flow, log_z, log_reward, offsets, penalty):
    """Mean penalty of VarGrad: log Z is the best of the batch, and is fitted to it (Zhang et al. 2023)."""
    score, n = scores(log_pf, log_pb, log_reward, offsets), len(log_reward)
    mean, slopes = score.mean(), np.empty(n)
    loss = (log_z + mean) ** 2
    for i in range(n):
        value, slope = penalise(score[i] - mean, penalty)
        loss += value / n
        slopes[i] = slope / n
    of_log_pf, of_log_pb = of_edges(slopes - slopes.mean(), offsets)
    return loss, of_log_pf, of_log_pb, np.zeros_like(log_flow), 2 * (log_z + mean)


@compiled
def detailed_balance(log_pf, log_pb, log_flow, log_z, log_reward, offsets, penalty):
    """Mean over trajectories of the mean penalty of detailed balance (Bengio et al. 2023, equation 15)."""
    n, loss = len(log_reward), 0.0
    of_log_pf, of_log_flow = np.empty_like(log_pf), np.zeros_like(log_flow)
    for i in range(n):
        weight = 1.0 / (n * (offsets[i + 1] - offsets[i] - 1))
        for j in range(offsets[i], offsets[i + 1] - 1):
            residual = log_flow[j] + log_pf[j - i] - log_flow[j + 1] - log_pb[j - i]
            value, slope = penalise(residual, penalty)
            loss += weight * value
            of_log_pf[j - i] = weight * slope
            of_log_flow[j] += weight * slope
            of_log_flow[j + 1] -= weight * slope
    return loss, of_log_pf, -of_log_pf, of_log_flow, 0.0


@compiled
def subtrajectory_balance(log_pf, log_pb, log_flow, log_z, log_reward, offsets, penalty, lamda, over_batch):
    """SubTB(lambda), weights normalised over each trajectory or over the batch (Madan et al. 2023, equation 10)."""
    n, longest = len(log_reward), 0
    for i in range(n):
        longest = max(longest, offsets[i + 1] - offsets[i] - 1)
    # Powers of lambda relative to the largest: that of a trajectory's longest part, or of one edge. None overflows.
    powers = np.exp(-np.abs(np.log(lamda)) * np.arange(longest))
    total = 0.0
    totals = np.zeros(n)
    for i in range(n):
        edges = offsets[i + 1] - offsets[i] - 1
        for gap in range(1, edges + 1):
            below = (longest if over_batch else edges) - gap if lamda > 1 else gap - 1
            totals[i] += (edges + 1 - gap) * powers[below]
        total += totals[i]
    loss = 0.0
    of_log_pf, of_log_flow = np.empty_like(log_pf), np.empty_like(log_flow)
    u, of_u = np.empty(longest + 1), np.empty(longest + 1)
    for i in range(n):
        first, m = offsets[i], offsets[i + 1] - offsets[i]
        share = total if over_batch else totals[i] * n
        largest = longest if over_batch else m - 1
        before = 0.0
        for j in range(m):
            u[j], of_u[j] = log_flow[first + j] - before, 0.0
            if j < m - 1:
                before += log_pf[first + j - i] - log_pb[first + j - i]
        for j in range(m):
            for k in range(j + 1, m):
                value, slope = penalise(u[j] - u[k], penalty)
                weight = powers[largest - (k - j) if lamda > 1 else k - j - 1] / share
                loss += weight * value
                of_u[j] += weight * slope
                of_u[k] -= weight * slope
        behind = 0.0
        for j in range(m - 1, -1, -1):
            of_log_flow[first + j] = of_u[j]
            if j < m - 1:
                of_log_pf[first + j - i] = -behind
            behind += of_u[j]
    return loss, of_log_pf, -of_log_pf, of_log_flow, 0.0
