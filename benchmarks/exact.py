"""Exact evaluation of a trained MLP policy on grids of 160,000 to 16.7 million cells: seconds, memory, distances.

python -m benchmarks.exact               # three grids; writes benchmarks/results/exact.json and docs/results.md
python -m benchmarks.exact --grids 8x8   # one grid, merged with the results that are there
python -m benchmarks.exact --only 4x20   # one grid; writes nothing

Each grid has a process of its own, so that its peak memory is that of training and evaluation on this grid alone. The
first evaluation also lists the states and evaluates all rewards; the others are what training waits for.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import torch

import agents
import gfn_envs
from agents.evaluation.evaluate import exact_distribution, is_enumerable, target_of, watched_metrics
from agents.threads import working_threads
from benchmarks import report
from benchmarks.matmul_peak import peak

#: Dimension and side of each grid -> limits in seconds and bytes.
GRIDS: dict[tuple[int, int], tuple[float, float]] = {(4, 20): (0.3, 6e9), (6, 8): (10.0, 6e9), (8, 8): (120.0, 6e9)}


def measure(ndim: int, side: int, iterations: int, repeats: int) -> dict[str, Any]:
    """Train ``tb`` and evaluate it exactly: seconds, CPU seconds, peak memory and distances."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=side)
    agent = agents.make_agent("tb", dag, batch_size=64, epsilon=0.1)
    for _ in range(iterations):
        agent.update()
    assert is_enumerable(dag, dag.num_states)
    seconds, cpu = [], []
    for _ in range(repeats + 1):
        start, begun = time.perf_counter(), time.process_time()
        learned = exact_distribution(agent)
        found = watched_metrics(agent, learned, target_of(dag))
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - begun)
    sizes = [dag.num_features, *agent.config.hidden, dag.num_actions]
    products = 2 * sum(a * b for a, b in itertools.pairwise(sizes)) * dag.num_terminal_states
    return {
        "ndim": ndim,
        "side": side,
        "objects": dag.num_terminal_states,
        "iterations": iterations,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[1],
        "first_seconds": seconds[0],
        "seconds": min(seconds[1:], default=seconds[0]),
        "cpu_seconds": min(cpu[1:], default=cpu[0]),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "network_flop": products,
        "peak_flop_per_second": peak(torch.get_num_threads()),
        "mass": float(learned.sum()),
        **{name: found[name] for name in ("tv", "jsd", "l1_mean", "log_z_error", "mean_reward_error")},
    }


def markdown(records: list[dict[str, Any]]) -> str:
    """Table of the records, with the limits."""
    rows = []
    for r in records:
        limit, memory = GRIDS[r["ndim"], r["side"]]
        network = r["network_flop"] / r["peak_flop_per_second"]
        rows.append(
            [
                f"{r['ndim']}-D side {r['side']}",
                f"{r['objects']:,}",
                f"{r['first_seconds']:.3g}",
                f"{r['seconds']:.3g} (limit {limit:g})",
                f"{r['cpu_seconds']:.3g}",
                f"{r['load']:.1f}",
                f"{network:.2g}",
                f"{r['peak_bytes'] / 1e9:.2g} (limit {memory / 1e9:g})",
                f"{r['tv']:.4f}",
                f"{r['jsd']:.4f}",
                f"{r['log_z_error']:.4f}",
                f"{abs(r['mass'] - 1):.0e}",
            ]
        )
    header = [
        "grid",
        "objects",
        "first, s",
        "then, s",
        "CPU, s",
        "load",
        "products at peak, s",
        "peak memory, GB",
        "TV",
        "JSD",
    ]
    return report.table([*header, "log Z error", "1 - mass"], rows)


def section(records: list[dict[str, Any]]) -> str:
    """The section of docs/results.md."""
    return f"""## Exact evaluation of large grids

`python -m benchmarks.exact` ({report.machine()}; evaluated on {records[0]["threads"]} thread).
`tb` with two hidden layers of 256, after {records[0]["iterations"]} iterations with batches of 64. It has not
converged, because only the evaluation is measured. "Load" is the mean number of processes that wanted a core: at more
than the number of cores, only the CPU seconds count. Total variation, JSD and log Z are exact: the probability of every
cell is computed, level after level. "First" includes the rewards of all cells. "Products at peak" is the time of the
network's matrix products at the highest speed measured here. Memory is the peak of the whole process.

{markdown(records)}"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exact", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [f"{ndim}x{side}" for ndim, side in GRIDS]
    parser.add_argument("--only", choices=names, help="one grid, as dimensions x side; writes nothing")
    parser.add_argument("--grids", default=",".join(names), help="grids whose records are replaced (default: all)")
    parser.add_argument("--iterations", type=int, default=300, help="of training (default 300)")
    parser.add_argument("--repeats", type=int, default=2, help="evaluations after the first (default 2)")
    parser.add_argument("--threads", type=int, help="number of threads (default 1)")
    parser.add_argument("--json", action="store_true", help="print the record of --only as JSON")
    options = parser.parse_args()
    if options.only:
        ndim, side = map(int, options.only.split("x"))
        with working_threads(options.threads):
            record = measure(ndim, side, options.iterations, options.repeats)
        print(json.dumps(record) if options.json else markdown([record]))
        return
    path = report.RESULTS / "exact.json"
    records = {f"{r['ndim']}x{r['side']}": r for r in report.load(path).get("records", [])}
    for name in options.grids.split(","):
        command = [sys.executable, "-m", "benchmarks.exact", "--only", name, "--json"]
        command += ["--iterations", str(options.iterations), "--repeats", str(options.repeats)]
        command += ["--threads", str(options.threads)] if options.threads else []
        done = subprocess.run(command, cwd=report.ROOT, stdout=subprocess.PIPE, text=True, check=True)
        records[name] = json.loads(done.stdout)
        print(markdown([records[name]]))
        known = [records[name] for name in names if name in records]
        report.save(path, {"machine": report.machine_facts(), "records": known})
        report.write_section("exact", section(known))


if __name__ == "__main__":
    main()
