"""Exact total variation over seconds of training on the 4-D grid of side 20: what each setting is worth.

Each variant changes one thing of the row before it, from trajectory balance with its defaults to the settings of
``make demo``. Seconds are CPU seconds of training on one thread, without evaluation. Times to a distance are read off
the curve at its checkpoints.

    python -m benchmarks.time_to_quality                    every variant, three seeds; writes docs/results.md
    python -m benchmarks.time_to_quality --only demo --seeds 0
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import agents
import gfn_envs
from agents.evaluation.evaluate import evaluate
from benchmarks import report

GRID = {"ndim": 4, "side": 20, "reward": "easy"}
PATH = report.RESULTS / "time_to_quality.json"
#: Distances whose first time is reported.
GOALS = (0.1, 0.05, 0.02, 0.01)
#: Share of the iterations after which TV is measured.
CHECKPOINTS = np.linspace(0.05, 1, 20)

#: Settings in order: each variant adds its own to those of the variant before.
STEPS: dict[str, dict[str, Any]] = {
    "on-policy": {"delay_stop": 0},
    "defaults (delay_stop 0.1)": {"delay_stop": None},
    "batch 128": {"batch_size": 128},
    "lr 8e-3 to 1e-5": {"lr": "8e-3,1e-5,{n}", "lr_log_z": "0.1,1e-4,{n}"},
    "delay_stop 0.4 to 0": {"delay_stop": "0.4,0,{quarter}"},
    "hidden 128": {"hidden": (128, 128)},
    "beta2 0.99": {"optimizer": "adam(betas=(0.9, 0.99))"},
    "muon": {"optimizer": "muon(betas=(0.9, 0.99))"},
    "mdb instead of tb": {"objective": "mdb", "epsilon": 0},
    "lr 2e-2 to 1e-5": {"lr": "2e-2,1e-5,{n}"},
    "delay_stop 0.8 to 0": {"delay_stop": "0.8,0,{quarter}"},
}
#: Trajectories that each variant samples, apart from the demo.
TRAJECTORIES = 192_000
#: Iterations of ``make demo``.
DEMO = 3_000


def variants() -> dict[str, tuple[dict[str, Any], int]]:
    """Settings and number of iterations by name. The last is that of ``make demo``, which trains longer."""
    found, settings = {}, {"objective": "tb"}
    for name, change in STEPS.items():
        settings = settings | change
        if settings["objective"] == "mdb":
            settings.pop("lr_log_z", None)  # It has no log Z to learn.
        found[name] = settings, TRAJECTORIES // settings.get("batch_size", 16)
    return found | {"demo": (settings, DEMO)}


def filled(settings: dict[str, Any], iterations: int) -> dict[str, Any]:
    """Settings with the iterations of schedules in place of ``{n}`` and ``{quarter}``."""
    numbers = {"n": iterations, "quarter": iterations // 4}
    return {k: v.format(**numbers) if isinstance(v, str) and "{" in v else v for k, v in settings.items()}


def run(settings: dict[str, Any], iterations: int, seed: int) -> list[list[float]]:
    """Rows of (iteration, seconds, TV)."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", **GRID)
    given = filled(settings, iterations)
    objective = given.pop("objective")
    agent = agents.make_agent(objective, dag, seed=seed, **given)
    agents.make_agent(objective, dag, **given).update()  # Compiles.
    evaluate(agent)
    due = {round(share * iterations) for share in CHECKPOINTS}
    rows, seconds = [], 0.0
    for iteration in range(1, iterations + 1):
        start = time.process_time()
        agent.update()
        seconds += time.process_time() - start
        if iteration in due:
            rows.append([iteration, seconds, evaluate(agent)["tv"]])
    return rows


def first_time(rows: list[list[float]], goal: float) -> float | None:
    """Seconds at the first checkpoint from which TV stays at ``goal`` or below; None if it does not."""
    above = [i for i, row in enumerate(rows) if row[2] > goal]
    after = above[-1] + 1 if above else 0
    return rows[after][1] if after < len(rows) else None


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for name, (_, iterations) in variants().items():
        curves = list(results["variants"].get(name, {}).values())
        if not curves:
            continue
        line = [name, f"{iterations:,}", str(len(curves)), report.cell([c[-1][1] for c in curves], 3)]
        line.append(report.cell([c[-1][2] for c in curves]))
        for goal in GOALS:
            times = [first_time(curve, goal) for curve in curves]
            line.append(", ".join("-" if t is None else f"{t:.1f}" for t in times))
        rows.append(line)
    header = ["setting, added to those above", "iterations", "seeds", "seconds", "final TV"]
    return (
        "## Time to quality\n\nThe 4-D grid of side 20, easy reward, 160,000 objects; CPU seconds of one thread of "
        f"{results['machine']['processor']}. Last columns: seconds until exact TV stays at or below the number, per "
        "seed; - if it does not.\n\n`python -m benchmarks.time_to_quality`\n\n"
        + report.table([*header, *(f"TV {goal}" for goal in GOALS)], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="variants whose name contains this text")
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (default: %(default)s)")
    parser.add_argument("--report", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = report.load(PATH) or {"variants": {}}
    results["machine"] = report.machine_facts()
    for seed in options.seeds.split(","):
        for name, (settings, iterations) in variants().items():
            curves = results["variants"].setdefault(name, {})
            if options.only not in name or options.report or seed in curves:
                continue
            curves[seed] = run(settings, iterations, int(seed))
            print(f"{name}, seed {seed}: {curves[seed][-1]}", flush=True)
            report.save(PATH, results)
    report.write_section("time-to-quality", section(results))


if __name__ == "__main__":
    main()
