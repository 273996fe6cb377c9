"""Masks and the end of episodes, as the libraries see them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import mo_gymnasium
import numpy as np
import pytest
import torch
from skrl.envs.wrappers.torch import wrap_env
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from torch import nn
from torchrl.modules import MaskedCategorical

import gfn_envs
from tests.helpers import GRID, TINY

KEYS = {"dict_observation": True, "observation_key": "obs", "mask_key": "mask", "mask_dtype": "bool"}


class RandomActor(nn.Module):
    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:
        mask = torch.as_tensor(obs.mask)
        return torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min), state


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_tianshou_collects_legal_episodes(env_id: str, kwargs: dict[str, Any]) -> None:
    envs = DummyVectorEnv([lambda: gym.make(env_id, observation="features", **KEYS, **kwargs)] * 3)
    dag = gfn_envs.make_dag(env_id, **kwargs)
    policy = DiscreteSACPolicy(
        actor=RandomActor(), action_space=gym.spaces.Discrete(dag.num_actions), deterministic_eval=False
    )
    collector = Collector(policy, envs, VectorReplayBuffer(300, 3))
    collector.reset()
    collector.collect(n_episode=6)
    batch, _ = collector.buffer.sample(0)
    assert batch.terminated.sum() == 6
    assert (batch.rew >= 0).all()  # An illegal action would give -10.
    assert batch.obs.mask[np.arange(len(batch.act)), batch.act].all()
    np.testing.assert_array_equal(batch.obs_next.mask.any(1), ~batch.terminated)


def test_masked_categorical_needs_bool_masks_and_a_finite_fill() -> None:
    legal = torch.tensor([True, False, True])
    with pytest.raises(RuntimeError, match="bool"):
        MaskedCategorical(torch.zeros(3), mask=legal.to(torch.int8)).probs  # noqa: B018
    assert MaskedCategorical(torch.zeros(3), mask=torch.zeros(3, dtype=torch.bool)).probs.isnan().all()
    finite = MaskedCategorical(torch.zeros(3), mask=torch.zeros(3, dtype=torch.bool), neg_inf=-1e30)
    torch.testing.assert_close(finite.probs, torch.full((3,), 1 / 3))


def test_skrl_stores_no_restart_with_our_default_and_one_with_next_step() -> None:
    """The transition after an end: the action counts with SameStep, and is ignored with NextStep."""
    stop = torch.full((1, 1), 2)
    for mode, rewards in (("SameStep", [True, True]), ("NextStep", [True, False])):
        env = wrap_env(gym.make_vec(GRID, num_envs=1, ndim=2, side=4, observation="features", autoreset_mode=mode))
        env.reset()
        assert [bool(env.step(stop)[1] > 0) for _ in range(2)] == rewards


def test_mo_gymnasium_restarts_in_the_next_step() -> None:
    kwargs = {"ndim": 2, "side": 4, "reward": ["branin", "currin"], "reward_mode": "vector"}
    envs = mo_gymnasium.wrappers.vector.MOSyncVectorEnv([lambda: mo_gymnasium.make(GRID, **kwargs)] * 2)
    ours = gym.make_vec(GRID, num_envs=2, **kwargs)
    for vector, again in ((envs, False), (ours, True)):
        vector.reset(seed=0)
        assert vector.step(np.array([2, 2]))[1].any()
        assert bool(vector.step(np.array([2, 2]))[1].any()) == again


@pytest.mark.parametrize(("mode", "steps"), [("NextStep", 2), ("SameStep", 3)])
def test_statistics_of_gymnasium_1_2_leave_out_the_step_after_an_end(mode: str, steps: int) -> None:
    """It is the restart with NextStep, but the first step of an episode with SameStep. Gymnasium 1.4 knows."""
    envs = gym.make_vec(GRID, num_envs=1, ndim=2, side=4, autoreset_mode=mode)
    recorded = gym.wrappers.vector.RecordEpisodeStatistics(envs)
    recorded.reset(seed=0)
    *_, (_, _, _, _, info) = [recorded.step(np.array([action])) for action in (2, 0, 0, 2)]
    wrong = mode == "SameStep" and gym.__version__ == "1.2.2"
    assert info["episode"]["l"].tolist() == [steps - wrong]
