"""Learned and exact posteriors over Bayesian networks (Deleu et al. 2022): TB, DB, SubTB and MDB on 4 and 5 nodes.

The default instance has 100 samples of a linear-Gaussian network, the BGe score and a uniform prior. All metrics are
exact: the distribution of terminal graphs is computed from the policy on every state. The metrics are its total
variation to the posterior, and the largest error of a marginal of an edge, path or Markov blanket. The targets are a
total variation of at most 0.1 on 4 nodes, and errors of edge marginals of at most 0.05 on 5 nodes.

Runs are stored in benchmarks/results/bayes_net.json, and the section of docs/results.md is written from all of them, so
the benchmark can be interrupted and run in parts. Move the file away to start again.

examples:
  python -m benchmarks.bayes_net --quick               nothing is written
  python -m benchmarks.bayes_net --nodes 5 --agents tb
  python -m benchmarks.bayes_net                       everything, about 15 minutes
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import agents
import gfn_envs
from agents.agent import Agent
from agents.evaluation.evaluate import exact_distribution
from benchmarks import report
from gfn_envs import BayesNet, exact

AGENTS = ("tb", "db", "subtb", "mdb")
#: Nodes -> iterations.
ITERATIONS = {4: 8000, 5: 8000}
AIMS = {4: ("tv", 0.1), 5: ("edge", 0.05)}
FEATURES = ("edge", "path", "markov_blanket")


def settings(iterations: int) -> dict[str, Any]:
    """Settings of all agents. Exploration decays over the first half; the learning rate decays to 3%."""
    return {
        "batch_size": 32,
        "hidden": (256, 256),
        "backward": "uniform",
        "lr": (1e-3, 3e-5, iterations),
        "epsilon": (0.5, 0.05, iterations // 2),
    }


def errors(agent: Agent) -> dict[str, float]:
    """Exact ``tv`` and the largest error of each kind of marginal."""
    dag, learned = agent.dag, exact_distribution(agent)
    assert isinstance(dag, BayesNet)
    found, truth = dag.marginals(dag.terminal_states(), learned), dag.exact_marginals()
    marginals = {name: float(np.abs(found[name] - truth[name]).max()) for name in FEATURES}
    return {"tv": exact.total_variation(learned, exact.target_distribution(dag)), **marginals}


def run(nodes: int, agent_name: str, seed: int, iterations: int) -> dict[str, Any]:
    """Errors after each quarter of training, and the CPU seconds of training."""
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=nodes)
    agent = agents.make_agent(agent_name, dag, seed=seed, **settings(iterations))
    curve, seconds = [], 0.0
    for _ in tqdm(range(iterations), desc=f"{nodes} nodes, {agent_name}, seed {seed}", unit="it", leave=False):
        start = process_time()
        agent.update()
        seconds += process_time() - start
        if agent.iteration % max(1, iterations // 4) == 0:
            curve.append({"iterations": agent.iteration, **errors(agent)})
    return {**curve[-1], "curve": curve, "seconds": seconds}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for nodes, (name, aim) in AIMS.items():
        for agent, runs in results["runs"].get(str(nodes), {}).items():
            found = list(runs.values())
            worst = max(entry[name] for entry in found)
            rows.append(
                [
                    str(nodes),
                    agent,
                    f"{found[0]['iterations']:,}",
                    *(report.cell([entry[what] for entry in found]) for what in ("tv", *FEATURES)),
                    f"{np.mean([entry['seconds'] for entry in found]):.0f}",
                    f"{name} at most {aim:g}: {'met' if worst <= aim else 'missed'}",
                ]
            )
    header = ["nodes", "agent", "iterations", "TV", *(name.replace("_", " ") for name in FEATURES), "CPU s", "target"]
    return "\n".join(
        [
            "## Posteriors over Bayesian networks",
            "",
            "`python -m benchmarks.bayes_net`: exact total variation to the posterior over graphs (543 with 4 nodes, "
            "29,281 with 5), and the largest error of a marginal; mean ± standard error over seeds. The target applies "
            "to the worst seed. BGe, 100 samples, uniform prior; batches of 32, two hidden layers of 256, uniform P_B, "
            "learning rate decaying from 1e-3 to 3e-5, exploration from 0.5 to 0.05 in the first half.",
            "",
            report.table(header, rows),
            "",
            f"* Measured on {results['machine']}.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bayes_net",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", default="4,5", metavar="N,N", help="numbers of nodes, of 4 and 5")
    parser.add_argument("--agents", default=",".join(AGENTS), metavar="NAMES", help=f"agents, of {', '.join(AGENTS)}")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, ... of each agent")
    parser.add_argument("--quick", action="store_true", help="few iterations; nothing is written")
    parser.add_argument("--results", type=Path, default=report.RESULTS / "bayes_net.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    nodes, names = [int(n) for n in options.nodes.split(",")], options.agents.split(",")
    if unknown := [str(name) for name in [*nodes, *names] if name not in (*AIMS, *AGENTS)]:
        parser.error(f"no {', '.join(unknown)}; allowed: nodes {', '.join(map(str, AIMS))}, agents {', '.join(AGENTS)}")
    torch.set_num_threads(1)

    results = {} if options.quick else report.load(options.results)
    results["machine"] = report.machine()
    for seed in range(options.seeds):
        for n in nodes:
            for name in names:
                known = results.setdefault("runs", {}).setdefault(str(n), {}).setdefault(name, {})
                if str(seed) in known:
                    continue  # Finished earlier.
                known[str(seed)] = found = run(n, name, seed, 40 if options.quick else ITERATIONS[n])
                text = ", ".join(f"{what} {found[what]:.4f}" for what in ("tv", *FEATURES))
                print(f"{n} nodes, {name}, seed {seed}: {text}; {found['seconds']:.0f} s", flush=True)
                if not options.quick:
                    report.save(options.results, results)
    if not options.quick:
        report.write_section("bayes_net", section(results), options.page)
        print(f"written: {options.results} and {options.page}")


if __name__ == "__main__":
    main()
