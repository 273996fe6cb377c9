"""The vector environment: equal to SyncVectorEnv bit for bit, its masks, its lean step, its errors."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gfn_envs import GFNEnv, GFNVectorEnv, HyperGrid
from tests.gfn_envs.gym.worlds import MODES, OPTIONS, assert_identical, both_vectors, mixed_actions, tiny
from tests.helpers import BAYES_NET, BITS, GRID, TINY

#: Every environment with one set of options, and all sets of options on three kinds of dynamics.
OPTIONS_OF = [
    pytest.param(*case.values, options, id=f"{case.id}-{'-'.join(map(str, options.values()))}")
    for case in TINY
    for options in (OPTIONS if case.values[0] in (GRID, BITS, BAYES_NET) else [OPTIONS[0]])
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("env_id", "kwargs", "options"), OPTIONS_OF)
def test_the_vector_environment_equals_sync_vector_env(
    env_id: str, kwargs: dict[str, Any], options: dict[str, Any], mode: str
) -> None:
    native, sync = both_vectors(env_id, {**kwargs, **options}, 4, mode)
    assert native.observation_space == sync.observation_space
    assert native.single_observation_space == sync.single_observation_space
    assert native.action_space == sync.action_space
    assert native.single_action_space == sync.single_action_space
    assert native.metadata == sync.metadata
    rng = np.random.default_rng(0)
    assert_identical(native.reset(seed=1), sync.reset(seed=1), "reset")
    ended = illegal = 0
    for t in range(120):
        actions = mixed_actions(native.action_masks(), rng)
        result = native.step(actions)
        assert_identical(result, sync.step(actions), f"step {t}")
        assert result[0] in native.observation_space
        ended += result[2].sum()
        illegal += (result[4].get("final_info") or result[4])["illegal_action"].sum()
        if mode == "Disabled" and result[2].any():
            # Each on its own copy: SyncVectorEnv takes the mask out of the options.
            again = [env.reset(options={"reset_mask": result[2].copy()}) for env in (native, sync)]
            assert_identical(*again, f"reset after step {t}")
        if t % 10 == 0:
            assert_identical(native.action_masks(), np.stack(sync.call("action_masks")), "action_masks")
            assert_identical(native.backward_action_masks(), np.stack(sync.call("backward_action_masks")), "backward")
            assert_identical(native.states, np.stack(sync.get_attr("state")), "states")
    assert_identical(native.reset(), sync.reset(), "reset")
    assert min(ended, illegal) > 20


@pytest.mark.parametrize("mode", MODES)
@tiny
def test_default_options_and_seeds_of_resets_are_those_of_sync(env_id: str, kwargs: dict[str, Any], mode: str) -> None:
    native, sync = both_vectors(env_id, kwargs, 3, mode)
    for reset in ({}, {"seed": 5}, {"seed": [1, 2, 3]}, {"seed": [1, None, 3]}, {"options": {}}):
        assert_identical(native.reset(**copy.deepcopy(reset)), sync.reset(**copy.deepcopy(reset)), str(reset))
    for env in (native, sync):
        with pytest.raises(ValueError, match=r"3.*2"):
            env.reset(seed=[1, 2])
    with pytest.raises(gym.error.Error, match="Seed must be a python integer"):
        native.reset(seed=np.int64(3))


@pytest.mark.parametrize(
    "name", ["action_masks", "backward_action_masks", "state", "parents", "render_mode", "render", "dag"]
)
@pytest.mark.parametrize("render_mode", [None, "ansi"])
@pytest.mark.filterwarnings("ignore:.*render method without specifying any render mode")
def test_calls_answer_for_each_environment(name: str, render_mode: str | None) -> None:
    native, sync = both_vectors(GRID, {"render_mode": render_mode}, 3, "SameStep")
    for env in (native, sync):
        env.reset()
        env.step(np.array([0, 1, 0]))
    found, expected = native.call(name), sync.call(name)
    if name == "dag":
        found, expected = tuple(map(repr, found)), tuple(map(repr, expected))
    assert_identical(found, expected, name)
    assert_identical(native.get_attr("render_mode"), sync.get_attr("render_mode"))


def test_the_spaces_of_each_environment_are_single_spaces() -> None:
    native, sync = both_vectors(BITS, {}, 2, "SameStep")
    for name in ("action_space", "observation_space"):
        assert native.call(name) == sync.call(name)


def test_same_step_is_the_default() -> None:
    env = gym.make_vec(GRID, num_envs=2)
    assert env.metadata["autoreset_mode"] is env.autoreset_mode is AutoresetMode.SAME_STEP
    assert GFNVectorEnv.metadata == GFNEnv.metadata
    assert "autoreset_mode" not in GFNVectorEnv.metadata


@tiny
def test_async_vectors_work(env_id: str, kwargs: dict[str, Any]) -> None:
    native = gym.make_vec(env_id, num_envs=2, **kwargs)
    options = {"autoreset_mode": AutoresetMode.SAME_STEP}
    other = gym.make_vec(env_id, num_envs=2, vectorization_mode="async", vector_kwargs=options, **kwargs)
    try:
        rng = np.random.default_rng(0)
        assert_identical(native.reset(seed=0), other.reset(seed=0), "reset")
        for t in range(20):
            actions = mixed_actions(native.action_masks(), rng)
            assert_identical(native.step(actions), other.step(actions), f"step {t}")
    finally:
        other.close()


def test_async_vectors_work_in_fresh_processes() -> None:
    options = {"context": "spawn", "autoreset_mode": AutoresetMode.SAME_STEP}
    other = gym.make_vec(GRID, num_envs=1, vectorization_mode="async", vector_kwargs=options)
    native = gym.make_vec(GRID, num_envs=1)
    try:
        assert_identical(native.reset(seed=0), other.reset(seed=0))
        assert_identical(native.step(np.array([1])), other.step(np.array([1])))
    finally:
        other.close()


def snapshot(value: Any) -> Any:
    return copy.deepcopy(value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dict_observation", [False, True])
@tiny
def test_returned_arrays_are_never_changed(
    env_id: str, kwargs: dict[str, Any], dict_observation: bool, mode: str
) -> None:
    env = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, dict_observation=dict_observation, **kwargs)
    rng = np.random.default_rng(0)
    kept = [env.reset()]
    before = [snapshot(kept[0])]
    for _ in range(40):
        actions = mixed_actions(env.unwrapped.action_masks(), rng)
        result = (*env.step(actions), env.unwrapped.states, env.unwrapped.action_masks())
        kept.append(result)
        before.append(snapshot(result))
        if mode == "Disabled" and result[2].any():
            kept.append(env.reset(options={"reset_mask": result[2]}))
            before.append(snapshot(kept[-1]))
    assert_identical(kept, before)


@pytest.mark.parametrize("mode", MODES)
@tiny
def test_changing_what_was_returned_changes_nothing(env_id: str, kwargs: dict[str, Any], mode: str) -> None:
    spoilt, clean = (gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, **kwargs) for _ in range(2))
    rng = np.random.default_rng(0)

    def spoil(value: Any) -> None:
        if isinstance(value, dict):
            for part in value.values():
                spoil(part)
        elif isinstance(value, (tuple, list)):
            for part in value:
                spoil(part)
        elif isinstance(value, np.ndarray) and value.dtype != object:
            value[...] = 1

    clean.reset()
    spoil(spoilt.reset())
    for _ in range(40):
        actions = mixed_actions(clean.unwrapped.action_masks(), rng)
        expected, found = clean.step(actions), spoilt.step(actions)
        assert_identical(found, expected)
        if mode == "Disabled" and expected[2].any():
            ended = expected[2].copy()
            spoil(spoilt.reset(options={"reset_mask": ended.copy()}))
            clean.reset(options={"reset_mask": ended})
        spoil(found)
        spoil(spoilt.unwrapped.action_masks())


def test_bad_arguments_of_vectors_are_named() -> None:
    with pytest.raises(ValueError, match="num_envs must be an integer >= 1, got 0"):
        GFNVectorEnv(HyperGrid(), num_envs=0)
    with pytest.raises(ValueError, match="Sometimes"):
        gym.make_vec(GRID, num_envs=2, autoreset_mode="Sometimes")
    env = gym.make_vec(GRID, num_envs=2, autoreset_mode="Disabled")
    env.reset()
    for actions in (np.zeros(3, dtype=int), np.zeros((2, 1), dtype=int), 0):
        with pytest.raises(ValueError, match=r"actions must have shape \(2,\), got"):
            env.step(actions)


def test_without_autoreset_an_ended_environment_takes_no_step() -> None:
    env = gym.make_vec(GRID, num_envs=3, autoreset_mode="Disabled")
    env.reset()
    env.step(np.array([0, 2, -1]))
    with pytest.raises(ValueError, match=r"environments \[1, 2\] have ended: reset them"):
        env.step(np.array([0, 0, 0]))
    env.reset(options={"reset_mask": np.array([False, True, False])})
    with pytest.raises(ValueError, match=r"environments \[2\] have ended"):
        env.step(np.array([0, 0, 0]))
    env.reset(options={"reset_mask": np.array([False, False, True])})
    assert env.step(np.array([0, 0, 0]))[0].tolist() == [[2, 0], [1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("mask", "error"),
    [
        ([True, False, False], TypeError),
        (np.array([1, 0, 0]), TypeError),
        (np.array([True, False]), ValueError),
        (np.array([[True, False, False]]), ValueError),
        (np.zeros(3, dtype=bool), ValueError),
    ],
)
def test_bad_reset_masks_are_refused_as_sync_refuses_them(mask: Any, error: type[Exception]) -> None:
    for env in both_vectors(GRID, {}, 3, "Disabled"):
        env.reset()
        with pytest.raises(error, match="reset_mask"):
            env.reset(options={"reset_mask": mask})


@tiny
@pytest.mark.parametrize("dict_observation", [False, True])
def test_a_lean_step_is_a_step_without_its_info(env_id: str, kwargs: dict[str, Any], dict_observation: bool) -> None:
    rng = np.random.default_rng(0)
    lean, full = (gym.make_vec(env_id, num_envs=5, dict_observation=dict_observation, **kwargs) for _ in range(2))
    lean.reset()
    full.reset()
    for _ in range(60):
        mask = full.action_masks()
        actions = np.where(rng.random(5) < 0.1, -1, (mask * rng.random(mask.shape)).argmax(1))
        observation, reward, terminated, illegal, ended, last = lean.step_lean(actions)
        expected, *rest, info = full.step(actions)
        assert_identical(observation, expected)
        assert_identical((reward, terminated), tuple(rest[:2]))
        np.testing.assert_array_equal(lean.action_masks(), full.action_masks())
        np.testing.assert_array_equal(ended, np.flatnonzero(terminated))
        assert len(last) == len(ended)
        for position, seen in zip(ended, last, strict=True):
            assert_identical(seen, info["final_obs"][position])
            assert illegal[position] == info["final_info"]["illegal_action"][position]
        assert not illegal[~terminated].any()


def test_a_lean_step_refuses_other_modes_and_shapes() -> None:
    with pytest.raises(ValueError, match="SameStep"):
        gym.make_vec(GRID, num_envs=2, autoreset_mode="Disabled").step_lean(np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="shape"):
        gym.make_vec(GRID, num_envs=2).step_lean(np.zeros(3, dtype=np.int64))
