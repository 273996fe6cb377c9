"""One agent for a family of targets: exact total variation at conditions that training has not seen.

Temperatures: R^beta, beta in [0.5, 8]. Preferences: weighted sums of the objectives of the multi-objective HyperGrid
(Jain et al. 2023), to the power 16 or 4. Each agent is evaluated at 200 drawn conditions; its samples at these give the
hypervolume. For comparison, "one agent each": unconditional agents at 8 evenly spaced temperatures that share the
trajectories of one conditional agent. Bag and preferences relabel replayed objects.

Runs are stored one by one in benchmarks/results/conditional.json, and those that are there are not repeated: the
benchmark can be interrupted and run in parts. Move the file away to start again.

examples:
  python -m benchmarks.conditional --list
  python -m benchmarks.conditional --only "HyperGrid 16 x 16" --agents tb --seeds 0
  python -m benchmarks.conditional                    everything, about an hour and a half on one core
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

import agents
import gfn_envs
from agents.conditional import conditional_metrics
from agents.conditional.settings import ConditionSettings
from agents.evaluation.evaluate import evaluate
from agents.evaluation.pareto import pareto_front, pareto_metrics
from benchmarks import report
from gfn_envs.conditions import Preferences

RESULTS, PAGE = report.RESULTS / "conditional.json", report.ROOT / "docs" / "conditional.md"
CONDITIONS, SAMPLES = 200, 50
AGENTS, SEEDS = ("tb", "subtb"), (0, 1, 2)
TEMPERATURE = "temperature:0.5,8"
#: Separate agents that share the budget of one.
SEPARATE = 8
SETTINGS: dict[str, Any] = {"batch_size": 64, "hidden": (256, 256)}
#: Where rewards are rare: three quarters of a batch are replayed objects, under conditions for which they are good.
RARE: dict[str, Any] = {
    **{"replay": "uniform", "relabel": True, "replay_mix": "joint", "replay_batch_size": 48, "batch_size": 16},
    **{"condition_by": "film", "backward": "uniform", "epsilon": "0.1,0,3000"},
}
#: Fewer iterations to the same distance than Adam's, at a lower cost per iteration if the network is small.
MUON: dict[str, Any] = {"optimizer": "muon(betas=(0.9, 0.99))", "hidden": (128, 128)}


@dataclass(frozen=True)
class Case:
    """An environment, its conditions and the iterations of training."""

    env: str
    arguments: dict[str, Any]
    conditions: str
    iterations: int = 4000
    lr: float = 2e-3
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the agents that differ from SETTINGS."""
    longer: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Iterations of agents that need more."""
    own: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    """Settings of single agents that differ from ``settings``."""


def preferences(*names: str, exponent: int = 16, iterations: int = 6000) -> Case:
    """The grid of side 32 with these objectives."""
    arguments = {"ndim": 2, "side": 32, "reward": list(names)}
    conditions = f"preferences:{','.join(names)},exponent={exponent}"
    return Case("GFN/HyperGrid-v0", arguments, conditions, iterations, 5e-3, RARE, own={"subtb": MUON})


CASES = {
    "HyperGrid 16 x 16": Case("GFN/HyperGrid-v0", {"ndim": 2, "side": 16}, TEMPERATURE, settings={"beta": 1}),
    "HyperGrid 8^4": Case(
        "GFN/HyperGrid-v0", {"ndim": 4, "side": 8}, TEMPERATURE, settings={"beta": 1}, longer={"subtb": 6000}
    ),
    "BayesNet, 4 nodes": Case("GFN/BayesNet-v0", {"num_nodes": 4}, TEMPERATURE),
    "Bag, 5 letters": Case(
        "GFN/Bag-v0", {"num_letters": 5, "capacity": 8, "repeats": 4}, TEMPERATURE, 12_000, 5e-3, RARE | MUON
    ),
    "3 objectives, exponent 4": preferences("branin", "currin", "shubert", exponent=4, iterations=3000),
    "3 objectives": preferences("branin", "currin", "shubert"),
    "4 objectives": preferences("branin", "currin", "shubert", "beale"),
}


def settings_of(case: Case, agent_name: str, iterations: int) -> dict[str, Any]:
    """Settings of an agent: the learning rate falls along a cosine."""
    own = case.own.get(agent_name, {})
    return {**SETTINGS, "lr": f"{case.lr:g},1e-5,{iterations},cosine", **case.settings, **own}


def run(case: Case, agent_name: str, seed: int, iterations: int) -> dict[str, Any]:
    """Train one conditional agent and evaluate it at unseen conditions."""
    dag = gfn_envs.make_dag(case.env, **case.arguments, conditions=case.conditions)
    agent: Any = agents.make_agent(agent_name, dag, seed=seed, **settings_of(case, agent_name, iterations))
    start = time.process_time()
    for _ in range(iterations):
        agent.update()
    seconds = time.process_time() - start
    found = conditional_metrics(agent, CONDITIONS, seed=seed)
    numbers = {name: value for name, value in found.items() if not isinstance(value, list)}
    if isinstance(agent.dag.conditions, Preferences):
        numbers |= front_metrics(agent, np.array(found["conditions"], np.float32))
    settings = {"settings": settings_of(case, agent_name, iterations)}
    return {
        "iterations": iterations,
        "cpu_seconds": seconds,
        **numbers,
        **settings,
        "tv": [round(tv, 5) for tv in found["tv"]],
    }


def front_metrics(agent: Any, conditions: np.ndarray) -> dict[str, Any]:
    """Pareto metrics of samples at ``conditions``, beside the true front."""
    base, rng = agent.dag.base, np.random.default_rng(0)
    every = np.stack(list(base.reward_components(base.terminal_states()).values()), axis=1)
    objects = np.concatenate([agent.at(condition).sample(SAMPLES, rng) for condition in conditions])
    scores = np.stack(list(base.reward_components(objects).values()), axis=1)
    found = pareto_metrics(objects, scores, front=every[pareto_front(every)])
    return {name: found[name] for name in ("hypervolume", "hypervolume_share", "igd_plus", "r2", "front_size")}


def unconditional(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those of conditional agents."""
    own = {field.name for field in dataclasses.fields(ConditionSettings)}
    return {name: value for name, value in settings.items() if name not in own}


def run_separately(case: Case, agent_name: str, seed: int, iterations: int) -> dict[str, Any]:
    """Train unconditional agents at a few temperatures, with the same number of trajectories in total."""
    dag: Any = gfn_envs.make_dag(case.env, **case.arguments, conditions=case.conditions)
    each = iterations // SEPARATE
    tvs, start = [], time.process_time()
    for beta in dag.conditions.grid(SEPARATE):
        agent = agents.make_agent(
            agent_name, dag.at(beta), seed=seed, **unconditional(settings_of(case, agent_name, each))
        )
        for _ in range(each):
            agent.update()
        tvs.append(float(evaluate(agent, 2)["tv"]))
    seconds = time.process_time() - start
    return {"iterations": each, "cpu_seconds": seconds, "mean_tv": float(np.mean(tvs)), "worst_tv": max(tvs), "tv": tvs}


def store(key: str, found: dict[str, Any]) -> None:
    """Add one run to the file of results, by "case / agent / seed". Several processes may do so."""
    with FileLock(Path(tempfile.gettempdir()) / "gfn-envs-conditional.lock"):
        report.save(RESULTS, dict(sorted((report.load(RESULTS) | {key: found}).items())))


def table(results: dict[str, Any]) -> str:
    """The runs as a Markdown table: means over seeds, the worst condition of all."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for key, found in results.items():
        groups.setdefault(key.rpartition(" / ")[0], []).append(found)
    header = ["case / agent", "seeds", "mean TV", "worst TV", "mean log Z error", "hypervolume / true", "CPU seconds"]
    rows = []
    for name, found in groups.items():
        mean = {
            key: f"{np.mean([run[key] for run in found if key in run]):.3f}" if any(key in run for run in found) else ""
            for key in ("mean_tv", "mean_log_z_error", "hypervolume_share", "cpu_seconds")
        }
        worst = f"{max(run['worst_tv'] for run in found):.3f}"
        numbers = [mean["mean_tv"], worst, mean["mean_log_z_error"], mean["hypervolume_share"]]
        rows.append([name, str(len(found)), *numbers, mean["cpu_seconds"].partition(".")[0]])
    return report.table(header, rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is asked for and not stored yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--agents", nargs="*", default=list(AGENTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument("--separate", action="store_true", help="the comparison with one agent each")
    parser.add_argument("--iterations", type=int, help="instead of those of each case; nothing is stored")
    parser.add_argument("--list", action="store_true", help="print what is stored")
    options = parser.parse_args(argv)
    for name in [] if options.list else options.only:
        case = CASES[name]
        for agent_name in options.agents:
            iterations = options.iterations or case.longer.get(agent_name, case.iterations)
            for seed in options.seeds:
                key = f"{name} / {agent_name}{', one agent each' if options.separate else ''} / {seed}"
                if key in report.load(RESULTS) and not options.iterations:
                    continue
                found = (run_separately if options.separate else run)(case, agent_name, seed, iterations)
                print(key, {k: v for k, v in found.items() if k not in ("tv", "settings")}, flush=True)
                if not options.iterations:
                    store(key, found)
    text = table(report.load(RESULTS))
    print(text)
    if not options.list and not options.iterations:
        report.write_section("conditional", text, PAGE)


if __name__ == "__main__":
    main()
