"""Tiered rewards of the HyperGrid environment, R0 + sum_t w_t [tiers 0..t hold]; the modes are where every tier holds.

They follow torchgfn's ``gfn/gym/hypergrid.py``, with its K rules and its corruption as parameters. Differences: random
coefficients come from NumPy, coordinates of ``multiplicative_coprime`` are not shifted by 1, a head of ``bitwise_xor``
is one more tier, and corruption is calibrated on all cells of grids of at most 2^18 of them.

**K rules.** A selector gives each cell one of K rules, and the last tier depends on the rule. With K = 1, all cells
have the same. **Corruption.** A share of the cells in which a tier holds, drawn by a hash of the cell, loses it, and as
many of the others, in expectation, gain it: structure turns into noise while the number of modes remains about equal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.hypergrid.xor_rules import bit_planes, xor_rules
from gfn_envs.validation import positive_int, real

#: Corruption is calibrated on all cells if there are at most this many, else on as many random ones.
CALIBRATED_CELLS = 2**18

Tiers = Callable[[IntArray], list[BoolArray]]


def hashed(cells: IntArray, seed: int) -> FloatArray:
    """A pseudo-random number in [0, 1) per cell (n, ndim), float64 (n,); SplitMix64 over seed and coordinates."""
    value = np.zeros(len(cells), dtype=np.uint64)
    for column in [np.uint64(seed % 2**64), *np.asarray(cells).T.astype(np.uint64)]:
        value = (value ^ column) + np.uint64(0x9E3779B97F4A7C15)  # Sums and products wrap around.
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
        value ^= value >> np.uint64(31)
    return (value >> np.uint64(11)) * 2.0**-53


def tiered(
    tiers: functools.partial[list[BoolArray]],
    cells: IntArray,
    side: int,
    weights: Sequence[float],
    R0: float,
    corruption: float,
    corruption_seed: int,
) -> tuple[FloatArray, BoolArray]:
    """R0 + sum_t w_t [tiers 0..t hold] and the modes; arguments of ``tiers`` are hashable."""
    holds = np.stack(tiers(cells))
    if real("corruption", corruption, "HyperGrid", at_least=0):
        corruption_seed = positive_int("corruption_seed", corruption_seed, "HyperGrid", at_least=0)
        gains = _gains(tiers, side, cells.shape[1], corruption)
        for t, gain in enumerate(gains):
            lost = hashed(cells, corruption_seed + 2 * t) < corruption
            gained = hashed(cells, corruption_seed + 2 * t + 1) < gain
            holds[t] = np.where(holds[t], ~lost, gained)
    holds = np.logical_and.accumulate(holds, axis=0)
    return R0 + np.asarray(weights, dtype=np.float64) @ holds, holds[-1]


def _gains(tiers: functools.partial[list[BoolArray]], side: int, ndim: int, corruption: float) -> FloatArray:
    """Probability of each tier that a cell gains it, so that as many gain as lose it: c p / (1 - p), at most 1."""
    if corruption >= 1:
        raise ValueError(f"HyperGrid: corruption must be >= 0 and < 1, got {corruption:g}")
    shares = _shares(tiers.func, tuple(sorted(tiers.keywords.items())), side, ndim)
    return np.minimum(corruption * shares / np.maximum(1 - shares, 1e-300), 1.0)


@functools.lru_cache(maxsize=64)
def _shares(function: Callable[..., list[BoolArray]], keywords: tuple[Any, ...], side: int, ndim: int) -> FloatArray:
    """Share of the cells in which each tier holds."""
    if side**ndim <= CALIBRATED_CELLS:
        cells = np.indices((side,) * ndim).reshape(ndim, -1).T
    else:
        cells = np.random.default_rng(0).integers(side, size=(CALIBRATED_CELLS, ndim))
    return np.mean(function(cells, **dict(keywords)), axis=1)


def _checked_weights(weights: Sequence[float], per_tier: Sequence[Any], name: str) -> Sequence[float]:
    """``weights``; raises ValueError if their number differs from that of the argument ``name``."""
    if len(weights) != len(per_tier):
        raise ValueError(f"tier_weights and {name} must have equal lengths, got {len(weights)} and {len(per_tier)}")
    return weights


# ---------------------------------------------------------------------- parity of bits


def bitwise_xor(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] = (1.0, 10.0, 100.0),
    bits_per_tier: Sequence[int] | None = None,
    num_rules: int = 1,
    head_checks: int = 0,
    head_weight: float = 1000.0,
    rule_seed: int = 0,
    corruption: float = 0.0,
    corruption_seed: int = 137,
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds if each of the lowest ``bits_per_tier[t]`` bit planes of the coordinates has even parity.

    The parity of a bit plane is its XOR over the coordinates. By default, the number of bit planes grows evenly from
    tier to tier, up to all bits of side - 1. With ``head_checks``, one more tier of weight ``head_weight`` requires
    that many random parities of every bit plane to equal those of the cell's rule, one of ``num_rules``.
    """
    num_bits = max(int(side - 1).bit_length(), 1)
    if bits_per_tier is None:
        bits_per_tier = [-(-num_bits * (t + 1) // len(tier_weights)) for t in range(len(tier_weights))]
    weights = [*_checked_weights(tier_weights, bits_per_tier, "bits_per_tier"), *[head_weight] * (head_checks > 0)]
    rules = positive_int("num_rules", num_rules, "HyperGrid")
    if rules > 1 and not head_checks:
        raise ValueError(f"HyperGrid: num_rules = {rules} needs head_checks >= 1, which make the rules differ")
    checks, seed = (
        positive_int(name, value, "HyperGrid", at_least=0)
        for name, value in (("head_checks", head_checks), ("rule_seed", rule_seed))
    )
    head = (rules, checks, seed, num_bits)
    tiers = functools.partial(xor_tiers, bits_per_tier=tuple(bits_per_tier), head=head)
    return tiered(tiers, cells, side, weights, R0, corruption, corruption_seed)


def xor_tiers(cells: IntArray, bits_per_tier: tuple[int, ...], head: tuple[int, int, int, int]) -> list[BoolArray]:
    """True for the cells in each tier of :func:`bitwise_xor`, bool (n,) per tier."""
    parity = np.bitwise_xor.reduce(cells.astype(np.int64), axis=1)
    tiers = [np.equal(parity & ((1 << bits) - 1), 0) for bits in bits_per_tier]
    num_rules, head_checks, seed, num_bits = head
    if head_checks:
        selector, checks, targets = xor_rules(cells.shape[1], num_bits, num_rules, head_checks, seed)
        bits = bit_planes(cells, num_bits)
        rule = (bits @ selector.T % 2) @ (1 << np.arange(len(selector))) % num_rules
        tiers.append((bits @ checks.T % 2 == targets[rule]).all(1))
    return tiers


# ---------------------------------------------------------------------- products of primes


def multiplicative_coprime(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] = (1.0, 10.0, 100.0),
    primes: Sequence[int] = (2, 3, 5),
    exponent_caps: Sequence[int] = (3, 2, 1),
    rule_targets: Sequence[int] = (),
    corruption: float = 0.0,
    corruption_seed: int = 137,
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds if every coordinate is a product of powers of ``primes`` and adjacent coordinates are coprime.

    The exponents are at most ``exponent_caps[t]``. A coordinate of 0 never qualifies; a coordinate of 1 always does.
    With ``rule_targets``, rule r = (sum of the coordinates) mod K of the K targets also requires, in the last tier,
    that the least common multiple of the coordinates is target r.
    """
    _checked_weights(tier_weights, exponent_caps, "exponent_caps")
    tiers = functools.partial(
        coprime_tiers,
        side=side,
        primes=tuple(primes),
        caps=tuple(exponent_caps),
        targets=tuple(rule_targets),
    )
    return tiered(tiers, cells, side, tier_weights, R0, corruption, corruption_seed)


def coprime_tiers(
    cells: IntArray, side: int, primes: tuple[int, ...], caps: tuple[int, ...], targets: tuple[int, ...]
) -> list[BoolArray]:
    """True for the cells in each tier of :func:`multiplicative_coprime`, bool (n,) per tier."""
    values, cells = np.arange(side), cells.astype(np.int64)
    adjacent_coprime = (np.gcd(cells[:, :-1], cells[:, 1:]) == 1).all(1)
    tiers = []
    for cap in caps:
        allowed = np.prod([np.gcd(values, p**cap) for p in primes], axis=0) == values
        tiers.append((allowed & (values > 0))[cells].all(1) & adjacent_coprime)
    if targets:
        multiple = np.ones(len(cells), dtype=np.int64)
        multiple[tiers[-1]] = np.lcm.reduce(cells[tiers[-1]], axis=1)
        tiers[-1] &= multiple == np.array(targets)[cells.sum(1) % len(targets)]
    return tiers


# ---------------------------------------------------------------------- digits, from coarse to fine


def conditional_multiscale(
    cells: IntArray,
    side: int,
    R0: float = 1e-3,
    tier_weights: Sequence[float] | None = None,
    base: int = 4,
    filter_width: int | None = None,
    num_rules: int = 1,
    rule_seed: int = 42,
    corruption: float = 0.0,
    corruption_seed: int = 137,
) -> tuple[FloatArray, BoolArray]:
    """Tier t holds if the t-th digit of every coordinate, in ``base``, lies in a window that its coarser digits shift.

    With the digits d_0, d_1, ... of a coordinate, the first one the most significant, tier t requires
    (d_t + sum_{k<t} a_tk d_k) mod base < ``filter_width`` (default base / 2). The coefficients a are drawn for each of
    ``num_rules`` rules; d_0 of all coordinates selects the rule, so that tier 0 is common to all. By default, there
    are as many tiers as digits, at most 3, with the weights 1, 10, 100. If side = base^L, tiers 0..T-1 hold in
    (filter_width^T base^(L - T))^ndim cells, for any number of rules.
    """
    base = positive_int("base", base, "HyperGrid", at_least=2)
    width = positive_int("filter_width", max(1, base // 2) if filter_width is None else filter_width, "HyperGrid")
    digits = 1
    while base**digits < side:
        digits += 1
    weights = [10.0**t for t in range(min(3, digits))] if tier_weights is None else tier_weights
    if not 1 <= len(weights) <= digits:
        raise ValueError(f"HyperGrid: side {side} has {digits} digits in base {base}, got {len(weights)} tier_weights")
    rules = positive_int("num_rules", num_rules, "HyperGrid")
    numbers = (len(weights), digits, base, width, rules, positive_int("rule_seed", rule_seed, "HyperGrid", at_least=0))
    tiers = functools.partial(digit_tiers, numbers=numbers)
    return tiered(tiers, cells, side, weights, R0, corruption, corruption_seed)


def digit_tiers(cells: IntArray, numbers: tuple[int, int, int, int, int, int]) -> list[BoolArray]:
    """True for the cells in each tier of :func:`conditional_multiscale`, bool (n,) per tier."""
    num_tiers, num_digits, base, width, num_rules, seed = numbers
    cells = cells.astype(np.int64)
    digits = [cells // base ** (num_digits - 1 - t) % base for t in range(num_tiers)]
    rule = np.zeros(len(cells), dtype=np.int64)
    for column in digits[0].T[::-1]:  # (sum_i width^i d_i) mod num_rules, without large powers
        rule = (rule * width + column % width) % num_rules
    coefficients = np.random.default_rng(seed).integers(base, size=(num_rules, num_tiers, num_tiers))
    tiers = []
    for t in range(num_tiers):
        shifted = digits[t] + sum(coefficients[rule, t, k, None] * digits[k] for k in range(t))
        tiers.append((shifted % base < width).all(1))
    return tiers
