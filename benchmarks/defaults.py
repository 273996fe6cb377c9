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
  python -m benchmarks.defaults --report                        write the page from the results that are there
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import agents
import gfn_envs
from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation.diagnostics import collapse_warning
from agents.evaluation.evaluate import evaluate, is_enumerable, sampled_metrics
from benchmarks import report
from gfn_envs.arrays import distinct
from gfn_envs.dag import Dag
from gfn_envs.envs.bayes_net.random_network import sample_network

AGENTS = ("tb", "db", "subtb", "mdb", "mcmc", "random")
#: Agents that are not GFlowNets.
RIVALS = ("mcmc", "random")
PATH = report.RESULTS / "defaults.json"
#: Objects that are evaluated exactly, at most.
EXACT_STATES = 400_000
BEST = 100


class Case(NamedTuple):
    """An environment: at its default size, or at a user's size."""

    env: str
    arguments: dict[str, Any]
    size: str

    @property
    def name(self) -> str:
        return f"{self.env}, {self.size}"


def network_data(num_nodes: int = 6, rows: int = 500) -> np.ndarray:
    """Rows of a random linear-Gaussian network with one edge per node on average."""
    return sample_network(num_nodes, rows, 1.0, np.random.default_rng(0))[1]


def string_rewards() -> dict[str, float]:
    """Rewards of all RNA strings of six letters: log-normal, with a standard deviation of log R of 3 nats."""
    strings = ["".join(letters) for letters in itertools.product("ACGU", repeat=6)]
    return dict(zip(strings, np.exp(np.random.default_rng(0).normal(0, 3, len(strings))).tolist(), strict=True))


#: Arguments of a user's size.
USER: dict[str, Callable[[], dict[str, Any]]] = {
    "BayesNet": lambda: {"data": network_data()},
    "BitSequence": lambda: {"n": 64, "word_size": 4},
    "FactorGraph": lambda: {"num_variables": 7},
    "FragmentMolecule": lambda: {"reward": "qed", "exponent": 8.0},
    "HyperGrid": lambda: {"ndim": 4, "side": 20, "reward": "easy"},
    "Ising": lambda: {"side": 4, "sigma": 0.4},
    "PhyloTree": lambda: {"num_taxa": 8},
    "Sequence": lambda: {"alphabet": "ACGU", "length": 6, "reward": string_rewards()},
}


def cases() -> list[Case]:
    """Every environment that can be made here, at its default size and, if that is another one, at a user's size."""
    found = []
    for id in gfn_envs.ENVIRONMENTS:
        env = id.removeprefix("GFN/").removesuffix("-v0")
        found.append(Case(env, {}, "default"))
        if env in USER and (arguments := USER[env]()):
            found.append(Case(env, arguments, "user"))
    return found


def run(dag: Dag, name: str, seed: int, seconds: float) -> dict[str, Any]:
    """Train for ``seconds`` of CPU time with default settings, and evaluate."""
    agent = agents.make_agent(name, dag, seed=seed)
    agent.update()  # The first iteration compiles or enumerates.
    begin, learned = time.process_time(), 0.0
    while (learned := time.process_time() - begin) < seconds:
        agent.update()
    found = evaluate(agent, num_samples=2000) if is_enumerable(dag, EXACT_STATES) else sampled(agent)
    record = {key: found.get(key) for key in ("tv", "empirical_tv", "elbo", "elbo_se", "log_z", "log_z_error")}
    record |= {"iterations": agent.iteration, "seconds": learned, "beta": agent.beta, "best": best_log_reward(agent)}
    return record | {"warning": collapse_warning(found), **marginal_errors(agent, seed)}


def sampled(agent: Agent) -> dict[str, Any]:
    """The sampled metrics only, without an attempt to enumerate the environment."""
    return {"log_z": agent.log_z, **sampled_metrics(agent, 2000, 0)}


def best_log_reward(agent: Agent) -> float:
    """Mean log R of the best objects among those that the agent samples, or has recorded."""
    rng = np.random.default_rng(0)
    objects = distinct(agent.sample(2000, rng) if agent.samples_by_policy else agent.recorded)[0]
    return float(np.sort(agent.dag.log_reward(objects))[-BEST:].mean())


def marginal_errors(agent: Agent, seed: int) -> dict[str, float]:
    """Largest error of the edge probabilities of a Bayesian network against the exact posterior."""
    dag = agent.dag
    if not hasattr(dag, "exact_marginals") or not is_enumerable(dag, 10_000_000):
        return {}
    exact = dag.__dict__.setdefault("_benchmark_marginals", dag.exact_marginals())["edge"]
    rng = np.random.default_rng(1)
    objects = agent.sample(10_000, rng) if agent.samples_by_policy else agent.recorded
    return {"edge_error": float(np.abs(dag.marginals(objects)["edge"] - exact).max())}


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
        "and, in brackets, the mean log R of the 100 best of 2,000 samples (of all recorded objects for MCMC).",
        "",
    ]
    rows, notes = [], []
    for name, cell in results.items():
        by_agent = cell["agents"]
        exact = all(measure(run) is not None for runs in by_agent.values() for run in runs.values())
        figures = [text(list(by_agent[agent].values()), exact) if by_agent.get(agent) else "-" for agent in AGENTS]
        seconds = f"{max(run['seconds'] for runs in by_agent.values() for run in runs.values()):.0f}"
        seeds = str(min(len(runs) for runs in by_agent.values() if runs))
        rows.append([name, "TV" if exact else "ELBO", seconds, seeds, *figures, verdict(by_agent, exact)])
        notes += edge_notes(name, by_agent)
    lines += [report.table(["environment", "measure", "seconds", "seeds", *AGENTS, "best of ours"], rows), "", *notes]
    return "\n".join(lines)


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
    behind = [agent for agent in RIVALS if means.get(agent, np.inf) < ours[best]]
    return f"{best}, behind {' and '.join(behind)}" if behind else f"{best}, ahead"


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
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU seconds per run (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="0.2 s and one seed per cell; nothing is written")
    parser.add_argument("--report", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {} if options.quick else report.load(PATH)
    seeds = [0] if options.quick else [int(seed) for seed in options.seeds.split(",")]
    seconds = 0.2 if options.quick else options.seconds
    chosen = [] if options.report else cases()
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
            cell = results.setdefault(case.name, {"env": repr(dag), "agents": {}})
            for name in options.agents.split(","):
                runs = cell["agents"].setdefault(name, {})
                if runs.get(str(seed), {}).get("seconds", -1) >= seconds:
                    continue
                try:
                    runs[str(seed)] = run(dag, name, seed, seconds)
                except UnsupportedError:
                    del cell["agents"][name]
                    continue
                print(f"{case.name}, {name}, seed {seed}: {runs[str(seed)]}", flush=True)
                if not options.quick:
                    report.save(PATH, results)
    if not options.quick:
        report.write_section("defaults", section(results))


if __name__ == "__main__":
    main()
