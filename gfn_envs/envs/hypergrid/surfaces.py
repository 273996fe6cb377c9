"""Objectives of the multi-objective HyperGrid: test functions of optimization on the square, scaled to [0, 1].

The cell (i, j) of a grid of side H is the point x = 2 (i, j) / (H - 1) - 1 in [-1, 1]^2. The scales are those of Jain
et al. 2023 (Multi-Objective GFlowNets, section 5.1.1): the largest value, or the range, of each function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.validation import shown

#: Lowest reward, so that log R is finite.
FLOOR = 1e-4


def branin(x: FloatArray, y: FloatArray) -> FloatArray:
    """1 - f / 308.13 with the Branin function f on [-5, 10] x [0, 15]."""
    a, b = 7.5 * (x + 1) - 5, 7.5 * (y + 1)
    valley = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
    return 1 - (valley**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10) / 308.13


def currin(x: FloatArray, y: FloatArray) -> FloatArray:
    """f / 13.77 with the Currin exponential function f on [0, 1]^2."""
    a, b = (x + 1) / 2, (y + 1) / 2
    ratio = np.polyval([2300, 1900, 2092, 60], a) / np.polyval([100, 500, 4, 20], a)
    return (1 - np.exp(-1 / (2 * b + 1e-10))) * ratio / 13.77


def shubert(x: FloatArray, y: FloatArray) -> FloatArray:
    """(f + 186.8) / 397 with the Shubert function f on [-1.5, 1.5]^2."""
    k = np.arange(1, 6)
    sums = [(k * np.cos(-1.5 * (k + 1) * z[..., None] + k)).sum(-1) for z in (x, y)]
    return (sums[0] * sums[1] + 186.8) / 397


def beale(x: FloatArray, y: FloatArray) -> FloatArray:
    """f / 38.8 with the Beale function f on [-1, 1]^2."""
    return sum((c - x + x * y**p) ** 2 for p, c in enumerate((1.5, 2.25, 2.625), start=1)) / 38.8


SURFACES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "branin": branin,
    "currin": currin,
    "shubert": shubert,
    "beale": beale,
}


def surface_names(reward: Any) -> tuple[str, ...]:
    """The names of surfaces in ``reward``, a name or a sequence of names; () if it is something else.

    Raises:
        ValueError: a sequence with an unknown or repeated name.
    """
    if isinstance(reward, str):
        return (reward,) if reward in SURFACES else ()
    if not isinstance(reward, Sequence):
        return ()
    named = bool(reward) and all(isinstance(name, str) and name in SURFACES for name in reward)
    if not named or len(set(reward)) < len(reward):
        raise ValueError(f"HyperGrid: objectives must be distinct names of {', '.join(SURFACES)}, got {shown(reward)}")
    return tuple(reward)


def heights(names: Sequence[str], cells: IntArray, side: int) -> dict[str, FloatArray]:
    """The surfaces at cells (n, 2) of a grid, by name, each float64 (n,); {} without names, in any dimension."""
    if not names:
        return {}
    x, y = (2.0 * cells / (side - 1) - 1).T
    return {name: SURFACES[name](x, y) for name in names}


def mean_height(cells: IntArray, names: Sequence[str], side: int) -> tuple[FloatArray, BoolArray]:
    """The mean of the surfaces, at least FLOOR; without modes."""
    mean = np.mean(list(heights(names, cells, side).values()), axis=0)
    return np.maximum(mean, FLOOR), np.zeros(len(cells), dtype=bool)
