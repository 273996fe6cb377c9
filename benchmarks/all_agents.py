"""Exact total variation of every registered agent on a grid and on a bag.

Each agent is trained from three seeds with the settings in benchmarks/recipes.py, or with its defaults if it has no
recipe there. Results are merged into benchmarks/results/all_agents.json after every run, and the section of
docs/results.md is written from all of them, so the benchmark can be interrupted and run in parts. Finished runs of the
current recipe are not repeated.

examples:
  python -m benchmarks.all_agents --quick                      a short run of everything; nothing is written
  python -m benchmarks.all_agents --env hypergrid --agents tb,db
  python -m benchmarks.all_agents                              everything
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

import agents
import gfn_envs
from agents.agent import Agent
from agents.errors import UnsupportedError
from agents.evaluation.evaluate import evaluate
from benchmarks import report
from benchmarks.recipes import ENVIRONMENTS, NOTES, Recipe, recipes
from gfn_envs.dag import Dag

#: Total variation that every agent should reach on the grid.
GOAL = 0.05
METRICS = ("tv", "log_z_error", "mean_reward_error")


def train(agent: Agent, iterations: int, limit: float, label: str) -> float:
    """Train for ``iterations``, but at most ``limit`` CPU seconds. Returns the wall-clock seconds.

    The limit is CPU time, so that other processes on the machine do not shorten a run.
    """
    start, cpu = time.perf_counter(), time.process_time()
    with tqdm(total=iterations, desc=label, unit="it", leave=False, dynamic_ncols=True) as bar:
        while agent.iteration < iterations and time.process_time() - cpu < limit:
            agent.update()
            bar.update()
    return time.perf_counter() - start


def run(dag: Dag, label: str, chosen: Recipe, seed: int, limit: float) -> dict[str, Any]:
    """One training run: its iterations, its seconds and exact metrics of the trained agent."""
    agent = agents.make_agent(chosen.agent, dag, seed=seed, **chosen.settings)
    seconds = train(agent, chosen.iterations, limit, f"{label}, seed {seed}")
    found = evaluate(agent, num_samples=2)  # The metrics used here are exact: samples do not matter.
    if not agent.samples_by_policy:
        # A Markov chain has no exact distribution; the frequencies of the states that it visited replace it.
        found = {"tv": found["empirical_tv"]}
    return {"iterations": agent.iteration, "seconds": seconds, **{name: found.get(name) for name in METRICS}}


def merged(record: dict[str, Any] | None, chosen: Recipe) -> dict[str, Any]:
    """The record of a label. Runs of another recipe are dropped, because they are not comparable."""
    described = {"agent": chosen.agent, "iterations": chosen.iterations, "settings": report.listed(chosen.settings)}
    if record and all(record.get(key) == value for key, value in described.items()):
        return {**record, "unsupported": None}
    return {**described, "unsupported": None, "runs": {}}


# ---------------------------------------------------------------------- the page


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    lines = [
        "## Every agent on a grid and on a bag",
        "",
        "`python -m benchmarks.all_agents`: mean ± standard error over seeds of exact total variation (TV), the "
        "error of log Z, the relative error of the mean reward, and the training time in seconds. The time is "
        "wall-clock time on one thread of a machine that also did other work, so it does not measure speed.",
    ]
    for name in (name for name in ENVIRONMENTS if name in results):
        id, arguments = ENVIRONMENTS[name]
        dag = gfn_envs.make_dag(id, **arguments)
        lines += ["", f"### {dag!r}: {dag.num_terminal_states:,} objects, {dag.num_states:,} states", ""]
        records = results[name]
        order = list(agents.AGENTS)
        records = dict(sorted(records.items(), key=lambda item: (order + [item[1]["agent"]]).index(item[1]["agent"])))
        rows = [row(label, record) for label, record in records.items() if record["runs"]]
        header = ["agent", "iterations", "TV", "log Z error", "mean reward error", "seconds", "seeds"]
        lines += [report.table(header, rows), ""]
        lines += [
            f"* `{label}` does not support this environment: {record['unsupported']}."
            for label, record in records.items()
            if record["unsupported"]
        ]
        if name == "hypergrid":
            lines.append(goal_line(records))
        lines += settings_lines(records)
        lines += [f"* {note}" for note in NOTES.get(name, [])]
        lines += [f"* Measured on {date}." for date in sorted({r["machine"] for r in records.values() if r["runs"]})]
    return "\n".join(lines)


def row(label: str, record: dict[str, Any]) -> list[str]:
    runs = list(record["runs"].values())
    done = sorted({run["iterations"] for run in runs})
    iterations = f"{done[0]:,}" if len(done) == 1 else f"{done[0]:,} to {done[-1]:,}"
    stopped = f" of {record['iterations']:,}" if done[0] < record["iterations"] else ""
    figures = ["-" if None in (each := [run[name] for run in runs]) else report.cell(each) for name in METRICS]
    return [label, iterations + stopped, *figures, report.cell([run["seconds"] for run in runs]), str(len(runs))]


def goal_line(records: dict[str, Any]) -> str:
    """Number of rows with a mean TV of at most GOAL, and the rows above it."""
    found = {
        label: report.mean_and_error([run["tv"] for run in record["runs"].values()])[0]
        for label, record in records.items()
        if record["runs"]
    }
    missed = [f"`{label}` ({tv:.3f})" for label, tv in found.items() if not tv <= GOAL]
    return f"* Mean TV is at most {GOAL:g} for {len(found) - len(missed)} of {len(found)} rows" + (
        f". Above it: {', '.join(missed)}." if missed else "."
    )


def settings_lines(records: dict[str, Any]) -> list[str]:
    """Settings of each agent, with agents of the same settings on one line."""
    groups: dict[str, list[str]] = {}
    for label, record in records.items():
        if record["runs"]:
            text = ", ".join(f"{name} {value}" for name, value in record["settings"].items())
            groups.setdefault(text or "the defaults", []).append(label)
    return [f"* Settings of {', '.join(f'`{label}`' for label in labels)}: {text}." for text, labels in groups.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.all_agents",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--agents", default="", metavar="NAMES", help="such as tb,db (default: all registered)")
    parser.add_argument("--env", default=",".join(ENVIRONMENTS), metavar="NAMES", help="hypergrid, bag, or both")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... of each agent")
    parser.add_argument("--limit", type=float, default=60.0, metavar="S", help="CPU seconds per run")
    parser.add_argument("--again", action="store_true", help="repeat finished runs")
    parser.add_argument("--quick", action="store_true", help="one seed and few iterations; nothing is written")
    parser.add_argument("--results", type=Path, default=report.RESULTS / "all_agents.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE", help="page that contains the section")
    options = parser.parse_args()
    environments = options.env.split(",")
    if unknown := [name for name in environments if name not in ENVIRONMENTS]:
        parser.error(f"--env: no {', '.join(unknown)}; allowed: {', '.join(ENVIRONMENTS)}")
    only = [name.strip() for name in options.agents.split(",") if name.strip()]

    results = {} if options.quick else report.load(options.results)
    for name in environments:
        id, arguments = ENVIRONMENTS[name]
        dag = gfn_envs.make_dag(id, **arguments)
        try:
            chosen_recipes = recipes(name, only)
        except ValueError as error:
            parser.error(f"--agents: {error}")
        for label, chosen in chosen_recipes.items():
            if options.quick:
                chosen = Recipe(chosen.agent, max(5, chosen.iterations // 50), chosen.settings)
            records = results.setdefault(name, {})
            record = records[label] = merged(records.get(label), chosen)
            for seed in range(1 if options.quick else options.seeds):
                before = record["runs"].get(str(seed), {"iterations": 0})
                if before["iterations"] >= chosen.iterations and not options.again:
                    continue
                try:
                    record["runs"][str(seed)] = run(dag, label, chosen, seed, options.limit)
                except UnsupportedError as error:
                    record["unsupported"] = str(error)
                    break
                finally:
                    record["machine"] = report.machine()
                    if not options.quick:
                        report.save(options.results, results)
            print(record["unsupported"] or " | ".join(row(label, record)), flush=True)
    if options.quick:
        return
    report.write_section("all_agents", section(results), options.page)
    print(f"written: {options.results} and {options.page}")


if __name__ == "__main__":
    main()
