"""Exact samples of the Ising model on a square torus, by transfer matrices."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: Largest side: ``side`` matrices of 4^side numbers are kept, 80 MB for 10.
MAX_SIDE = 10
#: Samples drawn at once, which need 2^side numbers each.
CHUNK = 1024


def torus_samples(n: int, side: int, coupling: float, rng: np.random.Generator) -> IntArray:
    """n independent samples of p(x) = exp(K sum over bonds of x_i x_j) / Z, K = ``coupling``.

    Let T[a, b] be the weight of two neighboring rows a and b. The first row is drawn by the diagonal of T^side, and
    row k from T[previous, b] (T^(side - k))[b, first], as the torus closes at the first row again.

    Returns:
        0 for -1 and 1 for +1, int64 (n, side, side).

    Raises:
        NotImplementedError: ``side`` is above ``MAX_SIDE``.
    """
    if side > MAX_SIDE:
        raise NotImplementedError(f"exact samples need a side of at most {MAX_SIDE}, got {side}")
    powers = _powers(side, coupling)
    rows = np.empty((n, side), dtype=np.int64)
    for start in range(0, n, CHUNK):
        chunk = rows[start : start + CHUNK]
        chunk[:, 0] = _draw(np.broadcast_to(powers[-1].diagonal(), (len(chunk), 2**side)), rng)
        for k in range(1, side):
            chunk[:, k] = _draw(powers[0][chunk[:, k - 1]] * powers[side - k - 1][chunk[:, 0]], rng)
    return rows[:, :, None] >> np.arange(side) & 1


@functools.lru_cache(maxsize=1)
def _powers(side: int, coupling: float) -> list[FloatArray]:
    """T, T^2, ..., T^side, each up to a factor, so that large couplings do not overflow. They are symmetric."""
    spins = 2 * (np.arange(2**side)[:, None] >> np.arange(side) & 1) - 1
    within = (spins * np.roll(spins, -1, axis=1)).sum(1)
    exponents = coupling * (spins @ spins.T + (within[:, None] + within) / 2)
    powers = [np.exp(exponents - exponents.max())]
    for _ in range(side - 1):
        product = powers[-1] @ powers[0]
        powers.append(product / product.max())
    return powers


def _draw(weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """One column per row of ``weights`` (n, m), in proportion to them."""
    sums = weights.cumsum(axis=1)
    found: IntArray = (sums > rng.random((len(sums), 1)) * sums[:, -1:]).argmax(axis=1)
    return found
