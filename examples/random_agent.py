"""A random agent on a vector environment, and its exact distance from R(x) / Z.

python examples/random_agent.py --env GFN/Bag-v0 --steps 2000
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np
from tqdm import tqdm

import gfn_envs
from gfn_envs import exact


def main(env_id: str, num_envs: int, steps: int, seed: int) -> None:
    envs = gym.make_vec(env_id, num_envs=num_envs)
    dag = envs.unwrapped.dag
    rng = np.random.default_rng(seed)
    _, info = envs.reset(seed=seed)
    episodes, total, best = 0, 0.0, -np.inf
    for _ in tqdm(range(steps), desc=env_id, unit="step"):
        mask = info["action_mask"]
        actions = (mask * rng.random(mask.shape)).argmax(1)
        _, rewards, terminated, _, info = envs.step(actions)
        if terminated.any():
            episodes += int(terminated.sum())
            total += float(rewards[terminated].sum())
            best = max(best, float(rewards[terminated].max()))
    print(
        f"{episodes:,} objects in {steps * num_envs:,} transitions: mean reward {total / max(episodes, 1):.4f}, ",
        end="",
    )
    print(f"highest {best:.4f}")
    try:
        learned = exact.terminal_distribution(dag, exact.uniform_policy(dag))
    except gfn_envs.EnumerationError as error:
        print(f"no exact figures: {error}")
        return
    target, reward = exact.target_distribution(dag), np.exp(exact.log_rewards(dag))
    print(f"exactly: mean reward {learned @ reward:.4f}; under R(x) / Z {target @ reward:.4f}")
    print(f"exactly: total variation from R(x) / Z {exact.total_variation(learned, target):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="GFN/HyperGrid-v0", choices=gfn_envs.registered_ids())
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000, help="steps of the vector environment")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.env, options.num_envs, options.steps, options.seed)
