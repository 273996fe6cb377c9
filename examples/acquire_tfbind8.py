"""Ten rounds of 500 expensive calls on TFBind8: a GFlowNet with a surrogate, random search, mcmc and a greedy GA.

    python examples/acquire_tfbind8.py             # a few minutes
    python examples/acquire_tfbind8.py --quick     # 3 rounds of 60 calls

Each method has the binding of the same number of different 8-mers measured (Jain et al. 2022, Biological Sequence
Design with GFlowNets). The program prints, per number of calls, the mean reward of the 100 best and the mean number of
letters in which two of them differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import gfn_envs
from agents import acquire


def children(parents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Crossover of each parent with another at a random position, then a new letter at one random position."""
    n, length = len(parents), parents.shape[1] - 1
    mates = parents[rng.permutation(n)]
    found = np.where(np.arange(length + 1) < rng.integers(1, length, size=(n, 1)), parents, mates)
    found[np.arange(n), rng.integers(length, size=n)] = rng.integers(4, size=n)
    return found


def methods(rounds: int, batch: int, iterations: int) -> dict[str, Callable[..., acquire.Found]]:
    """Functions of an environment and a seed that find ``rounds * batch`` objects."""
    calls = rounds * batch
    agent = {"batch_size": 64, "lr": "3e-3,1e-4," + str(iterations), "epsilon": 0.05, "hidden": (128, 128)}

    def gflownet(acquisition: str) -> Callable[..., acquire.Found]:
        return lambda dag, seed: acquire.acquire(
            dag, rounds, batch, acquisition=acquisition, iterations=iterations, seed=seed, **agent
        )

    return {
        "GFlowNet, UCB": gflownet("ucb"),
        "GFlowNet, EI": gflownet("ei"),
        "greedy GA": lambda dag, seed: acquire.genetic_search(dag, calls, batch, seed, vary=children),
        "mcmc": lambda dag, seed: acquire.mcmc_search(dag, calls, batch, seed),
        "random": lambda dag, seed: acquire.random_search(dag, calls, batch, seed),
    }


def measures(found: acquire.Found, rounds: int, batch: int) -> list[dict[str, float]]:
    """Reward and diversity of the 100 best (or of all, if there are fewer) after each round."""
    measured = []
    for calls in range(batch, rounds * batch + 1, batch):
        k = min(100, calls)
        top = found.up_to(calls).top(k)
        measured.append({"calls": calls, "reward": top[f"top_{k}_reward"], "diversity": top[f"top_{k}_diversity"]})
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=500, help="calls per round (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=500, help="of the GFlowNet, per round (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 60 calls, 60 iterations")
    options = parser.parse_args()
    sizes = (3, 60, 60) if options.quick else (options.rounds, options.batch, options.iterations)
    dag = gfn_envs.make_dag("GFN/TFBind8-v0")
    best = np.sort(dag.reward_table)[-100:].mean()
    print(f"the 100 best of all {dag.num_terminal_states:,} 8-mers: mean reward {best:.3f}")
    for name, search in methods(*sizes).items():
        for row in measures(search(dag, options.seed), *sizes[:2])[:: max(1, sizes[0] // 3)][-4:]:
            text = f"{row['calls']:>6} calls: mean reward {row['reward']:.3f}, diversity {row['diversity']:.2f}"
            print(f"{name:<14} {text}", flush=True)


if __name__ == "__main__":
    main()
