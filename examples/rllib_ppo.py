"""PPO of RLlib (Ray) with its own action-masking module.

Needs the extra "interop": `make test-interop` installs it in a virtual environment, .venv-interop. Ray takes about 15
seconds to start its processes.

python examples/rllib_ppo.py --env GFN/Bag-v0
"""

from __future__ import annotations

import argparse
import json

import gymnasium as gym
import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env
from tqdm import tqdm

import gfn_envs
from gfn_envs import exact


def main(env_id: str, kwargs: dict, batch_size: int, iterations: int, seed: int) -> None:
    # The module expects a dictionary with "action_mask" and "observations", the latter a Box.
    register_env("gfn", lambda config: gym.make(env_id, observation="features", dict_observation=True, **config))
    config = (
        PPOConfig()
        .environment("gfn", env_config=kwargs)
        .env_runners(num_env_runners=0)
        .learners(num_learners=0)
        .training(
            train_batch_size_per_learner=batch_size,
            minibatch_size=max(batch_size // 4, 1),
            num_epochs=4,
            gamma=1.0,
            lr=1e-3,
            entropy_coeff=0.01,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ActionMaskingTorchRLModule,
                model_config={"fcnet_hiddens": [64, 64], "head_fcnet_hiddens": []},
            )
        )
        .debugging(seed=seed, log_level="ERROR")
    )
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    algorithm = config.build_algo()
    progress = tqdm(range(iterations), unit="update")
    for _ in progress:
        result = algorithm.train()["env_runners"]
        progress.set_postfix(mean_reward=f"{result['episode_return_mean']:.3f}")
    dag, module = gfn_envs.make_dag(env_id, **kwargs), algorithm.get_module()

    def probabilities(states: np.ndarray) -> np.ndarray:
        observation = {
            "action_mask": torch.from_numpy(dag.forward_mask(states)).float(),
            "observations": torch.from_numpy(dag.encode(states)),
        }
        with torch.no_grad():
            return module.forward_inference({Columns.OBS: observation})[Columns.ACTION_DIST_INPUTS].softmax(1).numpy()

    learned, reward = exact.terminal_distribution(dag, probabilities), np.exp(exact.log_rewards(dag))
    target = exact.target_distribution(dag)
    mean, target_mean = learned @ reward, target @ reward
    print(f"exact mean reward {mean:.4f}; under R(x) / Z {target_mean:.4f}, maximum {reward.max():.4f}")
    print(f"exact total variation from R(x) / Z: {exact.total_variation(learned, target):.4f}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="GFN/HyperGrid-v0", choices=gfn_envs.registered_ids())
    parser.add_argument("--env-kwargs", type=json.loads, default={}, metavar="JSON", help="such as '{\"side\": 4}'")
    parser.add_argument("--batch-size", type=int, default=1024, help="transitions per iteration")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.env, options.env_kwargs, options.batch_size, options.iterations, options.seed)
