"""Named rewards of the HyperGrid environment.

Each reward is a function ``(cells, side, **parameters) -> (reward, mode)``. ``cells`` (n, ndim) are integers in
{0..side-1}; ``reward`` (n,) is float64, and ``mode`` (n,) is True for the cells that count as modes. Conditions on
a_i = |x_i / (side - 1) - 0.5| are evaluated in integers, so that rounding never decides about a cell on a threshold.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray

CellReward = Callable[..., tuple[FloatArray, BoolArray]]


@functools.lru_cache
def _tables(side: int) -> dict[str, BoolArray]:
    """Exact truth values of conditions on a, for each coordinate value in {0..side-1}, bool (side,)."""
    twenty_a = 10 * np.abs(2 * np.arange(side) - (side - 1))  # 20 a (side - 1)
    bound = side - 1
    return {
        "a > 0.1": twenty_a > 2 * bound,
        "a > 0.25": twenty_a > 5 * bound,
        "0.3 < a < 0.4": (twenty_a > 6 * bound) & (twenty_a < 8 * bound),
    }


def _all_hold(condition: str, cells: IntArray, side: int) -> BoolArray:
    """prod_i [condition on a_i], bool (n,)."""
    # With coordinates on the first axis, the reduction is several times faster than over short rows.
    holds: BoolArray = np.logical_and.reduce(_tables(side)[condition].take(cells.T), axis=0)
    return holds


def corners(
    cells: IntArray, side: int, R0: float = 0.1, R1: float = 0.5, R2: float = 2.0
) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 prod[a_i > 0.25] + R2 prod[0.3 < a_i < 0.4] (Bengio et al. 2021, section 4.1)."""
    mode = _all_hold("0.3 < a < 0.4", cells, side)
    return R0 + R1 * _all_hold("a > 0.25", cells, side) + R2 * mode, mode


def cosine(cells: IntArray, side: int, R0: float = 0.1, R1: float = 0.5) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 prod[(cos(50 a_i) + 1) phi(5 a_i)], phi the standard normal density; without modes."""
    a = np.abs(cells / (side - 1) - 0.5)
    density = np.exp(-0.5 * (5 * a) ** 2) / np.sqrt(2 * np.pi)
    return R0 + R1 * ((np.cos(50 * a) + 1) * density).prod(1), np.zeros(len(cells), dtype=bool)


def sparse(cells: IntArray, side: int, floor: float = 1e-12) -> tuple[FloatArray, BoolArray]:
    """floor + prod[x_i in {1, side - 2}] (Pan et al. 2022, GAFlowNets)."""
    mode = ((cells == 1) | (cells == side - 2)).all(1)
    return mode + floor, mode


def deceptive(
    cells: IntArray, side: int, R0: float = 1e-5, R1: float = 0.1, R2: float = 2.0
) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 - R1 prod[a_i > 0.1] + R2 prod[0.3 < a_i < 0.4] (Kim et al. 2025, Adaptive Teachers)."""
    mode = _all_hold("0.3 < a < 0.4", cells, side)
    return R0 + R1 * ~_all_hold("a > 0.1", cells, side) + R2 * mode, mode


def tiered(tiers: Sequence[BoolArray], weights: Sequence[float], R0: float) -> tuple[FloatArray, BoolArray]:
    """R0 + sum_t w_t [tiers 0..t hold]; the modes are the cells in which every tier holds."""
    holds = np.logical_and.accumulate(np.stack(tiers), axis=0)
    return R0 + np.asarray(weights, dtype=np.float64) @ holds, holds[-1]


def _checked_weights(weights: Sequence[float], per_tier: Sequence[Any], name: str) -> Sequence[float]:
    """``weights``; raises ValueError if their number differs from that of the argument ``name``."""
    if len(weights) != len(per_tier):
        raise ValueError(f"tier_weights and {name} must have equal lengths, got {len(weights)} and {len(per_tier)}")
    return weights


def bitwise_xor(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] = (1.0, 10.0, 100.0),
    bits_per_tier: Sequence[int] | None = None,
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds if each of the lowest ``bits_per_tier[t]`` bit planes of the coordinates has even parity.

    The parity of a bit plane is its XOR over the coordinates. By default, the number of bit planes grows evenly from
    tier to tier, up to all bits of side - 1.
    """
    num_bits = max(int(side - 1).bit_length(), 1)
    if bits_per_tier is None:
        bits_per_tier = [-(-num_bits * (t + 1) // len(tier_weights)) for t in range(len(tier_weights))]
    parity = np.bitwise_xor.reduce(cells.astype(np.int64), axis=1)
    tiers = [(parity & ((1 << bits) - 1)) == 0 for bits in bits_per_tier]
    return tiered(tiers, _checked_weights(tier_weights, bits_per_tier, "bits_per_tier"), R0)


def multiplicative_coprime(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] = (1.0, 10.0, 100.0),
    primes: Sequence[int] = (2, 3, 5),
    exponent_caps: Sequence[int] = (3, 2, 1),
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds if every coordinate is a product of powers of ``primes`` and adjacent coordinates are coprime.

    The exponents are at most ``exponent_caps[t]``. A coordinate of 0 never qualifies; a coordinate of 1 always does.
    """
    values = np.arange(side)
    adjacent_coprime = (np.gcd(cells[:, :-1].astype(np.int64), cells[:, 1:]) == 1).all(1)
    tiers = []
    for cap in exponent_caps:
        allowed = np.prod([np.gcd(values, p**cap) for p in primes], axis=0) == values
        tiers.append((allowed & (values > 0))[cells].all(1) & adjacent_coprime)
    return tiered(tiers, _checked_weights(tier_weights, exponent_caps, "exponent_caps"), R0)


#: name -> (function, parameters of the reward with this name)
REWARDS: dict[str, tuple[CellReward, dict[str, Any]]] = {
    "standard": (corners, {"R0": 0.1, "R1": 0.5, "R2": 2.0}),
    "easy": (corners, {"R0": 1e-3, "R1": 0.5, "R2": 2.0}),
    "hard": (corners, {"R0": 1e-4, "R1": 1.0, "R2": 3.0}),
    "niu": (corners, {"R0": 1e-2, "R1": 0.5, "R2": 2.0}),
    "cosine": (cosine, {}),
    "sparse": (sparse, {}),
    "deceptive": (deceptive, {}),
    "bitwise_xor": (bitwise_xor, {}),
    "multiplicative_coprime": (multiplicative_coprime, {}),
}
