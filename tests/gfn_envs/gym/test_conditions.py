"""Gymnasium environments with conditions, and with vectors as rewards."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation
from sb3_contrib import MaskablePPO

import gfn_envs
from gfn_envs.conditions import conditioned
from tests.gfn_envs.gym.worlds import MODES, assert_identical, both_vectors, mixed_actions, no_warnings, play
from tests.helpers import BAYES_NET, GRID

HYPERGRID = "gfn_envs.envs.hypergrid.hypergrid:HyperGrid"
TEMPERATURE: dict[str, Any] = {"ndim": 2, "side": 4, "conditions": "temperature:0.5,8"}
OBJECTIVES = {"ndim": 2, "side": 4, "reward": ["branin", "currin"], "conditions": "preferences:branin,currin"}


@no_warnings
@pytest.mark.parametrize("options", [{}, {"observation": "features"}, {"dict_observation": True}])
@pytest.mark.parametrize("kwargs", [TEMPERATURE, OBJECTIVES])
def test_the_checker_of_gymnasium(kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    check_env(gym.make(GRID, **kwargs, **options).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("env_id", "kwargs"), [(GRID, TEMPERATURE), (GRID, OBJECTIVES), (BAYES_NET, {"num_nodes": 3})])
def test_the_vector_environment_equals_sync_vector_env(env_id: str, kwargs: dict[str, Any], mode: str) -> None:
    native, sync = both_vectors(env_id, {"conditions": "temperature:1,2", **kwargs}, 4, mode)
    assert native.observation_space == sync.observation_space
    rng = np.random.default_rng(0)
    assert_identical(native.reset(seed=1), sync.reset(seed=1), "reset")
    assert len(np.unique(native.unwrapped.dag.conditions_of(native.unwrapped.states)[:, 0])) == 4
    for t in range(40):
        actions = mixed_actions(native.action_masks(), rng)
        result = native.step(actions)
        assert_identical(result, sync.step(actions), f"step {t}")
        if mode == "Disabled" and result[2].any():
            again = [env.reset(options={"reset_mask": result[2].copy()}) for env in (native, sync)]
            assert_identical(*again, f"reset after step {t}")


def test_the_condition_is_drawn_or_given_and_decides_the_reward() -> None:
    env: Any = gym.make(GRID, **TEMPERATURE).unwrapped
    drawn = {float(env.reset(seed=seed)[0]["condition"][0]) for seed in (0, 0, 1)}
    assert len(drawn) == 2
    dag, rng = gfn_envs.make_dag(GRID, ndim=2, side=4), np.random.default_rng(0)
    for condition in ([2.0], {"beta": 2.0}):
        *_, (_, last) = play(env, rng, options={"condition": condition})
        assert last[0]["condition"] == [2.0]
        cell = np.append(last[0]["state"], 1).astype(np.int16)
        assert last[1] == pytest.approx(float(np.exp(2 * dag.log_reward(cell[None])[0])))
    state = env.reset(options={"condition": [1.0], "state": [1, 2, 0]})[0]
    np.testing.assert_array_equal(state["state"], [1, 2])
    with pytest.raises(ValueError, match=r"out of range: beta in \[0.5, 8\]"):
        env.reset(options={"condition": [9.0]})
    with pytest.raises(ValueError, match="has no conditions"):
        gym.make(GRID).unwrapped.reset(options={"condition": [1.0]})
    many: Any = gym.make_vec(GRID, num_envs=3, vectorization_mode="vector_entry_point", **TEMPERATURE)
    np.testing.assert_array_equal(many.reset(options={"condition": [2.0]})[0]["condition"], [[2.0]] * 3)


@pytest.mark.parametrize("conditions", [None, OBJECTIVES["conditions"]])
def test_vectors_as_rewards(conditions: str | None) -> None:
    kwargs = {**OBJECTIVES, "conditions": conditions, "reward_mode": "vector"}
    env: Any = gym.make(GRID, **kwargs).unwrapped
    assert env.reward_space.shape == (2,)
    rewards = [result[1] for _, result in play(env, np.random.default_rng(0), seed=0)]
    assert all(reward.dtype == np.float32 and reward.shape == (2,) for reward in rewards)
    assert not np.any(rewards[:-1])
    found = env.dag.reward_components(env.state[None])
    np.testing.assert_allclose(rewards[-1], [found["branin"][0], found["currin"][0]], rtol=1e-6)
    vector: Any = gym.make_vec(GRID, num_envs=3, vectorization_mode="vector_entry_point", **kwargs)
    vector.reset(seed=0)
    assert vector.step(np.array([2, 0, 2]))[1].shape == (3, 2)
    assert (env.reset(), env.step(99))[1][1].tolist() == [-10, -10]
    with pytest.raises(ValueError, match="needs components of the reward"):
        gym.make(GRID, reward_mode="vector")


def test_mo_gymnasium_takes_it() -> None:
    mo = pytest.importorskip("mo_gymnasium")
    env = mo.wrappers.LinearReward(mo.make(GRID, **OBJECTIVES, reward_mode="vector"), weight=np.array([0.25, 0.75]))
    *_, (_, last) = play(env, np.random.default_rng(0), seed=0)
    assert last[1] == pytest.approx(float(last[4]["vector_reward"] @ [0.25, 0.75]))
    many = mo.wrappers.vector.MOSyncVectorEnv([lambda: mo.make(GRID, **OBJECTIVES, reward_mode="vector")] * 2)
    many.reset(seed=0)
    assert many.step(np.array([2, 0]))[1].shape == (2, 2)


def test_maskable_ppo_trains_on_it() -> None:
    env = FlattenObservation(gym.make(GRID, **TEMPERATURE, reward_mode="log_reward"))
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=1, seed=0)
    model.learn(32)
    assert model.num_timesteps == 32
    both = MaskablePPO("MultiInputPolicy", gym.make(GRID, **TEMPERATURE), n_steps=16, batch_size=16, n_epochs=1)
    both.learn(16)


def test_next_step_draws_anew() -> None:
    env = gfn_envs.GFNVectorEnv(HYPERGRID, num_envs=2, autoreset_mode="NextStep", **TEMPERATURE)
    first = env.reset(seed=0)[0]["condition"].copy()
    env.step(np.array([2, 0]))
    second = env.step(np.array([0, 0]))[0]["condition"]
    assert second[0] != first[0]
    assert second[1] == first[1]


def test_a_dag_with_conditions_can_be_given() -> None:
    dag = conditioned(gfn_envs.make_dag(GRID, ndim=2, side=4), "temperature:1,2")
    env = gfn_envs.GFNEnv(dag)
    assert env.observation_space.contains(env.reset(seed=0)[0])


@pytest.mark.parametrize("mode", MODES)
def test_seeds_reach_the_environments_that_are_reset(mode: str) -> None:
    native, sync = both_vectors(GRID, TEMPERATURE, 3, mode)
    assert_identical(native.reset(seed=1), sync.reset(seed=1), "reset")
    mask = np.array([True, False, True])
    again = [env.reset(seed=7, options={"reset_mask": mask.copy()}) for env in (native, sync)]
    assert_identical(*again, "reset of two")
    assert_identical(native.reset(), sync.reset(), "reset without a seed")


def test_a_step_may_come_before_the_first_reset() -> None:
    env: Any = gym.make_vec(GRID, num_envs=2, **TEMPERATURE)
    for _ in range(8):
        env.step(np.array([0, 2]))
