"""GFlowNets and soft reinforcement learning compared with reward maximizers and MCMC.

A maximizer ends with the highest mean reward and one mode. An agent that samples in proportion to the reward has the
mean reward of the target, finds every mode, and comes close to R / Z. Every agent trains for the same CPU seconds on
one thread. Results are merged into benchmarks/results/contrast.json after every run, and the section of docs/results.md
is written from all of them, so the benchmark can be interrupted and run in parts. Finished runs are not repeated.

examples:
  python -m benchmarks.contrast --env hypergrid --agents tb,ppo
  python -m benchmarks.contrast                     everything
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import agents
import gfn_envs
from agents.evaluation.evaluate import evaluate
from benchmarks import report
from gfn_envs import exact

#: name -> (registered id, arguments)
ENVIRONMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hypergrid": ("GFN/HyperGrid-v0", {"ndim": 4, "side": 8}),
    "bits": ("GFN/BitSequence-v0", {"n": 16, "word_size": 4, "num_modes": 8, "beta": 30.0}),
}
EXPLORING = {"epsilon": 0.05, "lr": 1e-3}
#: agent -> settings that differ from the defaults, in the order of the table.
AGENTS: dict[str, dict[str, Any]] = {
    "tb": {**EXPLORING, "batch_size": 32},
    "subtb": {**EXPLORING, "batch_size": 32},
    "soft-dqn": {},
    "sac": {},
    "mcmc": {},
    "ppo": {},
    # With the default bonus, 0.01, two of three seeds stay on the plateau of R0 + R1 = 0.6.
    "a2c-er": {"entropy_bonus": 0.1},
    "reinforce": {},
}


def run(dag: Any, name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train for CPU ``seconds``, then evaluate: exactly if a policy samples, else by frequencies."""
    agent = agents.make_agent(name, dag, seed=seed, **AGENTS[name])
    start = time.process_time()
    with tqdm(desc=f"{name}, seed {seed}", unit="it", leave=False, dynamic_ncols=True) as bar:
        while time.process_time() - start < seconds:
            agent.update()
            bar.update()
    found = evaluate(agent)
    mean = found["mean_reward"] if found["mean_reward"] is not None else found["sampled_mean_reward"]
    tv = found["tv"] if found["tv"] is not None else found["empirical_tv"]
    return {"iterations": agent.iteration, "mean_reward": mean, "modes_found": found["modes_found"], "tv": tv}


def section(results: dict[str, Any], seconds: float) -> str:
    """The section of docs/results.md."""
    lines = [
        "## Sampling in proportion to the reward, and maximizing it",
        "",
        f"`python -m benchmarks.contrast`: each agent after {seconds:g} CPU seconds on one thread; mean ± standard "
        "error over seeds. Modes are counted among 2,000 samples. TV is exact, except for `mcmc`, where it is that of "
        "the frequencies of the states that its chains visited.",
    ]
    for name in (name for name in ENVIRONMENTS if name in results):
        id, arguments = ENVIRONMENTS[name]
        dag = gfn_envs.make_dag(id, **arguments)
        reward = np.exp(exact.log_rewards(dag))
        target = float(exact.target_distribution(dag) @ reward)
        rows = [["R / Z itself", "", f"{target:.3g}", str(dag.num_modes), "0", ""]]
        for agent, runs in sorted(results[name].items(), key=lambda item: list(AGENTS).index(item[0])):
            each = list(runs.values())
            iterations = sorted(r["iterations"] for r in each)
            figures = [report.cell([r[key] for r in each], 3) for key in ("mean_reward", "modes_found", "tv")]
            rows.append([agent, f"{iterations[0]:,} to {iterations[-1]:,}", *figures, str(len(each))])
        header = ["agent", "iterations", "mean reward", "modes found", "TV", "seeds"]
        lines += ["", f"### {dag!r}: {dag.num_terminal_states:,} objects, highest reward {reward.max():.3g}", ""]
        lines += [report.table(header, rows)]
    settings = [f"`{name}` {', '.join(f'{k} {v}' for k, v in s.items())}" for name, s in AGENTS.items() if s]
    lines += ["", f"* Settings: {'; '.join(settings)}; everything else has its default."]
    lines += [f"* Measured on {report.machine()}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.contrast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", default=",".join(AGENTS), metavar="NAMES", help="such as tb,ppo (default: all)")
    parser.add_argument("--env", default=",".join(ENVIRONMENTS), metavar="NAMES", help="hypergrid, bits, or both")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each agent")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="CPU seconds of training per run")
    parser.add_argument("--results", type=Path, default=report.RESULTS / "contrast.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE", help="page that contains the section")
    options = parser.parse_args()
    chosen = {"--env": (options.env.split(","), ENVIRONMENTS), "--agents": (options.agents.split(","), AGENTS)}
    for flag, (given, allowed) in chosen.items():
        if unknown := [name for name in given if name not in allowed]:
            parser.error(f"{flag}: no {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    torch.set_num_threads(1)
    for name in options.env.split(","):
        id, arguments = ENVIRONMENTS[name]
        dag = gfn_envs.make_dag(id, **arguments)
        for agent in options.agents.split(","):
            for seed in range(options.seeds):
                results = report.load(options.results)
                runs = results.setdefault(name, {}).setdefault(agent, {})
                if str(seed) in runs:
                    continue
                found = run(dag, agent, seed, options.seconds)
                # Read the file again: another process may have added runs.
                results = report.load(options.results)
                results.setdefault(name, {}).setdefault(agent, {})[str(seed)] = found
                report.save(options.results, results)
                report.write_section("contrast", section(results, options.seconds), options.page)
                print(f"{name}, {agent}, seed {seed}: {found}", flush=True)


if __name__ == "__main__":
    main()
