"""MaskablePPO of sb3-contrib on the vector environment, with exact metrics.

PPO maximizes E[R(x)]. The mean reward rises to the maximum, and the total variation from R(x) / Z shows that PPO stops
sampling all other objects. Needs the extra "sb3".

python examples/sb3_maskable_ppo.py --env GFN/HyperGrid-v0 --steps 50000
"""

from __future__ import annotations

import argparse

import numpy as np
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecMonitor

import gfn_envs
from agents.interop.sb3 import SB3VecEnv
from agents.interop.sb3_policy import sb3_exact_metrics
from gfn_envs import EnumerationError


def main(env_id: str, num_envs: int, steps: int, seed: int) -> None:
    envs = SB3VecEnv(env_id, num_envs, observation="features")
    model = MaskablePPO(
        "MlpPolicy",
        VecMonitor(envs, info_keywords=("illegal_action",)),
        gamma=1.0,  # the reward comes at the end: a value below 1 would favor short episodes
        learning_rate=1e-3,
        n_steps=32,
        batch_size=512,
        n_epochs=4,
        seed=seed,
        device="cpu",
    )
    model.learn(steps, progress_bar=True)
    returns = [episode["r"] for episode in model.ep_info_buffer or []]
    print(f"{model.num_timesteps:,} steps, {envs.num_illegal_actions} illegal actions")
    if returns:
        print(f"mean reward of the last {len(returns)} episodes: {np.mean(returns):.4f}")
    try:
        metrics = sb3_exact_metrics(model)
    except EnumerationError as error:
        print(f"no exact metrics: {error}")
        return
    print(f"exact mean reward {metrics['mean_reward']:.4f} (under R(x) / Z: {metrics['target_mean_reward']:.4f})")
    print(f"exact total variation from R(x) / Z: {metrics['tv']:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="GFN/HyperGrid-v0", choices=gfn_envs.registered_ids())
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.env, options.num_envs, options.steps, options.seed)
