"""Rewards of the Gymnasium environments, and illegal actions."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gfn_envs import exact
from gfn_envs.gym import REWARD_MODES
from tests.gfn_envs.gym.worlds import FAR, assert_identical, per_id, play, random_legal, tiny
from tests.helpers import GRID, IDS, all_states, small_dag


@tiny
def test_rewards_of_whole_episodes(env_id: str, kwargs: dict[str, Any]) -> None:
    """Against R(x) and the number of parents of each state met."""
    dag = small_dag(env_id, kwargs)
    envs = {mode: gym.make(env_id, reward_mode=mode, **kwargs) for mode in REWARD_MODES}
    for seed in range(10):
        for env in envs.values():
            env.reset()
        actions = [action for action, _ in play(envs["reward"], np.random.default_rng(seed))]
        x = envs["reward"].unwrapped.state
        log_reward = float(dag.log_reward(x[None])[0])
        rewards: dict[str, list[float]] = {mode: [] for mode in REWARD_MODES}
        log_pb = []
        for mode, env in envs.items():
            env.reset()
            for action in actions:
                rewards[mode].append(env.step(action)[1])
                if mode == "soft":
                    log_pb.append(-math.log(len(env.unwrapped.parents())))
        assert rewards["reward"][:-1] == rewards["log_reward"][:-1] == [0.0] * (len(actions) - 1)
        assert np.isclose(rewards["reward"][-1], math.exp(log_reward), rtol=1e-14)
        assert rewards["log_reward"][-1] == log_reward
        np.testing.assert_allclose(rewards["soft"][:-1], log_pb[:-1], rtol=1e-14)
        assert np.isclose(math.fsum(rewards["soft"]), math.fsum(log_pb) + log_reward, rtol=1e-13, atol=1e-14)


def test_rewards_by_hand() -> None:
    """(0,0) -> (1,0) -> (1,1) -> (2,1) -> stop on a grid of side 4 with R(2, 1) = 0.1 and R(0, 0) = 0.6."""
    path, half = [0, 1, 0, 2], math.log(0.5)
    for reward_mode, expected in {
        "reward": [0, 0, 0, 0.1],
        "log_reward": [0, 0, 0, math.log(0.1)],
        "soft": [0, half, half, math.log(0.1)],
    }.items():
        env = gym.make(GRID, side=4, reward_mode=reward_mode)
        env.reset()
        np.testing.assert_allclose([env.step(action)[1] for action in path], expected, rtol=1e-14)
        env.reset()
        first = env.step(2)[1]
        assert np.isclose(first, 0.6 if reward_mode == "reward" else math.log(0.6), rtol=1e-14)


@tiny
def test_soft_rewards_make_maximum_entropy_control_sample_the_target(env_id: str, kwargs: dict[str, Any]) -> None:
    """Soft value iteration that only uses the Gymnasium environment: V(s0) = log Z, and its policy samples R(x) / Z."""
    dag = small_dag(env_id, kwargs)
    env = gym.make(env_id, reward_mode="soft", **kwargs)
    states = all_states(dag)
    value, table = np.zeros(len(states)), np.zeros((len(states), dag.num_actions))
    for i in range(len(states) - 1, -1, -1):
        if dag.is_terminal(states[i : i + 1])[0]:
            continue
        q = np.full(dag.num_actions, -np.inf)
        for action in np.flatnonzero(dag.forward_mask(states[i : i + 1])[0]):
            env.reset(options={"state": states[i]})
            reward = env.step(action)[1]
            q[action] = reward + value[dag.state_index(env.unwrapped.state[None])[0]]
        value[i] = np.logaddexp.reduce(q)
        table[i] = np.exp(q - value[i])
    assert np.isclose(value[0], exact.log_partition(dag), rtol=1e-12, atol=1e-12)
    found = exact.terminal_distribution(dag, lambda rows: table[dag.state_index(rows)])
    np.testing.assert_allclose(found, exact.target_distribution(dag), rtol=1e-9)


# ---------------------------------------------------------------------- illegal actions


@pytest.mark.parametrize("action", [*FAR, 3, 0])
@pytest.mark.parametrize("dict_observation", [False, True])
def test_an_illegal_action_ends_the_episode(action: int, dict_observation: bool) -> None:
    env = gym.make(GRID, ndim=2, side=2, illegal_reward=-3.5, dict_observation=dict_observation)
    env.reset()
    env.step(0)  # at (1, 0), where action 0 is illegal
    observation, reward, terminated, truncated, info = env.step(action)
    assert (reward, terminated, truncated) == (-3.5, True, False)
    assert_identical(info, {"action_mask": np.zeros(3, dtype=np.int8), "illegal_action": np.array(True)})
    cell = observation["observations"] if dict_observation else observation
    assert cell.tolist() == [1, 0]
    if dict_observation:
        assert observation["action_mask"].tolist() == [0, 0, 0]
    assert not env.unwrapped.action_masks().any()
    assert_identical(env.reset()[1]["illegal_action"], np.array(False))


@per_id
@pytest.mark.parametrize("reward_mode", REWARD_MODES)
def test_the_penalty_is_ten_by_default(env_id: str, reward_mode: str) -> None:
    env = gym.make(env_id, reward_mode=reward_mode)
    env.reset()
    assert env.step(-1)[1] == -10.0


@pytest.mark.parametrize("action", [1.7, 1.0, np.float32(2), math.nan, "1", None, [0], np.array([0])])
def test_non_integer_actions_raise(action: Any) -> None:
    """Gymnasium's Discrete holds integers alone, and a float would be cut off without a word."""
    env = gym.make(GRID).unwrapped
    env.reset()
    with pytest.raises(TypeError, match=r"an action must be an integer, got .* of type"):
        env.step(action)
    assert env.state.tolist() == [0, 0, 0]


@pytest.mark.parametrize("actions", [[1.7, 0.0], [1.0, 2.0], [math.nan, 0], ["1", "0"], [None, 0], [True, False]])
def test_vectors_take_integers_alone(actions: list[Any]) -> None:
    env = gym.make_vec(GRID, num_envs=2)
    env.reset()
    with pytest.raises(TypeError, match="actions must be integers, got an array of"):
        env.step(actions)
    assert env.unwrapped.states.tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("integer", [int, np.int8, np.uint64, np.array])
def test_actions_may_be_integers_of_any_type(integer: Any) -> None:
    env, vector = gym.make(GRID), gym.make_vec(GRID, num_envs=2)
    env.reset()
    vector.reset()
    assert env.step(integer(1))[0].tolist() == [0, 1]
    assert vector.step([integer(1), integer(0)])[0].tolist() == [[0, 1], [1, 0]]


@tiny
def test_after_the_end_every_action_is_illegal(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, **kwargs)
    *_, (_, (last, *_)) = play(env, np.random.default_rng(0))
    for action in range(env.action_space.n):
        observation, reward, terminated, _, info = env.step(action)
        assert (reward, terminated, bool(info["illegal_action"])) == (-10.0, True, True)
        assert_identical(observation, last)


@tiny
def test_an_illegal_action_does_not_affect_other_rows(env_id: str, kwargs: dict[str, Any]) -> None:
    first, second = (gym.make_vec(env_id, num_envs=3, **kwargs) for _ in range(2))
    rng = np.random.default_rng(0)
    _, info = first.reset()
    second.reset()
    for _ in range(30):
        actions = np.array([random_legal(mask, rng) for mask in info["action_mask"]])
        spoilt = actions.copy()
        spoilt[1] = rng.choice([-1, first.single_action_space.n])
        observation, reward, terminated, _, info = first.step(actions)
        other_observation, other_reward, other_terminated, _, other_info = second.step(spoilt)
        keep = [0, 2]
        assert_identical(other_observation[keep], observation[keep])
        assert_identical(other_reward[keep], reward[keep])
        assert_identical(other_terminated[keep], terminated[keep])
        assert_identical(other_info["action_mask"][keep], info["action_mask"][keep])
        assert (other_reward[1], other_terminated[1]) == (-10.0, True)
        assert other_info["final_info"]["illegal_action"].tolist() == [False, True, False]
        # The new episode knows nothing of it.
        assert other_info["illegal_action"].tolist() == [False] * 3
        assert other_info["action_mask"][1].any()


def test_rewards_too_large_for_a_number_are_refused() -> None:
    arguments = {"ndim": 2, "side": 2, "reward": lambda cells: np.full(len(cells), 2.0)}
    single = gym.make(GRID, disable_env_checker=True, **arguments)
    vector = gym.make_vec(GRID, num_envs=2, **arguments)
    log_reward = gym.make(GRID, disable_env_checker=True, reward_mode="log_reward", **arguments)
    for env in (single, vector, log_reward):
        env.reset()
        env.unwrapped.dag.log_reward = lambda states: np.full(len(states), 710.0)
    assert log_reward.step(2)[1] == 710.0
    for step in (lambda: single.step(2), lambda: vector.step(np.array([0, 2]))):
        with pytest.raises(ValueError, match=r"R\(x\) of \(0, 0\) is exp\(710\), too large"):
            step()


@pytest.mark.parametrize("mode", ["rewards", "Reward", "", None])
@pytest.mark.parametrize("env_id", IDS)
def test_unknown_reward_modes_are_refused(env_id: str, mode: str | None) -> None:
    message = r"reward_mode must be one of \('reward', 'log_reward', 'soft', 'vector'\), got"
    with pytest.raises(ValueError, match=message):
        gym.make(env_id, reward_mode=mode)
    with pytest.raises(ValueError, match=message):
        gym.make_vec(env_id, num_envs=2, reward_mode=mode)
