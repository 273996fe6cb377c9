"""Minari data sets of our environments, read back as trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import numpy as np
import pytest

import gfn_envs
from agents.interop.minari import minari_trajectories
from tests.helpers import BAG, GRID, TINY_ARGUMENTS

CASES = [
    (GRID, {}),
    (GRID, {"reward_mode": "soft", "observation": "features"}),
    (GRID, {"reward_mode": "log_reward", "dict_observation": True, "mask_dtype": "bool"}),
    (BAG, {"reward_mode": "soft"}),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


def record(env: Any, episodes: int, steps: int = 1000, legal: bool = True) -> Any:
    """A data set of random episodes, each of at most ``steps`` steps."""
    collector, rng = minari.DataCollector(env), np.random.default_rng(0)
    for _ in range(episodes):
        mask, ended, t = collector.reset()[1]["action_mask"], False, 0
        while not ended and t < steps:
            action = int(rng.choice(np.flatnonzero(mask if legal else np.ones_like(mask))))
            _, _, ended, _, info = collector.step(action)
            mask, t = info["action_mask"], t + 1
    return collector.create_dataset("tests/random-v0")


@pytest.mark.parametrize(("env_id", "options"), CASES)
def test_trajectories_are_those_recorded(env_id: str, options: dict[str, Any]) -> None:
    env = gym.make(env_id, **TINY_ARGUMENTS[env_id][0], **options)
    record(env, 20)
    dataset = minari.load_dataset("tests/random-v0")
    found, dag = minari_trajectories(dataset), env.unwrapped.dag
    assert len(found) == 20
    assert dag.is_terminal(found.terminal_states).all()
    np.testing.assert_array_equal(dag.step(found.states[found.sources], found.actions), found.states[found.targets])
    np.testing.assert_allclose(found.log_reward, dag.log_reward(found.terminal_states), rtol=1e-12)
    actions = [episode.actions for episode in dataset.iterate_episodes()]
    np.testing.assert_array_equal(found.actions, np.concatenate(actions))


def test_an_episode_that_was_cut_off_is_named_and_can_be_left_out() -> None:
    dataset = record(gym.make(GRID, ndim=2, side=4), 10, steps=3)
    cut = [episode.id for episode in dataset.iterate_episodes() if not episode.terminations[-1]]
    with pytest.raises(ValueError, match=rf"episode {cut[0]} was cut off after 3 steps"):
        minari_trajectories(dataset)
    rest = dataset.filter_episodes(lambda episode: episode.terminations[-1])
    assert len(minari_trajectories(rest)) == 10 - len(cut)


def test_illegal_actions_and_other_observations_are_named() -> None:
    dataset = record(gym.make(GRID, ndim=2, side=2), 10, legal=False)
    with pytest.raises(ValueError, match=r"episode \d: action \d of step \d is illegal at \["):
        minari_trajectories(dataset)


class Shifted(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    def __init__(self, env: Any):
        gym.utils.RecordConstructorArgs.__init__(self)
        super().__init__(env)

    def observation(self, observation: Any) -> Any:
        return np.minimum(observation + 1, 3)


def test_other_observations_are_named() -> None:
    dataset = record(Shifted(gym.make(GRID, ndim=2, side=4)), 2)
    with pytest.raises(ValueError, match=r"episode 0: observation 0 is not that of the state \[0, 0"):
        minari_trajectories(dataset)


def test_environments_of_others_are_refused() -> None:
    collector = minari.DataCollector(gym.make("CartPole-v1"))
    collector.reset()
    collector.step(0)
    with pytest.raises(TypeError, match="expected a data set of an environment of gfn_envs"):
        minari_trajectories(collector.create_dataset("tests/other-v0"))


def test_vectors_are_refused() -> None:
    env = gfn_envs.GFNEnv(gfn_envs.make_dag(GRID, ndim=2, side=4, reward=["branin", "currin"]), reward_mode="vector")

    class Recorded:
        def recover_environment(self) -> Any:
            return env

    with pytest.raises(ValueError, match='reward_mode="vector"'):
        minari_trajectories(Recorded())
