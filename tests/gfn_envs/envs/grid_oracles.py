"""Rewards of the HyperGrid cell by cell, in plain Python."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np


def reward_oracle(name: str, cell: tuple[int, ...], side: int, R0: float, R1: float, R2: float) -> tuple[float, bool]:
    """(R, mode) in plain Python, with exact a_i."""
    a = [abs(Fraction(x, side - 1) - Fraction(1, 2)) for x in cell]
    ring = all(Fraction(3, 10) < v < Fraction(4, 10) for v in a)
    if name == "corners":
        return R0 + R1 * all(v > Fraction(1, 4) for v in a) + R2 * ring, ring
    if name == "deceptive":
        return R0 + R1 - R1 * all(v > Fraction(1, 10) for v in a) + R2 * ring, ring
    if name == "cosine":
        bumps = [(math.cos(50 * v) + 1) * math.exp(-((5 * v) ** 2) / 2) / math.sqrt(2 * math.pi) for v in a]
        return R0 + R1 * math.prod(bumps), False
    raise AssertionError(name)


def prime_exponents(value: int, primes: tuple[int, ...]) -> list[int] | None:
    """Exponents of ``primes`` in ``value``; None if ``value`` is 0 or has other prime factors."""
    exponents = []
    for prime in primes:
        exponents.append(0)
        while value and value % prime == 0:
            value, exponents[-1] = value // prime, exponents[-1] + 1
    return exponents if value == 1 else None


def tier_oracle(holds: list[bool], weights: tuple[float, ...], R0: float) -> tuple[float, bool]:
    reward = R0
    for t in range(len(holds)):
        reward += weights[t] * all(holds[: t + 1])
    return reward, all(holds)


def xor_oracle(cell: tuple[int, ...], bits_per_tier: tuple[int, ...]) -> list[bool]:
    even = [sum(x >> plane & 1 for x in cell) % 2 == 0 for plane in range(64)]
    return [all(even[:bits]) for bits in bits_per_tier]


def coprime_oracle(cell: tuple[int, ...], primes: tuple[int, ...], caps: tuple[int, ...]) -> list[bool]:
    exponents = [prime_exponents(x, primes) for x in cell]
    coprime = all(math.gcd(x, y) == 1 for x, y in itertools.pairwise(cell))
    return [coprime and all(e is not None and max(e) <= cap for e in exponents) for cap in caps]


PARAMETERS = {
    "standard": ("corners", 0.1, 0.5, 2.0),
    "easy": ("corners", 1e-3, 0.5, 2.0),
    "hard": ("corners", 1e-4, 1.0, 3.0),
    "niu": ("corners", 1e-2, 0.5, 2.0),
    "cosine": ("cosine", 0.1, 0.5, 0.0),
    "deceptive": ("deceptive", 1e-5, 0.1, 2.0),
}


WEIGHTS, PRIMES, CAPS = (1.0, 10.0, 100.0), (2, 3, 5), (3, 2, 1)


def hash_oracle(cell: tuple[int, ...], seed: int) -> float:
    """SplitMix64 over seed and coordinates, with Python's integers."""
    value, word = 0, 2**64
    for x in (seed, *cell):
        value = ((value ^ x) + 0x9E3779B97F4A7C15) % word
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            value = (value ^ value >> shift) * factor % word
        value ^= value >> 31
    return (value >> 11) / 2**53


def digits_oracle(cell: tuple[int, ...], side: int, base: int = 4, width: int = 2, rules: int = 1) -> list[bool]:
    """The tiers of conditional_multiscale."""
    size = next(n for n in range(1, 64) if base**n >= side)
    digits = [[x // base ** (size - 1 - t) % base for x in cell] for t in range(size)]
    rule = sum(width**i * (d % width) for i, d in enumerate(digits[0])) % rules
    count = min(3, size)
    a = np.random.default_rng(42).integers(base, size=(rules, count, count)).tolist()[rule]
    shifts = [[sum(a[t][k] * digits[k][i] for k in range(t)) for i in range(len(cell))] for t in range(count)]
    return [all((d + s) % base < width for d, s in zip(digits[t], shifts[t], strict=True)) for t in range(count)]


def grid_oracle(reward: str, cell: tuple[int, ...], side: int) -> tuple[float, bool]:
    if reward == "uniform_random":
        mode = hash_oracle(cell, 42) < 0.01
        return 0.1 + 2.0 * mode, mode
    if reward == "conditional_multiscale":
        return tier_oracle(digits_oracle(cell, side), WEIGHTS, 1e-3)
    if reward == "sparse":
        mode = all(x in (1, side - 2) for x in cell)
        return mode + 1e-12, mode
    if reward == "bitwise_xor":
        bits = (side - 1).bit_length()
        tiers = (math.ceil(bits / 3), math.ceil(2 * bits / 3), bits)
        return tier_oracle(xor_oracle(cell, tiers), WEIGHTS, 1e-3)
    if reward == "multiplicative_coprime":
        return tier_oracle(coprime_oracle(cell, PRIMES, CAPS), WEIGHTS, 1e-3)
    name, *parameters = PARAMETERS[reward]
    return reward_oracle(name, cell, side, *parameters)


def stopped(cells: Any) -> np.ndarray:
    """Terminal states in ``cells``."""
    return np.column_stack([cells, np.ones(len(cells), dtype=int)]).astype(np.int16)
