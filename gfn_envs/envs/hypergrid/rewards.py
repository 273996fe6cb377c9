"""Named rewards of the HyperGrid environment.

Each is a function ``(cells, side, **parameters) -> (reward, mode)`` of integer cells (n, ndim) in {0..side-1}, giving
float64 rewards (n,) and a bool (n,) that marks the cells counted as modes. With a_i = |x_i / (side - 1) - 0.5|, the
thresholds on a_i are evaluated in integers, so that no cell on a threshold is decided by rounding.
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
    """For each coordinate value in {0..side-1}, exactly: a > 0.1, a > 0.25, and 0.3 < a < 0.4."""
    twenty_a = 10 * np.abs(2 * np.arange(side) - (side - 1))  # times side - 1
    bound = side - 1
    return {
        "a > 0.1": twenty_a > 2 * bound,
        "a > 0.25": twenty_a > 5 * bound,
        "0.3 < a < 0.4": (twenty_a > 6 * bound) & (twenty_a < 8 * bound),
    }


def _all_hold(condition: str, cells: IntArray, side: int) -> BoolArray:
    """prod_i [condition on a_i], bool (n,)."""
    # Coordinates first: the reduction then runs over whole columns, several times faster than over short rows.
    holds: BoolArray = np.logical_and.reduce(_tables(side)[condition].take(cells.T), axis=0)
    return holds


def corners(
    cells: IntArray, side: int, R0: float = 0.1, R1: float = 0.5, R2: float = 2.0
) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 prod[a_i > 0.25] + R2 prod[0.3 < a_i < 0.4] (Bengio et al. 2021, section 4.1)."""
    mode = _all_hold("0.3 < a < 0.4", cells, side)
    return R0 + R1 * _all_hold("a > 0.25", cells, side) + R2 * mode, mode


def cosine(cells: IntArray, side: int, R0: float = 0.1, R1: float = 0.5) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 prod[(cos(50 a_i) + 1) phi(5 a_i)], phi the standard normal density; no cell is called a mode."""
    a = np.abs(cells / (side - 1) - 0.5)
    density = np.exp(-0.5 * (5 * a) ** 2) / np.sqrt(2 * np.pi)
    return R0 + R1 * ((np.cos(50 * a) + 1) * density).prod(1), np.zeros(len(cells), dtype=bool)


def sparse(cells: IntArray, side: int, floor: float = 1e-12) -> tuple[FloatArray, BoolArray]:
    """1 where every coordinate is 1 or side - 2, plus a floor (Pan et al. 2022, GAFlowNets)."""
    mode = ((cells == 1) | (cells == side - 2)).all(1)
    return mode + floor, mode


def deceptive(
    cells: IntArray, side: int, R0: float = 1e-5, R1: float = 0.1, R2: float = 2.0
) -> tuple[FloatArray, BoolArray]:
    """R0 + R1 - R1 prod[a_i > 0.1] + R2 prod[0.3 < a_i < 0.4] (Kim et al. 2025, Adaptive Teachers)."""
    mode = _all_hold("0.3 < a < 0.4", cells, side)
    return R0 + R1 * ~_all_hold("a > 0.1", cells, side) + R2 * mode, mode


def tiered(tiers: Sequence[BoolArray], weights: Sequence[float], R0: float) -> tuple[FloatArray, BoolArray]:
    """R0 + sum_t w_t [tiers 0..t hold]; the modes are the cells where every tier holds."""
    holds = np.logical_and.accumulate(np.stack(tiers), axis=0)
    return R0 + np.asarray(weights, dtype=np.float64) @ holds, holds[-1]


def _tier_weights(weights: Sequence[float], per_tier: Sequence[Any], name: str) -> Sequence[float]:
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
    """Tier t holds where the lowest ``bits_per_tier[t]`` bit planes of the coordinates each have even parity.

    The parity of a bit plane is the XOR over coordinates. By default the tiers widen evenly up to all bits of side - 1.
    """
    num_bits = max(int(side - 1).bit_length(), 1)
    if bits_per_tier is None:
        bits_per_tier = [-(-num_bits * (t + 1) // len(tier_weights)) for t in range(len(tier_weights))]
    parity = np.bitwise_xor.reduce(cells.astype(np.int64), axis=1)
    tiers = [(parity & ((1 << bits) - 1)) == 0 for bits in bits_per_tier]
    return tiered(tiers, _tier_weights(tier_weights, bits_per_tier, "bits_per_tier"), R0)


def multiplicative_coprime(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] = (1.0, 10.0, 100.0),
    primes: Sequence[int] = (2, 3, 5),
    exponent_caps: Sequence[int] = (3, 2, 1),
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds where every coordinate is a product of ``primes``, each to a power of at most ``exponent_caps[t]``,
    and neighbouring coordinates are coprime. Coordinate 0 never qualifies; 1 always does.
    """
    values = np.arange(side)
    neighbours_coprime = (np.gcd(cells[:, :-1].astype(np.int64), cells[:, 1:]) == 1).all(1)
    tiers = []
    for cap in exponent_caps:
        allowed = np.prod([np.gcd(values, p**cap) for p in primes], axis=0) == values
        tiers.append((allowed & (values > 0))[cells].all(1) & neighbours_coprime)
    return tiered(tiers, _tier_weights(tier_weights, exponent_caps, "exponent_caps"), R0)


#: name -> (function, its parameters under that name)
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
