"""Molecules for several objectives: one conditional agent beside fixed-weight agents and mcmc, at equal oracle calls.

Objectives: QED, SA and sEH of GFN/FragmentMolecule-v0, weighted sums to the power 16 (Jain et al. 2023). The
conditional agent learns all weights at once. "tb" and "mcmc" are 8 separate runs, each at one of 8 weights with an
eighth of the calls. The metrics of a method are those of all molecules that it evaluated.

Each run is stored in benchmarks/results/pareto_molecules.json when it ends, and not repeated.

examples:
  python -m benchmarks.pareto_molecules --list
  python -m benchmarks.pareto_molecules                everything, about 3 minutes on one core
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import agents
import gfn_envs
from agents.evaluation.metrics import diversity
from agents.evaluation.pareto import pareto_metrics
from benchmarks import report
from gfn_envs.arrays import unique_rows

RESULTS, PAGE = report.RESULTS / "pareto_molecules.json", report.ROOT / "docs" / "conditional.md"
NAMES, BLOCKS, EXPONENT = ("qed", "sa", "seh"), 6, 16
SEEDS, METHODS = (0, 1, 2), ("tb, conditional", "tb", "mcmc")
#: Molecules evaluated by each method; weights of the separate runs; molecules per iteration.
CALLS, WEIGHTS, BATCH = 4096, 8, 32
#: Number of best molecules, by the mean over the objectives.
BEST = 100
LEARNING: dict[str, Any] = {"batch_size": BATCH, "epsilon": 0.05, "lr": 2e-3}
CONDITIONAL: dict[str, Any] = {"condition_by": "film", "replay": "uniform", "relabel": True, "replay_batch_size": BATCH}


def environment() -> Any:
    """Molecules of at most ``BLOCKS`` fragments, with weights of the objectives as conditions."""
    conditions = f"preferences:{','.join(NAMES)},exponent={EXPONENT}"
    rewards = dict.fromkeys(NAMES, 1.0)
    return gfn_envs.make_dag("GFN/FragmentMolecule-v0", max_blocks=BLOCKS, reward=rewards, conditions=conditions)


def recorded(dag: Any) -> list[np.ndarray]:
    """A list to which every molecule is added whose reward ``dag`` computes from now on."""
    seen: list[np.ndarray] = []
    log_reward, width = dag.log_reward, getattr(dag, "base", dag).state_width

    def recording(states: np.ndarray) -> np.ndarray:
        seen.append(states[:, :width].copy())
        return log_reward(states)

    dag.log_reward = recording
    return seen


def run(method: str, seed: int) -> dict[str, Any]:
    """All molecules that a method evaluates, and their metrics."""
    dag, start = environment(), time.process_time()
    if method == "tb, conditional":
        seen = recorded(dag)
        agent = agents.make_agent("tb", dag, seed=seed, **LEARNING, **CONDITIONAL)
        for _ in range(CALLS // BATCH):
            agent.update()
    else:
        seen = []
        for weights in dag.conditions.sample(WEIGHTS, np.random.default_rng(seed)):
            fixed = dag.at(weights)
            found = recorded(fixed)
            settings = {"batch_size": BATCH} if method == "mcmc" else LEARNING
            agent = agents.make_agent(method, fixed, seed=seed, **settings)
            while sum(map(len, found)) < CALLS // WEIGHTS:
                agent.update()
            seen += found
    seconds = time.process_time() - start
    return {"calls": sum(map(len, seen)), "seconds": seconds, **measured(dag.base, np.concatenate(seen))}


def measured(base: Any, objects: np.ndarray) -> dict[str, Any]:
    """Metrics of evaluated molecules: of their Pareto front, and of those with the highest mean objective."""
    objects = unique_rows(objects)
    scores = np.stack([base.reward_components(objects)[name] for name in NAMES], axis=1)
    found = pareto_metrics(objects, scores, distance=base.distance)
    best = np.argsort(-scores.mean(1), kind="stable")[:BEST]
    return {
        "distinct": len(objects),
        **{name: found[name] for name in ("hypervolume", "r2", "front_size", "front_diversity")},
        "best_mean": float(scores.mean(1)[best].mean()),
        "best_diversity": diversity(objects[best], base.distance),
    }


COLUMNS = {
    "hypervolume": "hypervolume",
    "r2": "R2",
    "front_size": "front",
    "front_diversity": "diversity of the front",
    "best_mean": "mean of the best 100",
    "best_diversity": "their diversity",
    "distinct": "distinct molecules",
    "seconds": "CPU seconds",
}


def table(results: dict[str, Any]) -> str:
    """Means over seeds as a Markdown table."""
    rows = []
    for method in METHODS:
        runs = [found for key, found in results.items() if key.rpartition(" / ")[0] == method]
        if runs:
            means = [np.mean([run[name] for run in runs]) for name in COLUMNS]
            rows.append([method, str(len(runs)), *(f"{mean:.3f}" if mean < 2 else f"{mean:.0f}" for mean in means)])
    return report.table(["method", "seeds", *COLUMNS.values()], rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Run missing runs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--list", action="store_true", help="print what is stored")
    options = parser.parse_args(argv)
    for seed in [] if options.list else options.seeds:
        for method in options.methods:
            key = f"{method} / {seed}"
            if key not in report.load(RESULTS):
                found = run(method, seed)
                print(key, found, flush=True)
                report.save(RESULTS, dict(sorted((report.load(RESULTS) | {key: found}).items())))
    text = table(report.load(RESULTS))
    print(text)
    if not options.list:
        report.write_section("pareto-molecules", text, PAGE)


if __name__ == "__main__":
    main()
