"""TorchRL on our environments, single and vectorized: masks, transitions and training."""

from __future__ import annotations

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torchrl.envs import ActionMask, GymEnv, GymWrapper, TransformedEnv, check_env_specs

import gfn_envs
from tests.helpers import TINY, TINY_ARGUMENTS
from tests.interop.conftest import exact_means

SETTINGS: dict[str, Any] = {"observation": "features", "dict_observation": True}


def single(env_id: str, kwargs: dict[str, Any]) -> Any:
    return GymEnv(env_id, categorical_action_encoding=True, **SETTINGS, **kwargs)


def vector(env_id: str, kwargs: dict[str, Any]) -> Any:
    return GymWrapper(gym.make_vec(env_id, num_envs=4, **SETTINGS, **kwargs), categorical_action_encoding=True)


def by_info(env_id: str, kwargs: dict[str, Any]) -> Any:
    """An environment with the mask in info instead of the observation."""
    return GymEnv(env_id, categorical_action_encoding=True, observation="features", **kwargs).auto_register_info_dict()


@pytest.mark.parametrize("make", [single, vector, by_info])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_random_actions_are_legal_and_transitions_correct(make: Any, env_id: str, kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    env = TransformedEnv(make(env_id, kwargs), ActionMask())
    batch = env.rollout(60, break_when_any_done=False)
    dag = gfn_envs.make_dag(env_id, **kwargs)
    key = "observation" if make is by_info else "observations"
    seen, masks, after = batch[key], batch["action_mask"].bool(), batch["next", key]
    action, done, reward = batch["action"], batch["next", "done"].squeeze(-1), batch["next", "reward"].squeeze(-1)
    assert masks.gather(-1, action.unsqueeze(-1)).all()
    assert (reward >= 0).all()  # An illegal action would give -10.
    assert done.any()
    assert torch.equal(done, batch["next", "terminated"].squeeze(-1))
    lanes = [(seen, masks, after, action, done, reward)]
    if batch.ndim == 2:
        lanes = list(zip(*lanes[0], strict=True))
    for observations, lane_masks, nexts, actions, dones, rewards in lanes:
        states = dag.source(1)
        for t in range(len(actions)):
            np.testing.assert_array_equal(observations[t].numpy(), dag.encode(states)[0])
            np.testing.assert_array_equal(lane_masks[t].numpy(), dag.forward_mask(states)[0])
            states = dag.step(states, np.array([int(actions[t])]))
            assert bool(dones[t]) == bool(dag.is_terminal(states)[0])
            if dones[t]:
                assert float(rewards[t]) == pytest.approx(np.exp(dag.log_reward(states)[0]), rel=1e-6)
                states = dag.source(1)
            else:
                np.testing.assert_array_equal(nexts[t].numpy(), dag.encode(states)[0])
                assert float(rewards[t]) == 0


@pytest.mark.parametrize("make", [single, vector])
def test_specs(make: Any) -> None:
    """Without the mask transform: the check takes random actions after the end of an episode, where none is legal."""
    check_env_specs(make("GFN/HyperGrid-v0", {"ndim": 2, "side": 4}))


@pytest.mark.parametrize("env_id", ["GFN/HyperGrid-v0", "GFN/Bag-v0"])
def test_ppo_learns(env_id: str, run_in_root: Any) -> None:
    kwargs = json.dumps(TINY_ARGUMENTS[env_id][0])
    out = run_in_root("examples/torchrl_ppo.py", "--env", env_id, "--env-kwargs", kwargs, "--iterations", "20",
                      "--num-envs", "16", "--num-steps", "16")  # fmt: skip
    [(learned, target)] = exact_means(out)
    assert learned > target  # PPO maximizes: it exceeds the mean of an exact sampler.
