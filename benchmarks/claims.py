"""Headline claims of recent papers, each on small exact tasks at equal transitions: total variation against a baseline.

Every run is one line of benchmarks/results/claims.jsonl; finished runs are not repeated. All methods have the same
network, batch size, learning rate and numbers of steps taken or undone, replayed and searched ones included.

examples:
  python -m benchmarks.claims             run what is missing, and write the section of docs/methods.md
  python -m benchmarks.claims --report    write the section from the runs that are there
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import numpy as np

import agents
import gfn_envs
from agents.evaluation.evaluate import evaluate
from benchmarks import ranking, report

PATH = report.RESULTS / "claims.jsonl"
SEEDS = range(3)
#: Transitions per run, and CPU seconds after which a run that has not reached them ends.
TRANSITIONS, SECONDS = 300_000, 15.0
SHARED: dict[str, Any] = {"hidden": (64, 64), "batch_size": 32, "lr": 3e-3}

#: name -> (registered id, arguments)
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "hard grid 32 x 32": ("GFN/HyperGrid-v0", {"ndim": 2, "side": 32, "reward": "hard"}),
    "deceptive grid 8^4": ("GFN/HyperGrid-v0", {"ndim": 4, "side": 8, "reward": "deceptive"}),
    "bag": ("GFN/Bag-v0", {"num_letters": 5, "capacity": 8, "repeats": 4}),
}

ON_POLICY = {"delay_stop": 0.0}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "tb": ("tb", ON_POLICY),
    "shifted-cosh": ("tb", ON_POLICY | {"loss": "shifted-cosh"}),
    "alpha 0.8 to 0.5": ("tb", ON_POLICY | {"mixing": "0.8,0.5,200"}),
    "teacher": ("tb", ON_POLICY | {"explorer": "teacher"}),
    "Thompson": ("tb", ON_POLICY | {"explorer": "thompson(members=10)"}),
    "rl-u": ("rl-u", {}),
    "rl-eb": ("rl-eb", {}),
    "rl-ppo": ("rl-ppo", {}),
}


class Claim(NamedTuple):
    """A claim that a method is closer to the target than a baseline."""

    paper: str
    text: str
    method: str
    baseline: str


CLAIMS = [
    Claim("Hu et al. 2025", "shifted-cosh converges faster than the square", "shifted-cosh", "tb"),
    Claim("Chen et al. 2026", "mixing, annealed to 0.5, beats equal mixing", "alpha 0.8 to 0.5", "tb"),
    Claim("Kim et al. 2025", "an adaptive teacher beats on-policy trajectory balance", "teacher", "tb"),
    Claim("Rector-Brooks et al. 2023", "Thompson sampling beats on-policy trajectory balance", "Thompson", "tb"),
    Claim("Niu et al. 2026", "Sub-EB beats values fitted to sampled returns", "rl-eb", "rl-u"),
    Claim("Zykova-Myzina et al. 2026", "Ent-PPO beats vanilla policy gradients", "rl-ppo", "rl-u"),
]


def run(task: str, method: str, seed: int) -> dict[str, Any]:
    """One run: exact total variation after TRANSITIONS, or after SECONDS."""
    (env, arguments), (name, settings) = TASKS[task], METHODS[method]
    agent = agents.make_agent(name, gfn_envs.make_dag(env, **arguments), seed=seed, **SHARED, **settings)
    start, transitions = time.process_time(), 0
    while transitions < TRANSITIONS and time.process_time() - start < SECONDS:
        transitions += agent.update()["transitions"]
    seconds = time.process_time() - start
    found = {"tv": evaluate(agent, num_samples=2)["tv"], "transitions": transitions, "seconds": seconds}
    return {"task": task, "method": method, "seed": seed, "iterations": agent.iteration, **found}


def section(rows: list[dict[str, Any]]) -> str:
    """The claims, with the total variation of both sides and a verdict by two standard errors of the difference."""

    def values(task: str, method: str) -> list[float]:
        return [row["tv"] for row in rows if (row["task"], row["method"]) == (task, method)]

    lines = []
    for claim in CLAIMS:
        for task in TASKS:
            ours, theirs = values(task, claim.method), values(task, claim.baseline)
            if min(len(ours), len(theirs)) < 2:
                continue
            (a, e), (b, f) = report.mean_and_error(ours), report.mean_and_error(theirs)
            gap, error = b - a, float(np.hypot(e, f))
            verdict = "yes" if gap > 2 * error else "no, the opposite" if gap < -2 * error else "no difference"
            lines.append([claim.paper, claim.text, task, report.cell(ours), report.cell(theirs), verdict])
    head = ["paper", "claim", "task", "TV of the method", "TV of the baseline", "holds here"]
    text = (
        f"`python -m benchmarks.claims`: mean ± standard error over {len(SEEDS)} seeds of exact total variation after "
        f"{TRANSITIONS:,} transitions, with default settings of each method, a network of 64 x 64, batches of 32 and a "
        "learning rate of 3e-3 throughout, and trajectory balance on-policy (`delay_stop=0`). A difference counts from "
        "two standard errors. A small test of direction only: the papers' tasks are larger and their settings tuned. "
        f"`rl-ppo` takes 16 gradient steps per batch, and a run ends after {SECONDS:.0f} CPU seconds: on the bag it "
        "saw a sixth fewer transitions than the others."
    )
    return f"## Do their claims hold on small exact tasks?\n\n{text}\n\n{report.table(head, lines)}"


def main() -> None:
    """Run what is missing, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="write the section from the runs that are there")
    given = parser.parse_args()
    rows = ranking.rows(PATH)
    done = {(row["task"], row["method"], row["seed"]) for row in rows}
    cells = [(t, m, s) for s in SEEDS for t in TASKS for m in METHODS if (t, m, s) not in done]
    for cell in [] if given.report else cells:
        row = run(*cell)
        print(row, flush=True)
        ranking.append(row, PATH)
    report.write_section("claims", section(ranking.rows(PATH)), report.ROOT / "docs" / "methods.md")


if __name__ == "__main__":
    main()
