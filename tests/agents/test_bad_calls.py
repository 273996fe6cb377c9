"""Non-integer seeds, numbers of samples and actions raise one clear line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import agents
import gfn_envs
from agents.interop.sb3 import SB3VecEnv

GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)


@pytest.mark.parametrize("seed", [None, -1, 0.5, "0", True])
def test_seeds_that_raise(seed: Any) -> None:
    with pytest.raises(ValueError, match=r"^agent 'tb': seed must be an integer >= 0, got "):
        agents.make_agent("tb", GRID, seed=seed)


@pytest.mark.parametrize("n", [-1, 2.5, "2", None])
def test_numbers_of_samples_that_raise(n: Any) -> None:
    with pytest.raises(ValueError, match=r"^agent 'tb': n must be an integer >= 0, got "):
        agents.make_agent("tb", GRID, seed=np.int64(1)).sample(n)


@pytest.mark.parametrize("actions", [np.array([0.7, 1.9]), np.array([True, False]), ["0", "1"]])
def test_actions_of_stable_baselines3_that_raise(actions: Any) -> None:
    envs = SB3VecEnv("GFN/HyperGrid-v0", 2)
    envs.reset()
    with pytest.raises(TypeError, match="actions must be integers, got an array of"):
        envs.step(actions)
