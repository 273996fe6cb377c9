"""Gymnasium's documented conventions for environments: modes, masks, limits, wrappers, spaces, specs."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import gfn_envs
from gfn_envs import GFNEnv, GFNVectorEnv, HyperGrid, Ising
from gfn_envs.data.registry import DatasetError
from gfn_envs.envs.strings import qm9_str, seh_str
from tests.gfn_envs.gym.worlds import MODES, assert_identical, mixed_actions, tiny
from tests.helpers import GRID, QM9STR, SEHSTR, small_dag


@pytest.mark.parametrize("mode", AutoresetMode)
def test_autoreset_modes_are_gymnasiums_members_and_values(mode: AutoresetMode) -> None:
    for given in (mode, mode.value):
        env: Any = gym.make_vec(GRID, num_envs=2, autoreset_mode=given)
        assert env.metadata["autoreset_mode"] is env.unwrapped.autoreset_mode is mode


@pytest.mark.parametrize("given", ["same_step", "SAME_STEP", None, True])
def test_other_autoreset_modes_raise(given: Any) -> None:
    with pytest.raises(
        ValueError, match="autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled', or a member"
    ):
        gym.make_vec(GRID, num_envs=2, autoreset_mode=given)


@pytest.mark.parametrize("mode", MODES)
def test_an_illegal_action_is_found_in_every_mode(mode: str) -> None:
    env = GFNVectorEnv(HyperGrid(ndim=2, side=4), num_envs=3, autoreset_mode=mode)
    env.reset()
    info = env.step(np.array([0, 3, -1]))[4]
    found = info["final_info"] if mode == "SameStep" else info
    assert found["illegal_action"].tolist() == [False, True, True]
    single = GFNEnv(HyperGrid(ndim=2, side=4))
    single.reset()
    assert [bool(single.step(action)[4]["illegal_action"]) for action in (0, 3)] == [False, True]


# ---------------------------------------------------------------------- masks


@pytest.mark.parametrize("dtype", [bool, "bool", np.bool_, "int8", np.int8])
@pytest.mark.parametrize("dict_observation", [False, True])
def test_masks_have_the_dtype_that_was_asked_for(dtype: Any, dict_observation: bool) -> None:
    options = {"mask_dtype": dtype, "dict_observation": dict_observation}
    for env in (gym.make(GRID, **options), gym.make_vec(GRID, num_envs=2, **options)):
        observation, info = env.reset()
        masks = [info["action_mask"], env.step(env.action_space.sample() * 0)[4]["action_mask"]]
        if dict_observation:
            masks.append(observation["action_mask"])
            assert observation in env.observation_space
        assert {mask.dtype for mask in masks} == {np.dtype(dtype)}


@pytest.mark.parametrize("dtype", ["float32", float, "mask", None, np.int64])
def test_other_dtypes_of_masks_raise(dtype: Any) -> None:
    with pytest.raises(ValueError, match="mask_dtype must be 'int8' or bool, got"):
        gym.make(GRID, mask_dtype=dtype)


@pytest.mark.parametrize("action", [0, 1])
def test_a_softmax_with_the_documented_fill_is_finite_after_the_end(action: int) -> None:
    env = GFNEnv(HyperGrid(ndim=1, side=2), mask_dtype=bool)
    env.reset()
    mask = env.step(1)[4]["action_mask"]
    assert not mask.any()
    logits = np.array([1.0, -1.0], dtype=np.float32)
    filled = np.where(mask, logits, np.finfo(logits.dtype).min)
    weights = np.exp(filled - filled.max())
    assert (weights / weights.sum()).tolist() == [0.5, 0.5]
    assert "np.finfo(logits.dtype).min" in str(gfn_envs.gym.Stepper.__doc__)


@pytest.mark.parametrize("action", [True, False, np.True_, 1.0, np.float64(1), "1", None, np.array([1, 2])])
def test_actions_that_are_no_integers_raise(action: Any) -> None:
    env = GFNEnv(HyperGrid(ndim=2, side=4))
    env.reset()
    with pytest.raises(TypeError, match="an action must be an integer"):
        env.step(action)


@pytest.mark.parametrize("actions", [np.array([0.0, 1.0]), np.array([True, False]), [0, 1], np.array([0, 1], np.int32)])
def test_lean_steps_take_int64_alone(actions: Any) -> None:
    env = GFNVectorEnv(HyperGrid(ndim=2, side=4), num_envs=2)
    with pytest.raises(TypeError, match="actions must be an int64 array, got"):
        env.step_lean(actions)


# ---------------------------------------------------------------------- limits and wrappers


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 2, 3])
@tiny
def test_truncated_vectors_equal_sync_vector_env(env_id: str, kwargs: dict[str, Any], limit: int, mode: str) -> None:
    native: Any = gym.make_vec(env_id, num_envs=3, max_episode_steps=limit, autoreset_mode=mode, **kwargs)
    sync: Any = gym.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode(mode)},
        max_episode_steps=limit,
        **kwargs,
    )
    rng = np.random.default_rng(0)
    assert_identical(native.reset(), sync.reset(), "reset")
    truncated = 0
    for t in range(40):
        actions = mixed_actions(native.unwrapped.action_masks(), rng)
        result = native.step(actions)
        assert_identical(result, sync.step(actions), f"step {t}")
        over = result[2] | result[3]
        truncated += int((result[3] & ~result[2]).sum())
        if mode == "Disabled" and over.any():
            again = [env.reset(options={"reset_mask": over.copy()}) for env in (native, sync)]
            assert_identical(*again, f"reset after step {t}")
    assert truncated > 0 or small_dag(env_id, kwargs).max_length <= limit


@pytest.mark.parametrize("limit", [0, -1, 1.5, "two"])
def test_bad_limits_raise(limit: Any) -> None:
    with pytest.raises(ValueError, match="GFNVectorEnv: max_episode_steps must be an integer >= 1"):
        GFNVectorEnv(HyperGrid(), num_envs=2, max_episode_steps=limit)


def test_single_environments_take_limits_and_wrappers() -> None:
    env = gym.make(GRID, max_episode_steps=2)
    env.reset()
    assert [env.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]
    vector: Any = gym.make_vec(
        GRID,
        num_envs=2,
        vectorization_mode="sync",
        wrappers=[gym.wrappers.RecordEpisodeStatistics],
        max_episode_steps=2,
    )
    vector.reset()
    vector.step(np.zeros(2, dtype=int))
    assert vector.step(np.zeros(2, dtype=int))[3].all()


def test_lean_steps_have_no_limit() -> None:
    env = GFNVectorEnv(HyperGrid(), num_envs=2, max_episode_steps=2)
    with pytest.raises(ValueError, match="step_lean needs max_episode_steps=None, got 2"):
        env.step_lean(np.zeros(2, dtype=np.int64))


# ---------------------------------------------------------------------- spaces and specs


def test_one_hot_features_lie_between_zero_and_one() -> None:
    for dag, low in [(HyperGrid(), 0.0), (Ising(side=3), -1.0)]:
        space: Any = GFNEnv(dag, observation="features").observation_space
        assert (space.low.min(), space.low.max(), space.high.min(), space.high.max()) == (low, low, 1.0, 1.0)


def test_registrations_can_declare_a_limit_and_a_threshold() -> None:
    id = "Mine/Limited-v0"
    gfn_envs.register(id, HyperGrid, max_episode_steps=3, reward_threshold=2.0, ndim=2, side=4)
    try:
        spec = gym.make(id).spec
        assert spec is not None
        assert (spec.max_episode_steps, spec.reward_threshold) == (3, 2.0)
        vector: Any = gym.make_vec(id, num_envs=2)
        assert vector.unwrapped.max_episode_steps == 3
    finally:
        del gym.registry[id]


@pytest.mark.parametrize(("env_id", "name", "module"), [(QM9STR, "qm9str", qm9_str), (SEHSTR, "sehstr", seh_str)])
def test_missing_data_name_the_command_that_fetches_them(
    env_id: str, name: str, module: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module._published.cache_clear()  # Another test may have read the data in this process.
    monkeypatch.setenv("GFN_ENVS_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def use() -> None:
        env: Any = gym.make(env_id)
        env.unwrapped.dag.log_reward(env.unwrapped.dag.source(1))

    with pytest.raises(DatasetError, match=rf"gfn-envs data fetch {name}"):
        use()
