"""Stable-Baselines3 and sb3-contrib on our environments: the adapter, illegal actions, policies under exact metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

import agents
import gfn_envs
from agents.errors import NoLegalActionError
from agents.interop.sb3 import SB3VecEnv
from agents.interop.sb3_policy import sb3_exact_metrics, sb3_probabilities
from gfn_envs import exact
from tests.helpers import BAG, BITS, GRID, TINY, all_states

tiny = pytest.mark.parametrize(("env_id", "kwargs"), TINY)
SMALL_PPO: dict[str, Any] = {"gamma": 1.0, "n_steps": 16, "batch_size": 64, "n_epochs": 2, "seed": 0, "device": "cpu"}
SMALL_DQN: dict[str, Any] = {"gamma": 1.0, "learning_starts": 64, "train_freq": 4, "seed": 0, "device": "cpu"}
GRID_KWARGS: dict[str, Any] = {"ndim": 2, "side": 4}
BAG_KWARGS: dict[str, Any] = {"num_letters": 3, "capacity": 4, "repeats": 2}
BITS_KWARGS: dict[str, Any] = {"n": 8, "word_size": 2, "construction": "non_autoregressive", "num_modes": 2}
TWO = pytest.mark.parametrize(("env_id", "kwargs"), [(GRID, GRID_KWARGS), (BAG, BAG_KWARGS)])


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def random_actions(masks: np.ndarray, rng: np.random.Generator, illegal: float) -> np.ndarray:
    """Legal actions, and with probability ``illegal`` any from -1 to num_actions."""
    legal = (masks * rng.random(masks.shape)).argmax(1)
    anything = rng.integers(-1, masks.shape[1] + 1, size=len(masks))
    return np.where(rng.random(len(masks)) < illegal, anything, legal)


def assert_same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    else:
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype
        np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------------- the adapter


@tiny
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reward_mode": "soft", "observation": "features"},
        {"reward_mode": "log_reward", "dict_observation": True},
    ],
    ids=["state", "features", "dict"],
)
def test_the_adapter_equals_dummy_vec_env(env_id: str, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
    n, rng = 5, np.random.default_rng(0)
    ours = SB3VecEnv(env_id, n, **kwargs, **options)
    theirs = DummyVecEnv([lambda: gym.make(env_id, **kwargs, **options)] * n)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert_same(ours.reset(), theirs.reset())
    ended = illegal = 0
    for _ in range(120):
        masks = get_action_masks(ours)
        np.testing.assert_array_equal(masks, get_action_masks(theirs))
        actions = random_actions(masks, rng, illegal=0.05)
        seen, rewards, dones, infos = ours.step(actions)
        their_seen, their_rewards, their_dones, their_infos = theirs.step(actions)
        assert_same(seen, their_seen)
        assert_same(rewards, their_rewards)
        assert_same(dones, their_dones)
        for done, info, their_info in zip(dones, infos, their_infos, strict=True):
            if not done:
                assert info == {}
                continue
            ended += 1
            illegal += int(info["illegal_action"])
            assert set(info) == {"terminal_observation", "TimeLimit.truncated", "illegal_action"}
            assert info["TimeLimit.truncated"] is False
            assert info["illegal_action"] == bool(their_info["illegal_action"])
            assert_same(info["terminal_observation"], their_info["terminal_observation"])
    assert ended > illegal > 0
    assert ours.num_illegal_actions == illegal


def test_nothing_handed_out_is_shared() -> None:
    n = 4
    touched, left = SB3VecEnv(GRID, n, **GRID_KWARGS), SB3VecEnv(GRID, n, **GRID_KWARGS)
    rng = np.random.default_rng(1)
    touched.reset()
    left.reset()
    for _ in range(40):
        actions = random_actions(get_action_masks(left), rng, illegal=0.1)
        seen, rewards, dones, infos = touched.step(actions)
        expected = left.step(actions)
        assert_same(seen, expected[0])
        assert_same(rewards, expected[1])
        assert len({id(info) for info in infos}) == n
        for info in infos:  # as wrappers and callbacks do, and worse
            if "terminal_observation" in info:
                info["terminal_observation"][:] = 77
            info["mine"] = 1
        seen[:], rewards[:], dones[:] = 99, 99, False
        for mask in touched.env_method("action_masks"):
            mask[:] = False
        touched.get_attr("state")[0][:] = 3


def test_attributes_and_methods() -> None:
    envs = SB3VecEnv(GRID, 3, **GRID_KWARGS)
    envs.reset()
    envs.step(np.array([0, 1, 0]))
    masks = np.stack(envs.env_method("action_masks"))
    np.testing.assert_array_equal(masks, envs.envs.action_masks())
    assert [mask.tolist() for mask in envs.env_method("action_masks", indices=[2, 0])] == masks[[2, 0]].tolist()
    assert [mask.tolist() for mask in envs.env_method("action_masks", indices=1)] == masks[[1]].tolist()
    np.testing.assert_array_equal(envs.get_attr("action_masks", 1)[0](), masks[1])
    assert is_masking_supported(envs)
    assert is_masking_supported(VecMonitor(envs))
    assert [state.tolist() for state in envs.get_attr("state", [0, 1])] == [[1, 0, 0], [0, 1, 0]]
    assert envs.get_attr("action_space") == [envs.action_space] * 3
    assert not envs.has_attr("nonsense")
    with pytest.raises(AttributeError, match="step"):
        envs.env_method("step", 0)
    envs.set_attr("note", "x")
    assert envs.get_attr("note") == ["x"] * 3
    with pytest.raises(ValueError, match="share"):
        envs.set_attr("note", "y", indices=[0])
    assert envs.env_is_wrapped(Monitor) == [False] * 3
    assert envs.env_is_wrapped(Monitor, [0, 2]) == [False] * 2
    assert envs.seed(5) == [5, 6, 7]
    envs.close()


def test_options_may_differ_and_hold_once() -> None:
    envs = SB3VecEnv(GRID, 3, **GRID_KWARGS)
    envs.set_options([{}, {"state": [2, 1, 0]}, {"state": [0, 3, 0]}])
    assert envs.reset().tolist() == [[0, 0], [2, 1], [0, 3]]
    assert envs.env_method("action_masks", indices=2)[0].tolist() == [True, False, True]
    assert envs.reset().tolist() == [[0, 0]] * 3
    envs.set_options({"state": [1, 1, 0]})
    assert envs.reset().tolist() == [[1, 1]] * 3


def test_rendering() -> None:
    envs = SB3VecEnv(GRID, 4, render_mode="rgb_array", **GRID_KWARGS)
    envs.reset()
    height, width, _ = envs.get_images()[0].shape
    assert envs.render().shape == (2 * height, 2 * width, 3)
    texts = SB3VecEnv(GRID, 2, render_mode="ansi", **GRID_KWARGS)
    assert len(texts.env_method("render")) == 2
    with pytest.raises(ValueError, match="rgb_array"):
        texts.get_images()


def test_what_the_adapter_refuses() -> None:
    with pytest.raises(ValueError, match="SameStep"):
        SB3VecEnv(gym.make_vec(GRID, num_envs=2, autoreset_mode="NextStep"))
    with pytest.raises(TypeError, match="ready-made"):
        SB3VecEnv(gym.make_vec(GRID, num_envs=2), side=4)
    with pytest.raises(TypeError, match="ready-made"):
        SB3VecEnv(gym.make_vec(GRID, num_envs=2), 2)
    with pytest.raises(TypeError, match="gfn_envs"):
        SB3VecEnv(gym.make_vec("CartPole-v1", num_envs=2))
    with pytest.raises(ValueError, match="shape"):
        SB3VecEnv(GRID, 3).step(np.zeros(2, dtype=np.int64))
    assert SB3VecEnv(gym.make_vec(GRID, num_envs=2)).num_envs == 2


@TWO
def test_wrappers_saving_and_loading(env_id: str, kwargs: dict[str, Any], tmp_path: Path) -> None:
    def wrapped() -> VecMonitor:
        return VecMonitor(SB3VecEnv(env_id, 8, observation="features", **kwargs), info_keywords=("illegal_action",))

    env = VecNormalize(wrapped(), norm_reward=False, gamma=1.0)
    model = MaskablePPO("MlpPolicy", env, **SMALL_PPO)
    model.learn(256)
    assert model.ep_info_buffer
    assert all(episode["illegal_action"] is False for episode in model.ep_info_buffer)
    rewards = np.exp(exact.log_rewards(env.unwrapped.dag))
    mean, _ = evaluate_policy(model, env, n_eval_episodes=10)
    assert rewards.min() - 1e-6 <= mean <= rewards.max() + 1e-6  # rewards are float32 there
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "normalize.pkl"))
    loaded_env = VecNormalize.load(str(tmp_path / "normalize.pkl"), wrapped())
    loaded = MaskablePPO.load(tmp_path / "model.zip", env=loaded_env, device="cpu")
    states = env.unwrapped.dag.source(1)
    before = sb3_probabilities(model)
    np.testing.assert_array_equal(sb3_probabilities(loaded)(states), before(states))
    loaded.learn(128, reset_num_timesteps=False)


# ---------------------------------------------------------------------- illegal actions


@TWO
def test_maskable_ppo_takes_no_illegal_action(env_id: str, kwargs: dict[str, Any]) -> None:
    env = SB3VecEnv(env_id, 64, **kwargs)
    MaskablePPO("MlpPolicy", env, **{**SMALL_PPO, "batch_size": 512}).learn(4096)
    assert env.num_illegal_actions == 0


@pytest.mark.parametrize(("env_id", "kwargs"), [(GRID, GRID_KWARGS), (BITS, BITS_KWARGS)])
@pytest.mark.parametrize(("algorithm", "settings"), [(DQN, SMALL_DQN), (A2C, {"gamma": 1.0, "seed": 0})])
def test_unmasked_libraries_pay_for_illegal_actions(
    algorithm: Any, settings: dict[str, Any], env_id: str, kwargs: dict[str, Any]
) -> None:
    env = SB3VecEnv(env_id, 8, illegal_reward=-3.0, **kwargs)
    monitor = VecMonitor(env, info_keywords=("illegal_action",))
    model = algorithm("MlpPolicy", monitor, stats_window_size=100_000, **settings)
    model.learn(800)
    episodes = list(model.ep_info_buffer)
    illegal = [episode for episode in episodes if episode["illegal_action"]]
    assert 0 < len(illegal) == env.num_illegal_actions < len(episodes)
    assert all(episode["r"] == pytest.approx(-3.0) for episode in illegal)
    assert all(episode["r"] > 0 for episode in episodes if not episode["illegal_action"])


@tiny
def test_an_illegal_action_leaves_its_neighbors_alone(env_id: str, kwargs: dict[str, Any]) -> None:
    """Positions 1 and 4 misbehave in one vector and not in the other; the rest must agree to the bit."""
    rng, rest = np.random.default_rng(3), [0, 2, 3, 5]
    tame, wild = SB3VecEnv(env_id, 6, **kwargs), SB3VecEnv(env_id, 6, **kwargs)
    tame.reset()
    wild.reset()
    for step in range(80):
        actions = random_actions(get_action_masks(tame), rng, illegal=0.0)
        bad = actions.copy()
        bad[[1, 4]] = rng.choice([-1, tame.action_space.n, np.iinfo(np.int64).max], size=2)
        if step % 3:
            bad[1] = int(get_action_masks(wild)[1].argmax())  # legal, so that illegal ones meet deeper states
        expected, found = tame.step(actions), wild.step(bad)
        for ours, theirs in zip(found[:3], expected[:3], strict=True):
            np.testing.assert_array_equal(ours[rest], theirs[rest])
        for i in rest:
            assert found[3][i].keys() == expected[3][i].keys()
            np.testing.assert_equal(found[3][i], expected[3][i])
        np.testing.assert_array_equal(get_action_masks(wild)[rest], get_action_masks(tame)[rest])
        assert found[2][4]
        assert found[3][4]["illegal_action"]
        assert found[1][4] == -10.0
    assert wild.num_illegal_actions >= 80
    assert tame.num_illegal_actions == 0


# ---------------------------------------------------------------------- their policies, our metrics


def trained(algorithm: Any, env_id: str, kwargs: dict[str, Any], **options: Any) -> Any:
    settings = {PPO: SMALL_PPO, MaskablePPO: SMALL_PPO, DQN: SMALL_DQN, A2C: {"gamma": 1.0, "seed": 0}}[algorithm]
    return algorithm("MlpPolicy", SB3VecEnv(env_id, 8, **kwargs, **options), **settings).learn(256)


def inner_states(dag: Any) -> np.ndarray:
    states = all_states(dag)
    return states[~dag.is_terminal(states)]


@TWO
def test_masked_probabilities_are_those_of_the_library(env_id: str, kwargs: dict[str, Any]) -> None:
    model = trained(MaskablePPO, env_id, kwargs)
    dag = model.get_env().unwrapped.dag
    states = inner_states(dag)
    mask = dag.forward_mask(states)
    found = sb3_probabilities(model)(states)
    with torch.no_grad():
        observation = model.policy.obs_to_tensor(dag.observe(states))[0]
        expected = model.policy.get_distribution(observation, action_masks=mask).distribution.probs.numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (found[~mask] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    np.testing.assert_array_equal(sb3_probabilities(model, masked=False)(states), found)


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN, MaskablePPO])
@pytest.mark.parametrize("options", [{}, {"dict_observation": True}], ids=["plain", "dict"])
def test_exact_metrics_of_every_kind_of_policy(algorithm: Any, options: dict[str, Any]) -> None:
    policy = "MultiInputPolicy" if options else "MlpPolicy"
    env = SB3VecEnv(GRID, 4, **GRID_KWARGS, **options)
    model = algorithm(policy, env, gamma=1.0, seed=0, device="cpu")
    dag = env.dag
    learned = exact.terminal_distribution(dag, sb3_probabilities(model))
    assert learned.sum() == pytest.approx(1, abs=1e-12)
    metrics = sb3_exact_metrics(model)
    target = exact.target_distribution(dag)
    assert metrics["tv"] == pytest.approx(0.5 * np.abs(learned - target).sum())
    assert metrics["mean_reward"] == pytest.approx(learned @ np.exp(exact.log_rewards(dag)))
    assert "log_z_error" not in metrics
    if algorithm is DQN:
        assert learned.max() == 1  # greedy: one path, one object


def test_a_policy_of_equal_logits_is_the_uniform_one() -> None:
    model = MaskablePPO("MlpPolicy", SB3VecEnv(BITS, 2, n=8, word_size=2, num_modes=3), seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.action_net.parameters():
            parameter.zero_()
    dag = model.get_env().unwrapped.dag
    found = exact.terminal_distribution(dag, sb3_probabilities(model))
    np.testing.assert_allclose(found, exact.terminal_distribution(dag, exact.uniform_policy(dag)), atol=1e-12)


def test_missing_mass_is_the_probability_of_an_illegal_end() -> None:
    """Unmasked PPO: 1 - sum of P_T against the share of episodes that an illegal action ends, within 4 errors."""
    model = trained(PPO, GRID, GRID_KWARGS)
    env = model.get_env().unwrapped
    missing = 1 - exact.terminal_distribution(env.dag, sb3_probabilities(model, masked=False)).sum()
    other = SB3VecEnv(GRID, 256, **GRID_KWARGS)
    observation, ended, rng = other.reset(), 0, np.random.default_rng(0)
    over, wrong = np.zeros(256, dtype=bool), 0
    for _ in range(40):  # whole first episodes only, so that short ones are not counted too often
        with torch.no_grad():
            probs = model.policy.get_distribution(model.policy.obs_to_tensor(observation)[0]).distribution.probs
        actions = (probs.numpy().cumsum(1) < rng.random((256, 1))).sum(1)
        observation, _, dones, infos = other.step(actions)
        for i in np.flatnonzero(dones & ~over):
            ended, wrong = ended + 1, wrong + int(infos[i]["illegal_action"])
        over |= dones
    assert ended == 256
    assert 0.05 < missing < 0.95
    assert abs(wrong / ended - missing) < 4 * np.sqrt(missing * (1 - missing) / ended)


def test_greedy_dqn_and_normalized_observations() -> None:
    model = trained(DQN, GRID, GRID_KWARGS)
    dag = model.get_env().unwrapped.dag
    states = inner_states(dag)
    unmasked = sb3_probabilities(model, masked=False)(states)
    np.testing.assert_array_equal(unmasked.argmax(1), model.predict(dag.observe(states), deterministic=True)[0])
    assert (sb3_probabilities(model)(states)[~dag.forward_mask(states)] == 0).all()

    env = VecNormalize(SB3VecEnv(GRID, 8, observation="features", **GRID_KWARGS), norm_reward=False)
    normalized = PPO("MlpPolicy", env, **SMALL_PPO).learn(256)
    seen = env.normalize_obs(dag.encode(states))
    with torch.no_grad():
        expected = normalized.policy.get_distribution(torch.from_numpy(seen)).distribution.probs.numpy()
    np.testing.assert_allclose(sb3_probabilities(normalized, masked=False)(states), expected, atol=1e-6)


def test_policies_on_single_environments_and_what_is_refused(tmp_path: Path) -> None:
    model = MaskablePPO("MlpPolicy", gym.make(GRID, **GRID_KWARGS), seed=0, device="cpu")
    vectorized = SB3VecEnv(GRID, 2, **GRID_KWARGS)
    states = inner_states(vectorized.dag)
    np.testing.assert_array_equal(sb3_probabilities(model)(states), sb3_probabilities(model, vectorized)(states))
    with pytest.raises(NoLegalActionError):
        sb3_probabilities(model)(vectorized.dag.terminal_states()[:1])
    model.save(tmp_path / "model.zip")
    loaded = MaskablePPO.load(tmp_path / "model.zip", device="cpu")
    with pytest.raises(ValueError, match="env="):
        sb3_exact_metrics(loaded)
    assert sb3_exact_metrics(loaded, vectorized) == sb3_exact_metrics(model)
    with pytest.raises(ValueError, match="observes"):
        sb3_probabilities(model, SB3VecEnv(BAG, 2, **BAG_KWARGS))
    with pytest.raises(ValueError, match="gfn_envs"):
        sb3_probabilities(model, DummyVecEnv([lambda: gym.make("CartPole-v1")]))


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 3, "num_steps": 5, "minibatch_size": 7},
        {"batch_size": 2, "num_steps": 4, "minibatch_size": 1},
        {"batch_size": 1, "num_steps": 1, "minibatch_size": 64},
    ],
)
def test_a_minibatch_of_one_step_raises_before_it_spoils_the_network(settings: dict[str, int]) -> None:
    dag = gfn_envs.make_dag(GRID, **GRID_KWARGS)
    with pytest.raises(ValueError, match="sb3-ppo: the last minibatch would have one step, got num_steps"):
        agents.make_agent("sb3-ppo", dag, **settings)
    allowed = agents.make_agent("sb3-ppo", dag, **{**settings, "num_steps": 6, "minibatch_size": 4, "batch_size": 2})
    allowed.update()
    assert all(torch.isfinite(p).all() for p in allowed.policy.parameters())
