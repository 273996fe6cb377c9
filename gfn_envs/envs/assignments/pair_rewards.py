"""Rewards of permutations that are sums over pairs of items: the Mallows model, and matrices of the user."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.user_arrays import real_array
from gfn_envs.validation import shown


def pair_weights(reward: Any, n: int, where: str) -> FloatArray:
    """Weights W (n, n) of the pairs of items i before j: -1 for descending pairs ("mallows"), or the matrix ``reward``.

    Raises:
        ValueError: it is another text, or not a finite matrix of this shape.
    """
    if isinstance(reward, str):
        if reward != "mallows":
            raise ValueError(f"{where}: reward must be 'mallows', a matrix or a callable, got {shown(reward)}")
        return -np.tri(n, k=-1)
    matrix = real_array(reward, where, "reward")
    if matrix.shape != (n, n) or not np.isfinite(matrix).all():
        raise ValueError(f"{where}: reward must be a finite matrix of shape {(n, n)}, got shape {matrix.shape}")
    return matrix


def mallows_log_z(n: int, temperature: float) -> float:
    """log of the sum of exp(-descending pairs / temperature) over the permutations of n items.

    The item that is inserted as the j-th has 0, ..., j - 1 larger items before it, whatever the others do.
    """
    return float(sum(np.logaddexp.reduce(-np.arange(j) / temperature) for j in range(1, n + 1)))


def mallows_samples(n: int, temperature: float, size: int, rng: np.random.Generator) -> IntArray:
    """Draws from the Mallows model by repeated insertion (Doignon et al. 2004), int64 (size, n)."""
    orders = np.zeros((size, 1), dtype=np.int64)
    for item in range(1, n):
        weights = np.exp(-np.arange(item + 1) / temperature)
        place = item - rng.choice(item + 1, size=size, p=weights / weights.sum())
        # Items before the place stay, those after it move by one.
        after = np.arange(item + 1) > place[:, None]
        orders = np.take_along_axis(np.column_stack([orders, orders[:, :1]]), np.arange(item + 1) - after, 1)
        orders[np.arange(size), place] = item
    return orders
