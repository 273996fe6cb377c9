"""Shared by the tests of the Gymnasium environments: small instances, options, random play, comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gfn_envs import GFNVectorEnv
from gfn_envs.gym import REWARD_MODES
from tests.helpers import IDS, TINY

MODES = ["SameStep", "NextStep", "Disabled"]

per_id = pytest.mark.parametrize("env_id", IDS)
tiny = pytest.mark.parametrize(("env_id", "kwargs"), TINY)
OPTIONS: list[dict[str, Any]] = [
    {"reward_mode": reward_mode, "observation": observation, "dict_observation": dict_observation}
    for reward_mode, observation in [*((mode, "state") for mode in REWARD_MODES), ("soft", "features")]
    for dict_observation in (False, True)
]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))


def random_legal(mask: np.ndarray, rng: np.random.Generator) -> int:
    return int(rng.choice(np.flatnonzero(mask)))


def play(env: Any, rng: np.random.Generator, **reset: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(action, what step returned) along one random legal episode."""
    _, info = env.reset(**reset)
    terminated = False
    while not terminated:
        action = random_legal(info["action_mask"], rng)
        result = env.step(action)
        terminated, info = result[2], result[4]
        yield action, result


def assert_identical(found: Any, expected: Any, where: str = "") -> None:
    """Equal to the bit: types, keys, shapes, dtypes and values, all the way down."""
    assert type(found) is type(expected), f"{where}: {type(found)} is not {type(expected)}"
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), f"{where}: {sorted(found)} are not {sorted(expected)}"
        for key in expected:
            assert_identical(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_identical(a, b, f"{where}[{i}]")
    elif isinstance(expected, np.ndarray):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), where
        if expected.dtype == object:
            assert_identical(list(found), list(expected), where)
        else:
            assert found.tobytes() == expected.tobytes(), f"{where}: {found} is not {expected}"
    else:
        assert found == expected, f"{where}: {found} is not {expected}"


FAR = [-1, -(2**63), 2**63 - 1, 2**40]


def mixed_actions(masks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three in four are legal if any action is legal; the others are random, in range or out of range."""
    n, num_actions = masks.shape
    actions = rng.integers(num_actions, size=n)
    for i, mask in enumerate(masks):
        draw = rng.random()
        if draw < 0.8 and mask.any():
            actions[i] = random_legal(mask, rng)
        elif draw > 0.9:
            actions[i] = rng.choice([*FAR, num_actions, num_actions + 3])
    return actions


def both_vectors(env_id: str, kwargs: dict[str, Any], num_envs: int, mode: str) -> tuple[Any, Any]:
    native = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **kwargs)
    options = {"autoreset_mode": AutoresetMode(mode)}
    sync = gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="sync", vector_kwargs=options, **kwargs)
    assert type(native) is GFNVectorEnv
    return native, sync


no_warnings = pytest.mark.filterwarnings("error")
