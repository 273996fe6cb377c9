"""Costs of sweeps and oracle calls on Ray: measured on this machine, and simulated for up to 1,000 workers.

    python -m benchmarks.cluster               all three parts, then docs/cluster.md and its figure
    python -m benchmarks.cluster --only sweep  24 runs one after the other, and by gfn sweep with one run per core
    python -m benchmarks.cluster --only calls  Ray's cost per call; calls of a second on few and on many workers
    python -m benchmarks.cluster --only plan   simulation with these costs; writes the page and the figure

Parts need a machine that does nothing else. Results: benchmarks/results/cluster.json.
"""

from __future__ import annotations

import argparse
import heapq
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.runs.compare import read_run
from agents.sweeps.grid import parse_grid, parse_seeds, plan
from agents.sweeps.ray_runner import connected
from benchmarks.cluster_page import calls_text, draw, sweep_text
from benchmarks.report import RESULTS, ROOT, load, machine, save, write_section

FILE = RESULTS / "cluster.json"
PAGE = ROOT / "docs" / "cluster.md"
FIGURE = ROOT / "docs" / "figures" / "cluster.png"

#: The sweep that is timed: 2 agents x 2 learning rates x 6 seeds = 24 runs.
AGENTS, ENV, GRID, SEEDS = ["tb", "subtb"], "GFN/HyperGrid-v0", ["agent.lr=1e-3,3e-3"], "0:6"
FLAGS = ["--env.ndim", "4", "--env.side", "8", "--agent.engine", "torch"]
QUIET = ["--no-progress", "--no-figures"]
#: Seconds of the simulated oracle.
SECONDS = 1.0
#: Numbers of workers: processes of their own, and calls at once in few processes.
PROCESSES, THREADS, PLANNED = (1, 2, 8, 32), (100, 300, 1000), (1, 2, 8, 32, 100, 300, 1000, 3000)
#: Calls at once in one process, if calls only wait.
CALLS_PER_PROCESS = 50


# ---------------------------------------------------------------------- 24 runs


def timed_sweep(iterations: int) -> dict[str, Any]:
    """Seconds of 24 runs: a loop in one process, and gfn sweep. Both start from nothing."""
    runs = plan({name: parse_grid(GRID) for name in AGENTS}, parse_seeds(SEEDS))
    common = [*FLAGS, "--iterations", str(iterations), "--threads", "1"]
    with tempfile.TemporaryDirectory() as folder:
        loop, sweep = Path(folder, "loop"), Path(folder, "sweep")
        commands = [
            ["train", run.agent, ENV, *common, *run.flags(), *QUIET, "--out", str(loop / run.name)] for run in runs
        ]
        serial = _seconds(["-c", f"from agents.cli.main import run\nfor words in {commands!r}:\n    run(words)"])
        one = _seconds(["-m", "agents", *commands[0][:-1], str(Path(folder, "one"))])
        words = ["sweep", ",".join(AGENTS), ENV, "--grid", *GRID, "--seeds", SEEDS, *common, "--out", str(sweep)]
        parallel = _seconds(["-m", "agents", *words])
        trained = [read_run(loop / run.name).final["seconds"] for run in runs]
        same = [_numbers(loop / run.name) == _numbers(sweep / run.name) for run in runs]
    return {
        "runs": len(runs),
        "iterations": iterations,
        "cores": os.cpu_count(),
        "serial": serial,
        "sweep": parallel,
        "times": serial / parallel,
        "one": one,
        "training": sum(trained),
        "same": sum(same),
    }


def _seconds(words: Sequence[str]) -> float:
    """Seconds that a Python process takes."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    subprocess.run([sys.executable, *words], check=True, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _numbers(out: Path) -> list[dict[str, Any]]:
    """The history of a run without seconds."""
    return [{k: v for k, v in row.items() if "second" not in k} for row in read_run(out).history]


# ---------------------------------------------------------------------- calls of an oracle


def measured_calls(cores: int) -> dict[str, Any]:
    """Ray's cost per call, and calls a second of an oracle that takes SECONDS, by number of workers."""
    with connected(None, cores) as ray:

        class Oracle:
            """Waits as an oracle does that computes elsewhere."""

            def call(self, seconds: float) -> float:
                time.sleep(seconds)
                return seconds

        def workers(number: int, each: int = 1) -> list[Any]:
            """``number`` calls at once, ``each`` of them in one process. They reserve no core."""
            made = ray.remote(Oracle).options(num_cpus=0, max_concurrency=each)
            actors = [made.remote() for _ in range(-(-number // each))]
            slots = [actors[k // each] for k in range(number)]
            ray.get([slot.call.remote(0.0) for slot in slots])
            return slots

        empty, driver = {}, {}
        for number in (1, 2):
            slots = workers(number)
            cpu = time.process_time()
            empty[number] = calls_per_second(slots, 0.0, 2000)
            driver[number] = (time.process_time() - cpu) / 2000
        alone = workers(1)[0]
        latencies = [_timed(lambda: ray.get(alone.call.remote(0.0))) for _ in range(500)]
        real = {}
        for numbers, each in ((PROCESSES, 1), (THREADS, CALLS_PER_PROCESS)):
            for number in numbers:
                slots = workers(number, each)
                real[number] = calls_per_second(slots, SECONDS, max(10, 10 * number))
                for actor in set(slots):
                    ray.kill(actor)
    return {
        "cores": cores,
        "empty": empty,
        "driver": driver,
        "latency": float(np.median(latencies)),
        "real": real,
        "seconds": SECONDS,
        "processes": max(PROCESSES),
        "per_process": CALLS_PER_PROCESS,
    }


def calls_per_second(slots: Sequence[Any], seconds: float, calls: int) -> float:
    """Calls a second if each slot gets its next call once its last one has ended."""
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask(slot: Any) -> None:
        # As oracles do (gfn_envs.oracle): the cost of a result does not grow with the number of calls under way.
        slot.call.remote(seconds).future().add_done_callback(lambda _: ended.put(slot))

    start, asked = time.perf_counter(), min(calls, len(slots))
    for slot in slots[:asked]:
        ask(slot)
    for _ in range(calls):
        slot = ended.get()
        if asked < calls:
            ask(slot)
            asked += 1
    return calls / (time.perf_counter() - start)


def _timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


# ---------------------------------------------------------------------- plan


def simulate(workers: int, seconds: float, cost: float, latency: float, calls: int, seed: int = 0) -> dict[str, float]:
    """One scheduler that hands calls to workers, as a discrete simulation.

    A call occupies a worker for ``seconds`` (uniform within a tenth of it), the scheduler for ``cost``, and is under
    way for ``latency``. The scheduler serves results in the order of their arrival, and gives the worker its next call.

    Returns:
        ``rate`` (calls a second once all workers are busy), ``scheduler`` and ``workers`` (shares of time that they
        are busy).
    """
    rng = np.random.default_rng(seed)
    durations = seconds * rng.uniform(0.9, 1.1, workers + calls)
    durations[:workers] *= rng.uniform(0.0, 1.0, workers)  # as if they had begun one by one
    clock, arrivals = 0.0, []
    for k in range(workers):
        clock += cost
        heapq.heappush(arrivals, clock + latency + durations[k])
    begin, busy, worked = 0.0, 0.0, 0.0
    for k in range(calls):
        clock = max(clock, heapq.heappop(arrivals)) + cost
        if k == workers:
            begin, busy, worked = clock, 0.0, 0.0
        busy, worked = busy + cost, worked + durations[workers + k]
        heapq.heappush(arrivals, clock + latency + durations[workers + k])
    span = clock - begin
    return {
        "rate": (calls - workers - 1) / span,
        "scheduler": min(1.0, busy / span),
        "workers": min(1.0, worked / span / workers),
    }


def planned(calls: dict[str, Any]) -> dict[str, Any]:
    """The simulation with measured costs: that of the driver alone, and of all of Ray on the cores of this machine."""
    costs = {"driver": calls["driver"]["2"], "machine": 1 / calls["empty"]["2"]}
    return {
        name: {
            "cost": cost,
            **{str(n): simulate(n, calls["seconds"], cost, calls["latency"], 12 * n + 100) for n in PLANNED},
        }
        for name, cost in costs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=["sweep", "calls", "plan"], help="one part")
    parser.add_argument("--iterations", type=int, default=2000, help="of each of the 24 runs (default 2000)")
    options = parser.parse_args()
    results = load(FILE)
    if options.only in (None, "sweep"):
        results["sweep"] = timed_sweep(options.iterations) | {"machine": machine()}
        save(FILE, results)
        print(sweep_text(results["sweep"]))
    if options.only in (None, "calls"):
        results["calls"] = measured_calls(os.cpu_count() or 1) | {"machine": machine()}
        save(FILE, results)
        results = load(FILE)  # keys are text from here on
    if "calls" in results:
        results["plan"] = planned(results["calls"])
        save(FILE, results)
        print(calls_text(results["calls"], results["plan"], PLANNED))
    write_page(results)


def write_page(results: dict[str, Any]) -> None:
    """The section of docs/cluster.md with the results that there are, and its figure."""
    parts = []
    if "sweep" in results:
        parts += ["### 24 runs", sweep_text(results["sweep"]), f"Machine: {results['sweep']['machine']}."]
    if "calls" in results:
        calls, plans = results["calls"], results["plan"]
        draw(calls, plans, PLANNED, FIGURE)
        parts += ["### Calls of an oracle", calls_text(calls, plans, PLANNED)]
        parts += ["![Calls per second by number of workers](figures/cluster.png)", f"Machine: {calls['machine']}."]
    write_section("cluster", "\n\n".join(parts), PAGE)


if __name__ == "__main__":
    main()
