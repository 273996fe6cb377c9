"""Random systems of parities of bits, independent of each other over GF(2), for the rules of ``bitwise_xor``."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import IntArray


def bit_planes(cells: IntArray, num_bits: int) -> IntArray:
    """The bits of cells (n, ndim), coordinate by coordinate from the lowest, int64 (n, ndim * num_bits)."""
    return (cells.astype(np.int64)[:, :, None] >> np.arange(num_bits) & 1).reshape(len(cells), -1)


@functools.lru_cache(maxsize=64)
def xor_rules(
    ndim: int, num_bits: int, num_rules: int, head_checks: int, seed: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Selector, checks and targets of the K rules of :func:`gfn_envs.envs.hypergrid.tiers.bitwise_xor`.

    The rule of a cell with bits b is (S b mod 2, as a binary number) mod K. Its last tier requires H b = c_rule mod 2,
    where H has ``head_checks`` random parities of each bit plane. The parities of whole bit planes, S and H are
    independent, so that each value of S b has the same number of modes if all cells have ``num_bits`` free bits.

    Returns:
        ``(S, H, c)`` of 0 and 1, shapes (log2 K rounded up, ndim * num_bits), (head_checks * num_bits, ndim * num_bits)
        and (K, head_checks * num_bits).

    Raises:
        ValueError: there are too few bits for that many independent parities.
    """
    rng = np.random.default_rng(seed)
    planes = np.tile(np.eye(num_bits, dtype=np.int64), ndim)
    num_selectors = (num_rules - 1).bit_length()
    for _ in range(100):
        selector = rng.integers(2, size=(num_selectors, ndim * num_bits))
        checks = np.kron(rng.integers(2, size=(head_checks, ndim)), np.eye(num_bits, dtype=np.int64))
        if rank(np.concatenate([planes, selector, checks])) == num_bits * (1 + head_checks) + num_selectors:
            return selector, checks, rng.integers(2, size=(num_rules, len(checks)))
    raise ValueError(
        f"HyperGrid: {ndim} coordinates of {num_bits} bits are too few for num_rules = {num_rules} with head_checks = "
        f"{head_checks}; raise ndim or lower these"
    )


def rank(matrix: IntArray) -> int:
    """Rank over GF(2) of a matrix of 0 and 1."""
    pivots: list[int] = []
    for row in matrix:
        value = int("".join(map(str, row.tolist())), 2)
        for pivot in pivots:
            value = min(value, value ^ pivot)
        if value:
            pivots.append(value)
    return len(pivots)
