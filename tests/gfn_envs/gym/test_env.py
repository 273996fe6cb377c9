"""The Gymnasium environments: checkers of other libraries, copies, wrappers, starting states, parents, dictionaries."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo
from gymnasium.wrappers.vector import RecordEpisodeStatistics as VectorRecordEpisodeStatistics
from stable_baselines3.common import env_checker as sb3_env_checker

import gfn_envs
from gfn_envs.gym import REWARD_MODES
from gfn_envs.gym.stepper import is_reachable
from tests.gfn_envs.gym.worlds import (
    MODES,
    assert_identical,
    both_vectors,
    every_option,
    mixed_actions,
    no_warnings,
    per_id,
    play,
    random_legal,
    tiny,
)
from tests.helpers import (
    BAG,
    BITS,
    FRAGMENTS,
    GRID,
    PHYLO_TREE,
    TINY,
    TINY_ARGUMENTS,
    UNEVEN_EDGES,
    TableDag,
    all_states,
    small_dag,
)


def test_every_registered_environment_has_a_tiny_instance() -> None:
    assert all(TINY_ARGUMENTS.get(env_id) for env_id in gfn_envs.ENVIRONMENTS), "give it an entry in helpers.py"


# ---------------------------------------------------------------------- checkers of other libraries

# Features are unbounded by declaration: what they are is the environment's own affair.
UNBOUNDED_FEATURES = "ignore:.*A Box observation space m.* value is -?infinity"


@pytest.mark.filterwarnings("error", UNBOUNDED_FEATURES)
@every_option
@tiny
def test_gymnasium_accepts_every_option(env_id: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    check_env(gym.make(env_id, **kwargs, **options).unwrapped)


@no_warnings
@every_option
@tiny
def test_stable_baselines_accepts_every_option(env_id: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    sb3_env_checker.check_env(gym.make(env_id, **kwargs, **options), warn=True)


@no_warnings
@per_id
def test_gymnasium_and_stable_baselines_accept_the_defaults(env_id: str) -> None:
    check_env(gym.make(env_id).unwrapped)
    sb3_env_checker.check_env(gym.make(env_id), warn=True)


@no_warnings
@per_id
def test_gymnasium_warns_of_nothing_along_an_episode(env_id: str) -> None:
    """Its passive checker, which wraps what gym.make gives, watches every step."""
    env = gym.make(env_id, disable_env_checker=False)
    for seed in range(3):
        for _, (observation, reward, terminated, truncated, _) in play(env, np.random.default_rng(seed), seed=seed):
            assert observation in env.observation_space
            assert (type(reward), type(terminated), truncated) == (float, bool, False)


# ---------------------------------------------------------------------- copies


def copies(env: Any) -> list[Any]:
    return [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]


@every_option
@tiny
def test_copies_of_an_environment_go_on_where_it_stands(
    env_id: str, kwargs: dict[str, Any], options: dict[str, Any]
) -> None:
    env = gym.make(env_id, render_mode="rgb_array", **kwargs, **options)
    env.reset(seed=0)
    env.step(0)
    rng = np.random.default_rng(0)
    actions = [random_legal(env.unwrapped.action_masks(), rng), *rng.integers(env.action_space.n, size=3)]
    others = copies(env)
    expected = [(env.step(action), env.render()) for action in actions]
    for other in others:
        assert_identical([(other.step(action), other.render()) for action in actions], expected)
        assert other.unwrapped.dag is not env.unwrapped.dag
        assert_identical(other.unwrapped.np_random.random(), copy.deepcopy(env).unwrapped.np_random.random())


@pytest.mark.parametrize("mode", MODES)
@tiny
def test_copies_of_a_vector_go_on_where_it_stands(env_id: str, kwargs: dict[str, Any], mode: str) -> None:
    env = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, **kwargs)
    env.reset(seed=0)
    # One episode has ended, which in NEXT_STEP mode the next step must know.
    env.step(np.array([0, -1, 0]))
    if mode == "Disabled":
        env.reset(options={"reset_mask": np.array([False, True, False])})
    others = copies(env)
    actions = mixed_actions(env.action_masks(), np.random.default_rng(1))
    expected = env.step(actions)
    for other in others:
        assert_identical(other.step(actions), expected)


# ---------------------------------------------------------------------- wrappers


@every_option
@tiny
def test_episode_statistics(env_id: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    env = RecordEpisodeStatistics(gym.make(env_id, **kwargs, **options))
    for seed in range(3):
        results = [result for _, result in play(env, np.random.default_rng(seed))]
        episode = results[-1][4]["episode"]
        assert episode["l"] == len(results)
        assert np.isclose(episode["r"], math.fsum(reward for _, reward, *_ in results), rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reward_mode", REWARD_MODES)
@tiny
def test_episode_statistics_of_vectors(env_id: str, kwargs: dict[str, Any], reward_mode: str, mode: str) -> None:
    """Against explicit sums."""
    make = partial(gym.make_vec, env_id, num_envs=4, autoreset_mode=mode, reward_mode=reward_mode, **kwargs)
    env = VectorRecordEpisodeStatistics(make())
    rng = np.random.default_rng(0)
    env.reset()
    total, length, fresh = np.zeros(4), np.zeros(4, dtype=int), np.zeros(4, dtype=bool)
    episodes = 0
    for _ in range(60):
        _, reward, terminated, _, info = env.step(mixed_actions(env.unwrapped.action_masks(), rng))
        total, length = total + np.where(fresh, 0, reward), length + ~fresh
        assert np.array_equal(info.get("_episode", np.zeros(4, dtype=bool)), terminated)
        if terminated.any():
            np.testing.assert_allclose(info["episode"]["r"][terminated], total[terminated], rtol=1e-6)
            np.testing.assert_array_equal(info["episode"]["l"][terminated], length[terminated])
            episodes += terminated.sum()
        total[terminated], length[terminated] = 0, 0
        # In NEXT_STEP mode the step after an end is the reset.
        fresh = terminated if mode == "NextStep" else fresh
        if mode == "Disabled" and terminated.any():
            env.reset(options={"reset_mask": terminated})
    assert env.episode_count == episodes > 20


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("env_id", [GRID, BITS, FRAGMENTS, PHYLO_TREE])
def test_videos_are_recorded(env_id: str, tmp_path: Path) -> None:
    env = RecordVideo(gym.make(env_id, render_mode="rgb_array"), str(tmp_path / "video"), disable_logger=True)
    steps = len(list(play(env, np.random.default_rng(0))))
    env.close()
    (video,) = (tmp_path / "video").glob("*.mp4")
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(video))
    assert frames == steps + 1
    assert np.isclose(seconds, frames / env.metadata["render_fps"], atol=0.3)


# ---------------------------------------------------------------------- starting from a state


@tiny
def test_episodes_start_from_any_state_that_is_not_terminal(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    env = gym.make(env_id, **kwargs)
    native, sync = both_vectors(env_id, kwargs, 2, "SameStep")
    states = all_states(dag)
    for row in states[~dag.is_terminal(states)][:: max(1, len(states) // 20)]:
        given = row.copy()
        observation, info = env.reset(options={"state": row})
        assert_identical(observation, dag.observe(row[None])[0])
        assert_identical(info["action_mask"], dag.forward_mask(row[None])[0].astype(np.int8))
        assert_identical(env.unwrapped.state, row)
        action = int(np.argmax(info["action_mask"]))
        assert_identical(env.step(action)[0], dag.observe(dag.step(row[None], np.array([action])))[0])
        options = {"state": row.tolist()}
        assert_identical(native.reset(options=dict(options)), sync.reset(options=dict(options)))
        assert_identical(native.states, np.stack([row, row]))
        assert_identical(native.step(np.array([action, -1])), sync.step(np.array([action, -1])))
        np.testing.assert_array_equal(row, given)
    # The next episode starts from s0 again.
    assert_identical(env.reset()[0], dag.observe(dag.source(1))[0])
    native.reset()
    np.testing.assert_array_equal(native.states, dag.source(2))


def test_some_of_a_vector_start_from_a_state() -> None:
    env = gym.make_vec(GRID, num_envs=3, autoreset_mode="Disabled")
    env.reset()
    env.step(np.array([0, 1, 0]))
    mask = np.array([False, True, True])
    observation, info = env.reset(options={"reset_mask": mask, "state": [7, 3, 0]})
    assert observation.tolist() == [[1, 0], [7, 3], [7, 3]]
    assert info["action_mask"].tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert info["_action_mask"].tolist() == mask.tolist()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ([1, 2], "must be 3 integers, got shape (2,)"),
        ([[1, 2, 0]], "must be 3 integers, got shape (1, 3)"),
        (5, "must be 3 integers, got shape ()"),
        ([1.0, 2.0, 0.0], "must be 3 integers, got shape (3,) and dtype float64"),
        ([1, 2, 1], "[1, 2, 1] is terminal: no action is legal there"),
        ([100, 0, 0], "[100, 0, 0] is not a state"),
        ([-1, 0, 0], "[-1, 0, 0] is not a state"),
        ([0, 0, 7], "[0, 0, 7] is not a state"),
        ([2**16, 0, 0], "[65536, 0, 0] is not a state"),
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_bad_starting_states_raise(state: Any, message: str, vector: bool) -> None:
    env: Any = gym.make_vec(GRID, num_envs=2) if vector else gym.make(GRID)
    env.reset()
    with pytest.raises(ValueError, match=re.escape(f'options["state"] {message}')):
        env.reset(options={"state": state})


@pytest.mark.parametrize(("env_id", "kwargs"), [*TINY, pytest.param(None, {}, id="table")])
def test_episodes_start_from_the_states_and_no_other_row(env_id: str | None, kwargs: dict[str, Any]) -> None:
    """Every row of numbers from -2 to 2 above the largest: exactly the rows that are not enumerated raise.

    If there are too many rows: the states, and a selection of the rows that differ from a state in one number.
    """
    dag = TableDag(UNEVEN_EDGES) if env_id is None else small_dag(env_id, kwargs)
    states = all_states(dag)
    columns = [range(-2, int(largest) + 3) for largest in states.max(0)]
    if math.prod(map(len, columns)) <= 10**6:
        rows = np.array(list(itertools.product(*columns)), dtype=dag.state_dtype)
    else:
        near = [np.where(np.arange(len(columns)) == i, v, states) for i, column in enumerate(columns) for v in column]
        near = np.unique(np.concatenate(near), axis=0).astype(dag.state_dtype)
        rows = np.concatenate([states, near[np.random.default_rng(0).permutation(len(near))[:600]]])
    known = set(map(tuple, states.tolist()))
    assert len(rows) > len(known)
    expected = [tuple(row.tolist()) in known for row in rows]
    assert is_reachable(dag, rows).tolist() == expected
    for i in np.random.default_rng(1).permutation(len(rows))[:100]:
        assert is_reachable(dag, rows[i : i + 1]).tolist() == [expected[i]], rows[i]


def test_the_start_may_be_far_from_the_source() -> None:
    env = gym.make(GRID, ndim=10, side=20)
    assert env.reset(options={"state": [19] * 10 + [0]})[0].tolist() == [19] * 10
    with pytest.raises(ValueError, match=r"is not a state of HyperGrid\(.*: it must be reachable from s0"):
        env.reset(options={"state": [20] + [19] * 9 + [0]})


@pytest.mark.parametrize(
    ("env_id", "kwargs", "row"),
    [
        (BITS, {"n": 32}, [256, 3, 256, 256]),  # a gap before the first word
        (BITS, {"n": 32}, [3, 256, 4, 256]),  # a gap between words
        (BAG, {"capacity": 3, "repeats": 2}, [2, 2, 0, 0, 0, 0, 0]),  # more than fits
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_rows_in_the_observation_space_may_be_no_states(
    env_id: str, kwargs: dict[str, Any], row: list[int], vector: bool
) -> None:
    env: Any = gym.make_vec(env_id, num_envs=2, **kwargs) if vector else gym.make(env_id, **kwargs)
    assert env.unwrapped.dag.observation_space.contains(np.array(row))
    with pytest.raises(ValueError, match=re.escape(f'options["state"] {row} is not a state of ')):
        env.reset(options={"state": row})


# ---------------------------------------------------------------------- parents


@tiny
def test_parents_lead_here(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    env = gym.make(env_id, **kwargs).unwrapped
    env.reset()
    assert env.parents() == []
    assert not env.backward_action_masks().any()
    for _ in play(env, np.random.default_rng(0)):
        here, listed = env.state, env.parents()
        assert len(listed) == env.backward_action_masks().sum() > 0
        _, parents, actions = dag.parents(here[None])
        for (observation, action), parent, expected in zip(listed, parents, actions, strict=True):
            assert action == expected
            assert_identical(observation, dag.observe(parent[None])[0])
            np.testing.assert_array_equal(dag.step(parent[None], np.array([action]))[0], here)


# ---------------------------------------------------------------------- dictionaries


@tiny
def test_the_keys_of_dict_observations_are_the_callers(env_id: str, kwargs: dict[str, Any]) -> None:
    keys = {"mask_key": "mask", "observation_key": "obs"}
    named = gym.make(env_id, dict_observation=True, **keys, **kwargs)
    usual = gym.make(env_id, dict_observation=True, **kwargs)
    assert set(named.observation_space.spaces) == {"mask", "obs"}
    assert set(usual.observation_space.spaces) == {"action_mask", "observations"}
    seen, expected = named.reset()[0], usual.reset()[0]
    assert_identical(seen["mask"], expected["action_mask"])
    assert_identical(seen["obs"], expected["observations"])
    assert named.observation_space.contains(seen)
    vector = gym.make_vec(env_id, num_envs=2, dict_observation=True, **keys, **kwargs)
    vector.reset()
    assert set(vector.step(np.array([0, -1]))[-1]["final_obs"][1]) == {"mask", "obs"}


def test_the_two_keys_must_differ() -> None:
    with pytest.raises(ValueError, match="'x' for both"):
        gym.make(GRID, dict_observation=True, mask_key="x", observation_key="x")


class Nested(gfn_envs.HyperGrid):
    """A grid that is seen as a tuple of its cell and a dictionary."""

    def __init__(self) -> None:
        super().__init__(2, 3)
        self.observation_space = gym.spaces.Tuple(
            [gym.spaces.MultiDiscrete([3, 3]), gym.spaces.Dict({"sum": gym.spaces.Box(0, 4, (1,), np.int64)})]
        )

    def observe(self, states: np.ndarray) -> Any:
        cells = states[:, :-1].astype(np.int64)
        return cells, {"sum": cells.sum(1, keepdims=True)}


@pytest.mark.parametrize("dict_observation", [False, True])
def test_observations_of_tuples_and_dictionaries(dict_observation: bool) -> None:
    gfn_envs.check_dag(Nested())
    single = gfn_envs.gym.GFNEnv(Nested(), dict_observation=dict_observation)
    vector = gfn_envs.gym.GFNVectorEnv(Nested(), num_envs=2, dict_observation=dict_observation)
    assert single.observation_space.contains(single.reset()[0])
    assert vector.observation_space.contains(vector.reset()[0])
    for action in (0, 1, 2):
        seen = single.step(action)[0]
        assert single.observation_space.contains(seen)
        observations, *_, info = vector.step(np.array([action, action]))
        assert vector.observation_space.contains(observations)
    inside = seen["observations"] if dict_observation else seen
    assert inside[0].tolist() == [1, 1]
    assert inside[1]["sum"].tolist() == [2]
    assert [single.observation_space.contains(parent) for parent, _ in single.unwrapped.parents()] == [True]
    assert single.observation_space.contains(info["final_obs"][0])


def test_unknown_options_of_reset_raise() -> None:
    for env in (gym.make(GRID), *both_vectors(GRID, {}, 2, "SameStep")):
        with pytest.raises(ValueError, match="options of reset: unknown stat; allowed: condition, reset_mask, state"):
            env.reset(options={"stat": [0, 0, 0]})
