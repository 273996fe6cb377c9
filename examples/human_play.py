"""Build an object interactively: choose actions by number or name until the object is finished.

python examples/human_play.py --env GFN/Bag-v0
python examples/human_play.py --moves 0,0,1,2          without a keyboard
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import gymnasium as gym
import numpy as np

import gfn_envs

#: Maximum number of legal actions that are listed.
LISTED = 20


def typed() -> Iterator[str]:
    """Lines from the keyboard until the end of input."""
    while True:
        try:
            yield input("action (a number or a name, r for a random one, q to quit): ").strip()
        except EOFError:
            return


def parse(move: str, legal: list[int], labels: dict[int, str], rng: np.random.Generator) -> int | None:
    """The action that a move names; None if it is not legal."""
    if move == "r":
        return int(rng.choice(legal))
    for action in legal:
        if move in (str(action), labels[action]):
            return action
    return None


def main(env_id: str, moves: list[str] | None, seed: int) -> int:
    env = gym.make(env_id, render_mode="ansi")
    dag, rng = env.unwrapped.dag, np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    terminated, reward = False, 0.0
    source = typed() if moves is None else iter(moves)
    while not terminated:
        legal = np.flatnonzero(info["action_mask"]).tolist()
        labels = {action: dag.action_label(action) for action in legal}
        print(f"\n{env.render()}")
        shown = ", ".join(f"{action}: {labels[action]}" for action in legal[:LISTED])
        print(f"legal: {shown}{', ...' if len(legal) > LISTED else ''}")
        move = next(source, "q")
        if move == "q":
            print("stopped before the object was finished")
            return 1
        action = parse(move, legal, labels, rng)
        if action is None:
            print(f"{move!r} is not a legal action here")
            if moves is not None:
                return 2
            continue
        print(f"-> {labels[action]}")
        _, reward, terminated, _, info = env.step(action)
    print(f"\n{env.render()}\nfinished: R(x) = {reward:.6g}, log R(x) = {np.log(reward):.4f}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="GFN/HyperGrid-v0", choices=gfn_envs.registered_ids())
    parser.add_argument("--moves", help="actions separated by commas, instead of the keyboard")
    parser.add_argument("--seed", type=int, default=0, help="seed of random actions (r)")
    options = parser.parse_args()
    raise SystemExit(main(options.env, options.moves.split(",") if options.moves else None, options.seed))
