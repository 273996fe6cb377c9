"""Active learning on TFBind8: GFlowNets on an acquisition function, a greedy GA, mcmc and random search.

Every method has the binding of 500 new 8-mers measured in each of 10 rounds (Jain et al. 2022). The measures are the
mean reward of the 100 best so far, and the mean number of letters in which two of them differ.

examples:
  python -m benchmarks.acquire --quick
  python -m benchmarks.acquire
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import gfn_envs
from benchmarks import report
from examples import acquire_tfbind8 as example

PATH = report.RESULTS / "acquire.json"
ROUNDS, BATCH, ITERATIONS = 10, 500, 500
#: Rounds that the table shows.
SHOWN = (2, 5, 10)


def section(results: dict[str, Any], best: float) -> str:
    """The section of docs/results.md."""
    rows = []
    for name, seeds in results.items():
        runs = list(seeds.values())
        cells = [
            report.cell([run["rounds"][k - 1][what] for run in runs], 3)
            for k in SHOWN
            for what in ("reward", "diversity")
        ]
        rows.append([name, *cells, report.cell([run["seconds"] for run in runs], 2), str(len(runs))])
    header = [f"{what}, {k * BATCH:,} calls" for k in SHOWN for what in ("reward", "diversity")]
    return "\n".join(
        [
            "## Rounds of expensive calls on TFBind8",
            "",
            f"`python -m benchmarks.acquire`: {BATCH} new 8-mers per round, {ROUNDS} rounds. Mean reward of the 100 "
            f"best so far (of all 65,536: {best:.3f}), and diversity, the mean number of letters in which two differ; "
            "mean ± standard error over seeds; CPU seconds. The GFlowNets are `tb`, trained anew in each round on the "
            "upper confidence bound (UCB) or the expected improvement (EI) of a random forest (`agents.acquire`). The "
            "genetic algorithm has crossover and point mutations of the 100 best. All search for the best objects; "
            "sampling in proportion to the reward is another task.",
            "",
            report.table(["method", *header, "seconds", "seeds"], rows),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 60 calls, one seed; nothing is written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (3, 60, 60) if options.quick else (ROUNDS, BATCH, ITERATIONS)
    results = {} if options.quick else report.load(PATH)
    dag = gfn_envs.make_dag("GFN/TFBind8-v0")
    for seed in [0] if options.quick else [int(seed) for seed in options.seeds.split(",")]:
        for name, search in example.methods(*sizes).items():
            if str(seed) in results.get(name, {}):
                continue
            begin = time.process_time()
            found = search(dag, seed)
            seconds = time.process_time() - begin
            rounds = example.measures(found, *sizes[:2])
            results.setdefault(name, {})[str(seed)] = {"rounds": rounds, "seconds": seconds}
            print(f"{name}, seed {seed}: {rounds[-1]}, {seconds:.0f} s", flush=True)
            if not options.quick:
                report.save(PATH, results)
    if not options.quick:
        report.write_section("acquire", section(results, float(np.sort(dag.reward_table)[-100:].mean())))


if __name__ == "__main__":
    main()
