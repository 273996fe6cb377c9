"""Speed of our environments in Stable-Baselines3: the native adapter compared with DummyVecEnv, on one thread.

Both hold the same environments and get uniform random legal actions, whose choice is not timed. There are two measures:

* step: ``env.step`` alone;
* with masks: ``env.step`` and ``get_action_masks(env)`` of sb3-contrib, the two calls of MaskablePPO.

Blocks of the two alternate. The table shows the best block of each and the ratio of the two. ``--legal STEPS`` then
trains MaskablePPO for that many steps on every environment and counts illegal actions.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from tqdm import tqdm

import gfn_envs
from agents.interop.sb3 import SB3VecEnv
from benchmarks.environments import ARGUMENTS, generator, uniform_actions

#: Target ratio of adapter to DummyVecEnv, for ``env.step`` alone with 256 environments.
AIM = 50


def block(env: VecEnv, rng: np.random.Generator, seconds: float) -> dict[str, float]:
    """Transitions per second of one block, with and without fetching masks."""
    masks, steps, stepping, masking = get_action_masks(env), 0, 0.0, 0.0
    while stepping < seconds:
        actions = uniform_actions(rng, masks)
        begin = time.perf_counter()
        env.step(actions)
        middle = time.perf_counter()
        masks = get_action_masks(env)
        masking += time.perf_counter() - middle
        stepping += middle - begin
        steps += env.num_envs
    return {"step": steps / stepping, "with masks": steps / (stepping + masking)}


def measure(env_id: str, num_envs: int, blocks: int, seconds: float, seed: int) -> list[dict[str, Any]]:
    """Two records of one environment, ``step`` and ``with masks``: the best speeds of both."""
    arguments, rng = ARGUMENTS.get(env_id, {}), generator(seed)
    kinds: dict[str, VecEnv] = {
        "adapter": SB3VecEnv(env_id, num_envs, **arguments),
        "DummyVecEnv": DummyVecEnv([lambda: gymnasium.make(env_id, **arguments)] * num_envs),
    }
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for env in kinds.values():
        env.reset()
        block(env, rng, 0.05)  # Fills caches and lazy tables.
    for _ in tqdm(range(blocks), desc=env_id, unit="block", leave=False):
        for kind, env in kinds.items():
            found[kind].append(block(env, rng, seconds))
    return [
        {"environment": env_id, "what": what, **{kind: max(b[what] for b in found[kind]) for kind in kinds}}
        for what in ("step", "with masks")
    ]


def illegal_actions(env_id: str, num_envs: int, steps: int, seed: int) -> tuple[int, int]:
    """Train MaskablePPO for at least ``steps`` steps. Returns (steps taken, illegal actions among them)."""
    env = SB3VecEnv(env_id, num_envs, **ARGUMENTS.get(env_id, {}))
    model = MaskablePPO("MlpPolicy", env, gamma=1.0, n_steps=16, batch_size=1024, n_epochs=2, seed=seed, device="cpu")
    model.learn(steps)
    return model.num_timesteps, env.num_illegal_actions


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sb3_adapter", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="NAMES", help="environments whose id contains one of these")
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each (default 7; the best counts)")
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds per block (default 0.4)")
    parser.add_argument(
        "--legal", type=int, default=100_000, metavar="STEPS", help="training steps (default 100000). 0: no training"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [name.strip().lower() for name in options.only.split(",")]
    env_ids = [env_id for env_id in gfn_envs.registered_ids() if any(name in env_id.lower() for name in wanted)]
    if not env_ids:
        parser.error(f"--only {options.only!r} matches none of {', '.join(gfn_envs.registered_ids())}")
    print(f"| environment, {options.num_envs} copies | timed | adapter, transitions/s | DummyVecEnv | ratio | target |")
    print("|---|---|---:|---:|---:|---:|")
    for env_id in env_ids:
        for record in measure(env_id, options.num_envs, options.blocks, options.seconds, options.seed):
            ours, dummy = record["adapter"], record["DummyVecEnv"]
            aim = AIM if record["what"] == "step" else ""
            print(f"| {env_id} | {record['what']} | {ours:,.0f} | {dummy:,.0f} | {ours / dummy:.1f} | {aim} |")
    for env_id in env_ids if options.legal else []:
        steps, illegal = illegal_actions(env_id, options.num_envs, options.legal, options.seed)
        print(f"MaskablePPO on {env_id}: {illegal} illegal actions in {steps:,} steps")


if __name__ == "__main__":
    main()
