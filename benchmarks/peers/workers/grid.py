"""Cells of a grid, and the exact distribution of the cell where a policy stops. NumPy only."""

import numpy as np


def cells(ndim, side):
    """Every cell, int64 (side^ndim, ndim). The last coordinate changes fastest."""
    return np.indices((side,) * ndim).reshape(ndim, -1).T


def terminal_distribution(probabilities, ndim, side):
    """P_T of every cell, float64 (side^ndim,), from P_F of every cell (side^ndim, ndim + 1). The last one stops.

    P_T(s) = u(s) P_F(stop|s) with u(s0) = 1, u(s') = sum over parents of u(s) P_F(s'|s), by coordinate sum.
    """
    grid, stride = cells(ndim, side), side ** np.arange(ndim)[::-1]
    level = grid.sum(1)
    order, ends = np.argsort(level, kind="stable"), np.cumsum(np.bincount(level))
    reach = np.zeros(len(grid))
    reach[0] = 1.0
    for rows in np.split(order, ends[:-1]):
        for i in range(ndim):
            inside = rows[grid[rows, i] < side - 1]
            reach[inside + stride[i]] += reach[inside] * probabilities[inside, i]
    return reach * probabilities[:, -1]
