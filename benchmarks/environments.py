"""How fast the environments are, alone: real transitions a second under the uniform random policy, on one thread.

Four ways to drive an environment are timed in turn, block after block, so that a slow phase of the machine meets all of
them alike:

* dropped: a batch of trajectories through the Dag, finished rows dropped, until none is left (how trainers sample);
* refilled: a batch through the Dag, finished rows started anew at once (how long rollouts would run);
* make_vec: ``gymnasium.make_vec``, autoreset in the same step;
* make: ``gymnasium.make``, one environment, reset when it ends.

Every count is of transitions that happened; choosing the actions is inside the time. Rewards are computed where the
interface gives them: at the end of a dropped batch, on refilled rows, and in every step of the Gymnasium faces.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from tqdm import tqdm

import gfn_envs
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.data.registry import DatasetError

#: Arguments that make an environment the one the literature times; the registered defaults otherwise.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "GFN/HyperGrid-v0": {"ndim": 4, "side": 20, "reward": "easy"},
    "GFN/PHO4-v0": {"table": range(4**10)},  # The real one is the user's to get; values make no difference to speed.
}

#: What we want to reach, transitions a second.
AIMS = {"dropped 1024": 6e6, "make_vec 1024": 3e6, "make": 5e4}

Run = Callable[[float], float]


def generator(seed: int) -> np.random.Generator:
    """The fastest of NumPy's generators."""
    return np.random.Generator(np.random.SFC64(seed))


def uniform_actions(rng: np.random.Generator, mask: Any) -> IntArray:
    """A uniform legal action for each row of ``mask`` (n, num_actions), int64 (n,)."""
    noise = rng.random(mask.shape, dtype=np.float32)
    return np.multiply(mask, noise, out=noise).argmax(1)


def sample_dropped(dag: Dag, rng: np.random.Generator, batch: int) -> tuple[int, IntArray]:
    """One batch of random trajectories: the number of transitions, and the objects made (batch, state_width)."""
    states, steps = dag.source(batch), []
    while len(states):
        states = dag.step(states, uniform_actions(rng, dag.forward_mask(states)))
        steps.append(states)
        states = states.take((~dag.is_terminal(states)).nonzero()[0], axis=0)
    reached = np.concatenate(steps)
    return len(reached), reached.take(dag.is_terminal(reached).nonzero()[0], axis=0)


def dropped(dag: Dag, rng: np.random.Generator, batch: int, seconds: float) -> float:
    """Transitions a second with finished rows dropped, log rewards at the end of each batch."""
    transitions, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        count, objects = sample_dropped(dag, rng, batch)
        dag.log_reward(objects)
        transitions += count
    return transitions / elapsed


def refilled(dag: Dag, rng: np.random.Generator, batch: int, seconds: float) -> float:
    """Transitions a second with finished rows started anew."""
    source = dag.source(batch)
    states, steps, start = source.copy(), 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(20):
            states = dag.step(states, uniform_actions(rng, dag.forward_mask(states)))
            ended = dag.is_terminal(states).nonzero()[0]
            if len(ended):
                dag.log_reward(states.take(ended, axis=0))
                states[ended] = source[: len(ended)]
        steps += 20
    return steps * batch / elapsed


def vectorised(envs: Any, rng: np.random.Generator, seconds: float) -> float:
    """Transitions a second of a Gymnasium vector environment."""
    _, info = envs.reset()
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(20):
            *_, info = envs.step(uniform_actions(rng, info["action_mask"]))
        steps += 20
    return steps * envs.num_envs / elapsed


def single(env: Any, rng: np.random.Generator, seconds: float) -> float:
    """Transitions a second of one Gymnasium environment."""
    _, info = env.reset()
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for noise in rng.random((50, env.action_space.n), dtype=np.float32):
            _, _, terminated, _, info = env.step((noise * info["action_mask"]).argmax())
            if terminated:
                _, info = env.reset()
        steps += 50
    return steps / elapsed


def runs_of(env_id: str, seed: int) -> dict[str, Run]:
    """The ways to drive one environment, each a function from seconds to transitions a second."""
    arguments, rng = ARGUMENTS.get(env_id, {}), generator(seed)
    dag = gfn_envs.make_dag(env_id, **arguments)
    envs = gymnasium.make_vec(env_id, num_envs=1024, **arguments)
    env = gymnasium.make(env_id, **arguments)
    return {
        "dropped 16": lambda seconds: dropped(dag, rng, 16, seconds),
        "dropped 1024": lambda seconds: dropped(dag, rng, 1024, seconds),
        "refilled 16": lambda seconds: refilled(dag, rng, 16, seconds),
        "refilled 1024": lambda seconds: refilled(dag, rng, 1024, seconds),
        "make_vec 1024": lambda seconds: vectorised(envs, rng, seconds),
        "make": lambda seconds: single(env, rng, seconds),
    }


def measure(env_ids: list[str], blocks: int, seconds: float, seed: int) -> list[dict[str, Any]]:
    """One record for each environment and way: transitions a second of every block."""
    records, runs = [], []
    for env_id in env_ids:
        ways = runs_of(env_id, seed)
        try:
            for run in ways.values():
                run(0.05)  # caches and lazy tables
        except DatasetError as error:
            print(f"{env_id} is left out: {error}")
            continue
        for way, run in ways.items():
            records.append({"environment": env_id, "arguments": ARGUMENTS.get(env_id, {}), "way": way, "blocks": []})
            runs.append(run)
    for index in tqdm(range(blocks * len(runs)), desc="blocks", unit="block", leave=False):
        way = index % len(runs)
        records[way]["blocks"].append(runs[way](seconds))
    return records


def markdown(records: list[dict[str, Any]]) -> str:
    """The records as a table, beside the aims."""
    lines = [
        "| environment | driven by | best, transitions/s | median | aim | best / aim |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for record in records:
        name = record["environment"].removeprefix("GFN/")
        name += "".join(f" {key}={value}" for key, value in record["arguments"].items())
        best, aim = max(record["blocks"]), AIMS.get(record["way"])
        beside = f"{aim:,.0f} | {best / aim:.2f}" if aim else "|"
        lines.append(f"| {name} | {record['way']} | {best:,.0f} | {np.median(record['blocks']):,.0f} | {beside} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.environments", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", default="", metavar="NAMES", help="environments whose id holds one of these, e.g. HyperGrid,Bag"
    )
    parser.add_argument(
        "--blocks", type=int, default=7, help="blocks for each way of driving (default 7; the best counts)"
    )
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds a block (default 0.4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every block's figure here")
    options = parser.parse_args()
    wanted = [name.strip().lower() for name in options.only.split(",")]
    env_ids = [env_id for env_id in gfn_envs.registered_ids() if any(name in env_id.lower() for name in wanted)]
    if not env_ids:
        parser.error(f"--only {options.only!r} matches none of {', '.join(gfn_envs.registered_ids())}")
    records = measure(env_ids, options.blocks, options.seconds, options.seed)
    print(markdown(records))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
