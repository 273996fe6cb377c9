"""Default settings on every environment, at its default size and at a user's size, beside MCMC and random sampling.

Every agent has its default settings and an equal budget of CPU seconds, without evaluation. Exact total variation (TV)
is the measure if the objects can be enumerated. Otherwise it is the ELBO, a lower bound of log Z, which random has too;
MCMC has no ELBO, and all have the mean log R of their 100 best objects. Results are merged into
benchmarks/results/defaults.json after every run, and the section of docs/results.md is written from all of them, so the
benchmark can be interrupted and run in parts.

examples:
  python -m benchmarks.defaults --quick                         a look at every cell; nothing is written
  python -m benchmarks.defaults --case BayesNet --seeds 0,1,2
  python -m benchmarks.defaults --seconds 60 --size user
  python -m benchmarks.defaults --longer                        rows of their own for cells that need minutes
  python -m benchmarks.defaults --report                        write the page from the results that are there
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import agents
import gfn_envs
from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation.diagnostics import batch_diagnostics, policy_warning
from agents.evaluation.evaluate import evaluate, is_enumerable, known_log_z, sampled_metrics
from benchmarks import report
from benchmarks.default_cases import FIXED, REMARKS, cases, longer_cases
from gfn_envs.arrays import distinct
from gfn_envs.dag import Dag

AGENTS = ("tb", "db", "subtb", "mdb", "mcmc", "random")
#: Agents that are not GFlowNets.
RIVALS = ("mcmc", "random")
PATH = report.RESULTS / "defaults.json"
#: Objects that are evaluated exactly, at most.
EXACT_STATES = 400_000
BEST = 100
#: Smaller differences of means do not count.
LEVEL = {"TV": 0.001, "ELBO": 0.01}


def run(dag: Dag, name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train for ``seconds`` of CPU time with default settings, and evaluate."""
    agent = agents.make_agent(name, dag, seed=seed)
    agent.update()  # The first iteration compiles or enumerates.
    begin, learned = time.process_time(), 0.0
    while (learned := time.process_time() - begin) < seconds:
        agent.update()
    found = evaluate(agent, num_samples=2000) if is_enumerable(dag, EXACT_STATES) else sampled(agent)
    record = {key: found.get(key) for key in ("tv", "empirical_tv", "elbo", "elbo_se", "log_z", "exact_log_z")}
    record |= {"iterations": agent.iteration, "seconds": learned, "beta": agent.beta, "best": best_log_reward(agent)}
    warning = policy_warning(agent, found | batch_diagnostics(agent), ended=True)
    return record | {"warning": warning, **marginal_errors(agent)}


def merged(case: str, agent: str, seed: int, found: dict[str, Any]) -> dict[str, Any]:
    """The results in the file, which another process may have written meanwhile, and those of one more run."""
    results = report.load(PATH)
    results.setdefault(case, {"agents": {}})["agents"].setdefault(agent, {})[str(seed)] = found
    report.save(PATH, results)
    return results


def sampled(agent: Agent) -> dict[str, Any]:
    """Sampled metrics, without an attempt to enumerate the environment, and log Z if there is a formula."""
    found = {"log_z": agent.log_z, "exact_log_z": known_log_z(agent.dag)}
    return found | sampled_metrics(agent, 2000, 0)


def best_log_reward(agent: Agent) -> float:
    """Mean log R of the best objects among those that the agent samples, or has recorded."""
    rng = np.random.default_rng(0)
    objects = distinct(agent.sample(2000, rng) if agent.samples_by_policy else agent.recorded)[0]
    return float(np.sort(agent.dag.log_reward(objects))[-BEST:].mean())


def marginal_errors(agent: Agent) -> dict[str, float]:
    """Largest error of the edge probabilities of a Bayesian network against the exact posterior."""
    if not agent.dag.has("marginals"):
        return {}
    known = agent.dag.__dict__
    if "_benchmark_edges" not in known:
        known["_benchmark_edges"] = agent.dag.exact_marginals()["edge"]
    exact = known["_benchmark_edges"]
    objects = agent.sample(10_000, np.random.default_rng(1)) if agent.samples_by_policy else agent.recorded
    return {"edge_error": float(np.abs(agent.dag.marginals(objects)["edge"] - exact).max())}


# ---------------------------------------------------------------------- the page


def measure(run: dict[str, Any]) -> float | None:
    """TV if it is known."""
    return run["tv"] if run["tv"] is not None else run["empirical_tv"]


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    lines = [
        "## Default settings",
        "",
        "`python -m benchmarks.defaults`: every environment at its default size and at a user's size, agents with "
        "their default settings, equal CPU seconds without evaluation, mean ± standard error over seeds. Exact total "
        "variation (TV) where the objects can be enumerated; otherwise the ELBO (higher is better; MCMC has none) "
        "and, in brackets, the mean log R of the 100 best of 2,000 samples (of all recorded objects for MCMC). Agents "
        f"whose means differ by less than {LEVEL['TV']} or {LEVEL['ELBO']} nats are level. The data sets of "
        f"{', '.join(FIXED)} fix their size. A dash: the agent does not apply, or was not run.",
        "",
    ]
    rows, notes = [], []
    for name in sorted(results, key=order):
        by_agent = results[name]["agents"]
        exact = all(measure(run) is not None for runs in by_agent.values() for run in runs.values())
        figures = [text(list(by_agent[agent].values()), exact) if by_agent.get(agent) else "-" for agent in AGENTS]
        seconds = f"{max(run['seconds'] for runs in by_agent.values() for run in runs.values()):.0f}"
        seeds = str(min(len(runs) for runs in by_agent.values() if runs))
        rows.append([name, measure_name(by_agent, exact), seconds, seeds, *figures, verdict(by_agent, exact)])
        notes += edge_notes(name, by_agent) + ([f"* {name}: {REMARKS[name]}"] if name in REMARKS else [])
    lines += [report.table(["environment", "measure", "seconds", "seeds", *AGENTS, "best of ours"], rows), "", *notes]
    return "\n".join(lines)


def order(name: str) -> tuple[bool, int, str]:
    """Sort key of a cell: its size, then the order of the registry, then longer budgets."""
    env, size = name.split(", ")[:2]
    return size == "default", list(gfn_envs.ENVIRONMENTS).index(f"GFN/{env}-v0"), name


def measure_name(by_agent: dict[str, Any], exact: bool) -> str:
    """The measure of a cell, with the exact log Z if a formula gives it."""
    known = {run.get("exact_log_z") for runs in by_agent.values() for run in runs.values()} - {None}
    return "TV" if exact else f"ELBO (log Z {known.pop():.4g})" if known else "ELBO"


def text(runs: list[dict[str, Any]], exact: bool) -> str:
    """One cell of the table."""
    if exact:
        return report.cell([measure(run) for run in runs], 3)
    best = f"[{np.mean([run['best'] for run in runs]):.2f}]"
    elbo = [run["elbo"] for run in runs]
    return best if None in elbo else f"{report.cell(elbo, 4)} {best}"


def verdict(by_agent: dict[str, Any], exact: bool) -> str:
    """The best GFlowNet, and whether its mean is ahead of both rivals."""
    key = measure if exact else lambda run: None if run["elbo"] is None else -run["elbo"]
    means = {
        agent: np.mean(found)
        for agent, runs in by_agent.items()
        if runs and None not in (found := [key(run) for run in runs.values()])
    }
    ours = {agent: mean for agent, mean in means.items() if agent not in RIVALS}
    if not ours:
        return "-"
    best = min(ours, key=ours.__getitem__)
    lead = {agent: means[agent] - ours[best] for agent in RIVALS if agent in means}
    margin = LEVEL["TV" if exact else "ELBO"]
    if behind := [agent for agent in lead if lead[agent] < -margin]:
        return f"{best}, behind {' and '.join(behind)}"
    level = [agent for agent in lead if lead[agent] <= margin]
    return f"{best}, level with {' and '.join(level)}" if level else f"{best}, ahead"


def edge_notes(name: str, by_agent: dict[str, Any]) -> list[str]:
    """Errors of edge probabilities of Bayesian networks."""
    known = {
        agent: [run["edge_error"] for run in runs.values()]
        for agent, runs in by_agent.items()
        if runs and all("edge_error" in run for run in runs.values())
    }
    if not known:
        return []
    figures = ", ".join(
        f"{agent} {report.cell(errors, 3)} (at most {max(errors):.3f})" for agent, errors in known.items()
    )
    return [f"* {name}: largest error of an edge probability against the exact posterior: {figures}."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", help="names of environments, separated by commas; default: all")
    parser.add_argument("--size", choices=("default", "user"), help="one of the two sizes; default: both")
    parser.add_argument("--agents", default=",".join(AGENTS), help="separated by commas (default: %(default)s)")
    parser.add_argument("--longer", action="store_true", help="cells that need more time, with their own seconds")
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU seconds per run (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="0.2 s and one seed per cell; nothing is written")
    parser.add_argument("--report", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {} if options.quick else report.load(PATH)
    seeds = [0] if options.quick else [int(seed) for seed in options.seeds.split(",")]
    seconds = 0.2 if options.quick else options.seconds
    chosen = [] if options.report else longer_cases() if options.longer else cases()
    if options.case:
        chosen = [case for case in chosen if case.env in options.case.split(",")]
    if options.size:
        chosen = [case for case in chosen if case.size == options.size]
    for seed in seeds:
        for case in chosen:
            try:
                dag = gfn_envs.make_dag(f"GFN/{case.env}-v0", **case.arguments)
            except OSError as error:  # Its data set is not on this machine.
                print(f"{case.name} left out: {error}")
                continue
            for name in options.agents.split(","):
                known = results.get(case.name, {"agents": {}})["agents"].get(name, {})
                budget = seconds if options.quick else case.seconds or seconds
                if known.get(str(seed), {}).get("seconds", -1) >= budget:
                    continue
                try:
                    found = run(dag, name, seed, budget)
                except UnsupportedError:
                    continue
                print(f"{case.name}, {name}, seed {seed}: {found}", flush=True)
                if not options.quick:
                    results = merged(case.name, name, seed, found)
    if not options.quick:
        report.write_section("defaults", section(results))


if __name__ == "__main__":
    main()
