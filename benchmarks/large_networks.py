"""Graphs that agents and Markov chains find in the same CPU time on 20 nodes, for docs/fields/bayesian_networks.md.

100 rows of a random network of 20 nodes and 20 edges, BGe, at most 3 parents. Each run prints a line when it ends, and
is stored in benchmarks/results/large_networks.json: the benchmark can be interrupted and run in parts.

    python -m benchmarks.large_networks                            # about 10 minutes
    python -m benchmarks.large_networks --only graph --seeds 1 --marks 15 60 180
    python -m benchmarks.large_networks --table                    # the table of all stored runs
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import agents
import gfn_envs
from agents.evaluation.graph_posterior import expected_shd
from benchmarks import report
from gfn_envs.envs.bayes_net.bitmask_graphs import adjacency

FILE = report.RESULTS / "large_networks.json"
#: CPU seconds of training after which a run is measured.
MARKS = (15.0, 60.0)
SAMPLES = 500
MDB: Mapping[str, Any] = {"backward": "uniform", "delay_stop": 0.0}
#: Orthogonalized steps learn most per iteration. Squared residuals weigh the largest ones most: log R of neighbors
#: differ by up to 50, and huber learns them slowly. Replayed graphs need no rollout of the network.
FAST: Mapping[str, Any] = {
    "optimizer": "muon",
    "loss": "squared",
    "lr": "3e-3,5e-4,1500",
    "epsilon": "0.1,0.01,600",
    "beta": 1,
    "batch_size": 4,
    "replay": "prioritized",
    "replay_batch_size": 12,
    "replay_mix": "joint",
}
#: name -> (agent, settings).
CASES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "graph": ("mdb", {**MDB, **FAST, "network": "graph", "layers": 1, "heads": 2, "width": 64}),
    "mlp": ("mdb", {**MDB, "batch_size": 16, "hidden": (128, 128), "beta": 1}),
    "mcmc": ("mcmc", {"batch_size": 32, "steps": 4, "rounds": 10}),
}


def network() -> Any:
    """The environment, whose ``best`` is the highest log R of all graphs so far."""
    dag: Any = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=20, max_parents=3)
    own, dag.best = dag.log_reward, -np.inf

    def log_reward(states: Any) -> Any:
        found = own(states)
        dag.best = max(dag.best, float(found.max(initial=-np.inf)))
        return found

    dag.log_reward = log_reward
    return dag


def run(name: str, seed: int, marks: Sequence[float]) -> list[dict[str, float]]:
    """The iterations, the best log R so far, and the mean log R and expected SHD of samples after each of the marks."""
    dag, (agent_name, settings) = network(), CASES[name]
    agent: Any = agents.make_agent(agent_name, dag, seed=seed, **settings)
    truth = adjacency(dag.true_graph[None])[0]
    seconds, found = 0.0, []
    for mark in marks:
        while seconds < mark:
            start = time.process_time()
            agent.update()
            seconds += time.process_time() - start
        best = dag.best
        states = agent.sample(SAMPLES)
        found.append(
            {
                "mark": mark,
                "seconds": seconds,
                "iterations": agent.iteration,
                "best": best,
                "mean": float(dag.log_reward(states).mean()),
                "shd": expected_shd(dag.marginals(states)["edge"], truth),
            }
        )
        dag.best = best
    return found


def line(name: str, runs: Mapping[str, list[dict[str, float]]]) -> list[str]:
    """Rows of the table: the range over seeds."""
    rows = []
    every = [row for found in runs.values() for row in found]
    for mark in sorted({row["mark"] for row in every}):
        at_mark = [row for row in every if row["mark"] == mark]
        values = {what: [row[what] for row in at_mark] for what in ("iterations", "best", "mean", "shd")}
        ranges = [f"{min(v):,.0f}" if len(v) == 1 else f"{min(v):,.0f} to {max(v):,.0f}" for v in values.values()]
        rows.append(f"| {name} | {mark:.0f} | {' | '.join(ranges)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES, metavar="CASE")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--marks", type=float, nargs="+", default=MARKS, metavar="CPU_SECONDS")
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    for seed in range(0 if options.table else options.seeds):
        for name in options.only:
            if str(seed) not in report.load(FILE).get(name, {}):
                found = run(name, seed, options.marks)
                results = report.load(FILE)
                results.setdefault(name, {})[str(seed)] = found
                report.save(FILE, results)
                print(*line(name, {str(seed): found}), sep="\n", flush=True)
    results = report.load(FILE)
    print("| agent | CPU s | iterations | best log R | mean log R | expected SHD |\n" + "|---" * 6 + "|")
    print(*(row for name, runs in results.items() for row in line(name, runs)), sep="\n")


if __name__ == "__main__":
    main()
