"""Pictures and text of the Gymnasium environments."""

from __future__ import annotations

import itertools
import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gfn_envs import HyperGrid, rendering
from gfn_envs.oracle import Oracle
from tests.gfn_envs.gym.worlds import MODES, assert_identical, both_vectors, mixed_actions, per_id, play, tiny
from tests.helpers import GRID


@tiny
def test_pictures_have_one_size_and_change_with_every_step(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="rgb_array", **kwargs)
    env.reset()
    frames = [env.render()]
    for _ in play(env, np.random.default_rng(0)):
        frames.append(env.render())
    for frame in frames:
        assert (type(frame), frame.dtype, frame.shape) == (np.ndarray, np.uint8, frames[0].shape)
        assert (frame.ndim, frame.shape[2]) == (3, 3)
        assert min(frame.shape[:2]) >= 16
    for before, after in itertools.pairwise(frames):
        assert (before != after).any()
    # The same path gives the same picture.
    for _ in play(env, np.random.default_rng(0)):
        pass
    np.testing.assert_array_equal(env.render(), frames[-1])


@per_id
def test_default_pictures(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset()
    first = env.render()
    for _ in play(env, np.random.default_rng(0)):
        assert env.render().shape == first.shape
    assert (env.render() != first).any()


@per_id
def test_pictures_do_not_share_memory(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    env.reset()
    frame = env.render()
    expected = frame.copy()
    frame[:] = 7
    np.testing.assert_array_equal(env.render(), expected)


@pytest.mark.parametrize(("ndim", "side"), [(1, 2), (1, 9), (2, 3), (2, 300), (3, 2), (5, 8)])
def test_grids_of_every_kind_are_drawn(ndim: int, side: int) -> None:
    env = gym.make(GRID, ndim=ndim, side=side, render_mode="rgb_array")
    env.reset()
    frames = [env.render()]
    for action in (ndim - 1, ndim):
        env.step(action)
        frames.append(env.render())
    assert len({frame.shape for frame in frames}) == 1
    assert (frames[0] != frames[1]).any()
    assert (frames[1] != frames[2]).any()


@tiny
def test_pictures_are_of_the_state_and_the_path_to_it(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="rgb_array", **kwargs)
    for seed in range(5):
        env.reset()
        path = [env.unwrapped.state]
        for _ in play(env, np.random.default_rng(seed)):
            path.append(env.unwrapped.state)
            np.testing.assert_array_equal(env.render(), env.unwrapped.dag.render_image(path[-1], np.stack(path)))


def test_grids_show_the_path_and_the_stop() -> None:
    dag = HyperGrid(ndim=2, side=8)
    cell, stopped, path = np.array([2, 1, 0]), np.array([2, 1, 1]), np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]])

    def middle(image: np.ndarray, x: int, y: int) -> list[int]:
        return image[256 - 32 * y - 16, 32 * x + 16].tolist()

    alone, with_path = dag.render_image(cell), dag.render_image(cell, path)
    assert middle(alone, 2, 1) == middle(with_path, 2, 1) == rendering.WHITE.tolist()
    assert middle(dag.render_image(stopped), 2, 1) == rendering.RED.tolist()
    for x, y in [(0, 0), (1, 0), (2, 0)]:
        assert middle(with_path, x, y) == rendering.WHITE.tolist() != middle(alone, x, y)
    assert middle(with_path, 1, 1) == middle(alone, 1, 1) != rendering.WHITE.tolist()


def test_bars_are_as_high_as_their_numbers() -> None:
    image = rendering.bars([0, 1, 3, 4], 4, rendering.BLUE, tile=10, height=44)
    assert image.shape == (44, 40, 3)
    coloured = (image == rendering.BLUE).all(2)
    np.testing.assert_array_equal(coloured.sum(0).reshape(4, 10).max(1), [0, 10, 30, 40])
    # They stand on the line at the bottom.
    assert coloured[41].reshape(4, 10).any(1).tolist() == [False, True, True, True]
    assert (image[42:] == rendering.BLACK).all()


@tiny
def test_the_state_handed_out_is_a_copy(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, **kwargs).unwrapped
    env.reset()
    expected = env.state.copy()
    env.state[:] = 1
    np.testing.assert_array_equal(env.state, expected)


@tiny
def test_ansi_is_the_text_of_the_state(env_id: str, kwargs: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="ansi", **kwargs)
    env.reset()
    texts = [env.render()]
    for _ in play(env, np.random.default_rng(0)):
        texts.append(env.render())
        assert texts[-1] == env.unwrapped.dag.render_text(env.unwrapped.state)
    assert all(isinstance(text, str) for text in texts)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
@tiny
def test_vectors_render_as_sync_does(env_id: str, kwargs: dict[str, Any], render_mode: str, mode: str) -> None:
    """The path of each environment, through ends, restarts, illegal actions and a start from a state."""
    native, sync = both_vectors(env_id, {**kwargs, "render_mode": render_mode}, 3, mode)
    rng = np.random.default_rng(0)
    for env in (native, sync):
        env.reset()
    for t in range(18):
        actions = mixed_actions(native.action_masks(), rng)
        terminated = native.step(actions)[2]
        sync.step(actions)
        assert isinstance(native.render(), tuple)
        assert_identical(native.render(), sync.render(), f"step {t}")
        if mode == "Disabled" and terminated.any():
            for env in (native, sync):
                env.reset(options={"reset_mask": terminated.copy()})
            assert_identical(native.render(), sync.render(), f"reset after step {t}")
    middle = native.dag.step(native.dag.source(1), np.array([0]))[0]
    for env in (native, sync):
        env.reset(options={"state": middle})
    assert_identical(native.render(), sync.render(), "from a state")


def test_vectors_render_nothing_unless_asked() -> None:
    env = gym.make_vec(GRID, num_envs=3)
    env.reset()
    assert env.render() is None


@pytest.mark.filterwarnings("ignore:.*render_mode")
@pytest.mark.filterwarnings("ignore:.*render modes")
def test_unknown_render_modes_are_refused() -> None:
    message = re.escape("render_mode must be one of ['ansi', 'rgb_array'] or None, got 'svg'")
    with pytest.raises(ValueError, match=message):
        gym.make(GRID, render_mode="svg")
    with pytest.raises(ValueError, match=message):
        gym.make_vec(GRID, num_envs=2, render_mode="svg")


def test_rewards_of_users_are_evaluated_once_for_pictures() -> None:
    seen: list[int] = []

    def reward(cells: np.ndarray) -> np.ndarray:
        seen.append(len(cells))
        if (cells[:, 0] == 1).any():
            raise TimeoutError
        return 1.0 * cells[:, 1]

    env: Any = gym.make(GRID, ndim=2, side=4, reward=reward, on_error=1e-3, render_mode="rgb_array")
    env.reset()
    first, calls = env.render(), len(seen)
    assert (
        len(np.unique(first.reshape(-1, 3), axis=0)) == 4
    )  # three values, of which failed cells have the least, and a mark
    env.step(0)
    assert (env.render() != first).any()
    assert len(seen) == calls


def test_pictures_spend_no_calls_of_expensive_rewards() -> None:
    oracle = Oracle(lambda cell: 1.0, budget=3)
    env: Any = gym.make(GRID, ndim=2, side=8, reward=oracle, render_mode="rgb_array")
    env.reset()
    assert env.render().ndim == 3
    assert oracle.used == 0
