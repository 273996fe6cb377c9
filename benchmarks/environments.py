"""Speed of the environments without a network: transitions per second of uniform random actions, on one thread.

Four ways to run an environment are timed. Their blocks alternate, so that a slow phase of the machine affects all of
them:

* dropped: a batch of trajectories through the Dag; finished rows are dropped until none is left (as in training);
* refilled: a batch through the Dag; finished rows restart at once (as in long rollouts);
* make_vec: ``gymnasium.make_vec`` with autoreset in the same step;
* make: ``gymnasium.make``, one environment, reset at the end of each episode.

Only real transitions count, without padding. The time includes the choice of actions. Rewards are computed at the end
of a dropped batch, on refilled rows, and in every step of the Gymnasium environments.
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

#: Arguments that give the instances timed in the literature. Other environments have their registered defaults.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "GFN/HyperGrid-v0": {"ndim": 4, "side": 20, "reward": "easy"},
    "GFN/PHO4-v0": {"table": range(4**10)},  # The real table is not packaged; its values do not affect speed.
}

#: Target speeds in transitions per second.
AIMS = {"dropped 1024": 6e6, "make_vec 1024": 3e6, "make": 5e4}

Run = Callable[[float], float]


def generator(seed: int) -> np.random.Generator:
    """NumPy's fastest generator."""
    return np.random.Generator(np.random.SFC64(seed))


def uniform_actions(rng: np.random.Generator, mask: Any) -> IntArray:
    """A uniform legal action for each row of ``mask`` (n, num_actions), int64 (n,)."""
    noise = rng.random(mask.shape, dtype=np.float32)
    return np.multiply(mask, noise, out=noise).argmax(1)


def sample_dropped(dag: Dag, rng: np.random.Generator, batch: int) -> tuple[int, IntArray]:
    """One batch of random trajectories: the number of transitions, and the objects (batch, state_width)."""
    states, steps = dag.source(batch), []
    while len(states):
        states = dag.step(states, uniform_actions(rng, dag.forward_mask(states)))
        steps.append(states)
        states = states.take((~dag.is_terminal(states)).nonzero()[0], axis=0)
    reached = np.concatenate(steps)
    return len(reached), reached.take(dag.is_terminal(reached).nonzero()[0], axis=0)


def dropped(dag: Dag, rng: np.random.Generator, batch: int, seconds: float) -> float:
    """Transitions per second with finished rows dropped, and log rewards at the end of each batch."""
    transitions, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        count, objects = sample_dropped(dag, rng, batch)
        dag.log_reward(objects)
        transitions += count
    return transitions / elapsed


def refilled(dag: Dag, rng: np.random.Generator, batch: int, seconds: float) -> float:
    """Transitions per second with finished rows restarted."""
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


def vectorized(envs: Any, rng: np.random.Generator, seconds: float) -> float:
    """Transitions per second of a Gymnasium vector environment."""
    _, info = envs.reset()
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(20):
            *_, info = envs.step(uniform_actions(rng, info["action_mask"]))
        steps += 20
    return steps * envs.num_envs / elapsed


def single(env: Any, rng: np.random.Generator, seconds: float) -> float:
    """Transitions per second of one Gymnasium environment."""
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
    """Ways to run one environment, each a function from seconds to transitions per second."""
    arguments, rng = ARGUMENTS.get(env_id, {}), generator(seed)
    dag = gfn_envs.make_dag(env_id, **arguments)
    envs = gymnasium.make_vec(env_id, num_envs=1024, **arguments)
    env = gymnasium.make(env_id, **arguments)
    return {
        "dropped 16": lambda seconds: dropped(dag, rng, 16, seconds),
        "dropped 1024": lambda seconds: dropped(dag, rng, 1024, seconds),
        "refilled 16": lambda seconds: refilled(dag, rng, 16, seconds),
        "refilled 1024": lambda seconds: refilled(dag, rng, 1024, seconds),
        "make_vec 1024": lambda seconds: vectorized(envs, rng, seconds),
        "make": lambda seconds: single(env, rng, seconds),
    }


def measure(env_ids: list[str], blocks: int, seconds: float, seed: int) -> list[dict[str, Any]]:
    """One record per environment and way: transitions per second of every block."""
    records, runs = [], []
    for env_id in env_ids:
        ways = runs_of(env_id, seed)
        try:
            for run in ways.values():
                run(0.05)  # Fills caches and lazy tables.
        except DatasetError as error:
            print(f"{env_id} is skipped: {error}")
            continue
        for way, run in ways.items():
            records.append({"environment": env_id, "arguments": ARGUMENTS.get(env_id, {}), "way": way, "blocks": []})
            runs.append(run)
    for index in tqdm(range(blocks * len(runs)), desc="blocks", unit="block", leave=False):
        way = index % len(runs)
        records[way]["blocks"].append(runs[way](seconds))
    return records


def markdown(records: list[dict[str, Any]]) -> str:
    """Table of the records and targets."""
    lines = [
        "| environment | run by | best, transitions/s | median | target | best / target |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for record in records:
        name = record["environment"].removeprefix("GFN/")
        name += "".join(f" {key}={value}" for key, value in record["arguments"].items())
        best, aim = max(record["blocks"]), AIMS.get(record["way"])
        target = f"{aim:,.0f} | {best / aim:.2f}" if aim else "|"
        lines.append(f"| {name} | {record['way']} | {best:,.0f} | {np.median(record['blocks']):,.0f} | {target} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.environments", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--only", default="", metavar="NAMES", help="environments whose id contains one of these, such as HyperGrid,Bag"
    )
    parser.add_argument("--blocks", type=int, default=7, help="blocks per way to run (default 7; the best counts)")
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds per block (default 0.4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON file for the speed of every block")
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
