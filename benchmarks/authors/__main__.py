"""The code of papers' authors and ours at equal settings: exact total variation, and iterations per CPU second.

Their code is not part of this repository. Clone each repository into a folder ``owner/name`` (benchmarks/authors/
comparisons.py has the commits), and make an environment with what it needs:

  pip install torch torchtyping "typeguard<3" einops networkx pandas scikit-learn rdkit pyyaml psutil tqdm tensordict

Both sides run one after the other on one thread. Both forward policies are evaluated by the same exact dynamic
programming, on rewards with the same log Z. Every run is one line of benchmarks/results/authors.jsonl; finished runs
are not repeated.

examples:
  python -m benchmarks.authors --checkouts ~/code --python ~/authors/bin/python
  python -m benchmarks.authors --checkouts ~/code --python ~/authors/bin/python --only Sub-EB
  python -m benchmarks.authors --report                        the section of docs/methods.md
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import agents
import gfn_envs
from agents.evaluation.evaluate import target_of
from benchmarks import ranking, report
from benchmarks.authors.comparisons import COMPARISONS, Comparison
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry

PATH = report.RESULTS / "authors.jsonl"
WORKERS = Path(__file__).resolve().parent / "workers"
SEEDS = range(3)
#: tracked: ours with track_log_z, our default.
SIDES = ("theirs", "ours", "tracked")


@functools.lru_cache(maxsize=1)
def environment(env: str, arguments: str) -> gfn_envs.Dag:
    """The environment; the last one is kept, with its enumerated states."""
    return gfn_envs.make_dag(env, **json.loads(arguments))


def total_variation(dag: gfn_envs.Dag, policy: exact.ForwardPolicy) -> float:
    """Exact total variation between the objects of a policy and R / Z."""
    return exact.total_variation(exact.terminal_distribution(dag, policy), target_of(dag).probabilities)


def table_policy(states: IntArray, probabilities: FloatArray) -> exact.ForwardPolicy:
    """The policy with these probabilities (s, actions) in these states (s, width).

    Raises:
        KeyError: it is asked for another state.
    """
    place = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(states, np.int64))}

    def policy(asked: IntArray) -> FloatArray:
        return probabilities[[place[row.tobytes()] for row in np.ascontiguousarray(asked, np.int64)]]

    return policy


def run_ours(found: Comparison, seed: int, **others: Any) -> dict[str, Any]:
    """Our agent, with ``others`` in place of some settings: total variation and CPU seconds.

    A first iteration of another agent compiles what is compiled.
    """
    dag, settings = environment(found.env, json.dumps(found.arguments)), dict(found.settings) | others
    agents.make_agent(found.agent, dag, seed=0, **settings).update()
    agent = agents.make_agent(found.agent, dag, seed=seed, **settings)
    start = time.process_time()
    for _ in range(found.iterations):
        agent.update()
    seconds = time.process_time() - start
    engine = agent.engine.name if hasattr(agent, "engine") else "torch"
    return {"tv": total_variation(dag, agent.probabilities), "seconds": seconds, "engine": engine}


def run_theirs(found: Comparison, seed: int, checkouts: Path, python: str) -> dict[str, Any]:
    """The authors' code, in a process of its own.

    Raises:
        RuntimeError: it failed, its rewards are not ours, or its probabilities do not sum to 1.
    """
    dag = environment(found.env, json.dumps(found.arguments))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "policy.npz"
        common = {"checkout": str(checkouts / found.repository), "seed": seed, "iterations": found.iterations}
        table = {"table": str(registry.fetch("qm9str"))} if found.worker == "strings.py" else {}
        task = json.dumps(common | dict(found.theirs) | table | {"out": str(out)})
        done = subprocess.run([python, str(WORKERS / found.worker), task], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{found.worker} failed:\n{done.stderr[-3000:]}")
        answer = json.loads(done.stdout.splitlines()[-1])
        with np.load(out) as arrays:
            states, probabilities = arrays["states"], arrays["probabilities"]
    if abs(answer["log_z"] - target_of(dag).log_z) > 1e-4:
        raise RuntimeError(f"{found.repository} has log Z {answer['log_z']}, ours is {target_of(dag).log_z}")
    if np.abs(probabilities.sum(1) - 1).max() > 1e-4:
        raise RuntimeError(f"{found.repository} has probabilities that do not sum to 1")
    return {"tv": total_variation(dag, table_policy(states, probabilities)), "seconds": answer["seconds"]}


def text_of(numbers: set[int]) -> str:
    """A number, or the least and the largest."""
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def section(rows: list[dict[str, Any]]) -> str:
    """The table of all comparisons with at least two seeds of both sides."""
    lines, departures, seeds = [], [], {len(SEEDS)}
    for name, found in COMPARISONS.items():
        sides = {s: [r for r in rows if (r["comparison"], r["side"]) == (name, s)] for s in ("theirs", "ours")}
        if min(map(len, sides.values())) < 2:
            continue
        tv = {side: [row["tv"] for row in runs] for side, runs in sides.items()}
        speed = {s: float(np.mean([r["iterations"] / r["seconds"] for r in runs])) for s, runs in sides.items()}
        (a, e), (b, f) = report.mean_and_error(tv["ours"]), report.mean_and_error(tv["theirs"])
        verdict = "equal within error" if abs(a - b) <= 2 * np.hypot(e, f) else "ours is closer" if a < b else "farther"
        seeds |= {len(runs) for runs in sides.values()}
        arguments = ", ".join(f"{key}={value}" for key, value in found.arguments.items())
        task = f"{found.env.removeprefix('GFN/').removesuffix('-v0')}({arguments}), {found.iterations} iterations"
        code = f"[{found.repository}](https://github.com/{found.repository}) {found.commit}"
        speeds = [f"{speed['theirs']:.3g}", f"{speed['ours']:.3g} ({sides['ours'][0]['engine']})"]
        ratio = f"{speed['ours'] / speed['theirs']:.3g}"
        tracked = [row["tv"] for row in rows if (row["comparison"], row["side"]) == (name, "tracked")]
        values = [report.cell(tv["theirs"]), report.cell(tv["ours"])]
        lines.append([name, code, task, *values, verdict, *speeds, ratio, report.cell(tracked) if tracked else "-"])
        departures.append(f"- {name}: {found.departures}.")
    head = ["method", "code", "task", "TV, theirs", "TV, ours", "", "iterations/s, theirs", "ours", "times"]
    head.append("TV, ours with log Z tracked")
    text = (
        "`python -m benchmarks.authors` runs the authors' own code and ours with equal settings "
        f"(benchmarks/authors/comparisons.py): mean ± standard error over {text_of(seeds)} seeds of exact total "
        "variation, of both forward policies by the same dynamic programming, and iterations per CPU second on "
        "one core. A difference counts from two standard errors. Their code does not set log Z to the estimate of "
        "a batch while it is far off, so `track_log_z` is off, except in the last column. What is changed so that "
        "their code runs is in the head of each script of benchmarks/authors/workers. What is not equal:"
    )
    return "\n\n".join(
        ["## The authors' code at equal settings", text, "\n".join(departures), report.table(head, lines)]
    )


def main() -> None:
    """Run what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkouts", type=Path, help="folder with owner/name of each repository")
    parser.add_argument("--python", help="interpreter with what their code needs")
    parser.add_argument("--only", choices=COMPARISONS, action="append", help="only this method; may be repeated")
    parser.add_argument("--side", choices=SIDES, help="only this side")
    parser.add_argument("--report", action="store_true", help="write the section from the runs that are there")
    parser.add_argument("--results", type=Path, default=PATH, help="file of the rows")
    given = parser.parse_args()
    if not (given.report or given.side in SIDES[1:] or (given.checkouts and given.python)):
        parser.error("--checkouts and --python are needed to run the authors' code")
    done = {(row["comparison"], row["side"], row["seed"]) for row in ranking.rows(given.results)}
    cells = [(n, s, i) for i in SEEDS for n in given.only or COMPARISONS for s in SIDES]
    for name, side, seed in [] if given.report else cells:
        if (name, side, seed) in done or given.side not in (None, side):
            continue
        found = COMPARISONS[name]
        if side == "theirs":
            answer = run_theirs(found, seed, given.checkouts, given.python)
        else:
            answer = run_ours(found, seed, track_log_z=side == "tracked")
        row = {"comparison": name, "side": side, "seed": seed, "iterations": found.iterations, **answer}
        print(row, flush=True)
        ranking.append(row, given.results)
    if given.report:
        report.write_section("authors", section(ranking.rows(given.results)), report.ROOT / "docs" / "methods.md")


if __name__ == "__main__":
    main()
