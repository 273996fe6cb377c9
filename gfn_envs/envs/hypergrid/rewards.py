"""Named rewards of the HyperGrid environment.

Each reward is a function ``(cells, side, **parameters) -> (reward, mode)``. ``cells`` (n, ndim) are integers in
{0..side-1}; ``reward`` (n,) is float64, and ``mode`` (n,) is True for the cells that count as modes. Conditions on
a_i = |x_i / (side - 1) - 0.5| are evaluated in integers, so that rounding never decides about a cell on a threshold.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.hypergrid.surfaces import SURFACES, mean_height, surface_names
from gfn_envs.envs.hypergrid.tiers import bitwise_xor, conditional_multiscale, hashed, multiplicative_coprime
from gfn_envs.validation import checked_reward_function, positive_int, shown

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


def uniform_random(
    cells: IntArray, side: int, R0: float = 0.1, R_mode: float = 2.0, mode_probability: float = 0.01, seed: int = 42
) -> tuple[FloatArray, BoolArray]:
    """R0 + R_mode [the cell is a mode], each cell with ``mode_probability``: no structure to learn (torchgfn)."""
    mode = hashed(cells, positive_int("seed", seed, "HyperGrid", at_least=0)) < mode_probability
    return R0 + R_mode * mode, mode


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
    "conditional_multiscale": (conditional_multiscale, {}),
    "uniform_random": (uniform_random, {}),
}


def without_modes(reward: Callable[[IntArray], FloatArray]) -> CellReward:
    """A callable reward with the signature of the named ones: no cell is a mode."""
    return functools.partial(_without_modes, reward)


def _without_modes(reward: Callable[[IntArray], FloatArray], cells: IntArray) -> tuple[FloatArray, BoolArray]:
    return reward(cells), np.zeros(len(cells), dtype=bool)


def cell_reward(reward: Any, kwargs: Mapping[str, Any], ndim: int, side: int) -> tuple[CellReward, float | None]:
    """The function from cells (n, ndim) to (rewards, is a mode) with the name ``reward``, and its parameter R0.

    Args:
        reward: a name, names of objectives, or a callable.
        kwargs: parameters of a named reward.
        ndim, side: size of the grid.

    Raises:
        ValueError: the reward is unknown, or has no such parameters, or needs another number of dimensions.
        TypeError: the callable does not take one argument.
    """
    if callable(reward):
        if kwargs:
            raise ValueError(f"HyperGrid: reward_kwargs {kwargs} were given with a callable reward")
        return without_modes(checked_reward_function(reward, "HyperGrid", f"cells (n, {ndim})")), None
    if objectives := surface_names(reward):
        if ndim != 2 or kwargs:
            given = f"ndim {ndim}" if ndim != 2 else f"reward_kwargs {kwargs}"
            raise ValueError(f"HyperGrid: reward {shown(reward)} needs ndim 2 and no reward_kwargs, got {given}")
        return functools.partial(mean_height, names=objectives, side=side), None
    if not isinstance(reward, str) or reward not in REWARDS:
        allowed_names = ", ".join([*REWARDS, *SURFACES])
        raise ValueError(f"HyperGrid: unknown reward {shown(reward)}; allowed: {allowed_names}, or a callable")
    function, named = REWARDS[reward]
    allowed = list(inspect.signature(function).parameters.values())[2:]
    if unknown := sorted(set(kwargs) - {parameter.name for parameter in allowed}):
        names = [parameter.name for parameter in allowed]
        raise ValueError(f"HyperGrid: reward {reward!r} has no parameters {unknown}; allowed: {names}")
    values = {parameter.name: parameter.default for parameter in allowed} | named | dict(kwargs)
    return functools.partial(function, side=side, **values), float(values["R0"]) if "R0" in values else None
