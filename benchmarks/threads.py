"""Iterations beside busy processes, side by side, and by two processes that share batches.

python -m benchmarks.threads            a quarter of an hour on an idle machine with two cores
python -m benchmarks.threads --only numba,128
python -m benchmarks.threads --quick    two minutes; nothing is written

The ratios are those of medians, from blocks that alternate between the situations, so that drift of the machine
cancels:

- default beside 1 and 2 busy processes, over one thread beside as many (at most 1.5): what the rule for threads costs;
- the same over an idle machine: what the busy processes take, which no rule changes;
- each of two trainings side by side, over one alone (at most 1.3);
- one process over two that share each batch (at least 1.7 from batch 128 on).

Results are merged into benchmarks/results/threads.json, and the section of docs/results.md is written from it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

SETTINGS: dict[str, Any] = {"lr": 1e-6}
#: Added to the logit of stopping, so that trajectories are about as long as those of a trained policy.
STOP_BIAS = -1.8
WARM = 30
#: Iteration at which blocks start: in the middle of a run, whether log Z follows is looked at rarely.
MIDDLE = 10_000


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that use a core each."""
    # They end by themselves if this process is killed.
    loop = "import time\nend = time.time() + 120\nwhile time.time() < end: pass"
    running = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(processes)]
    try:
        time.sleep(0.2)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def worker(pipe: Any, engine: str, batch: int, threads: int | None, rank: int, size: int, store: str) -> None:
    """Train on request: a number of iterations per message, answered by milliseconds per iteration."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(size))
    if size > 1:
        os.environ.update(GFN_PROCESS_STORE=store, **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}))
    import torch

    import agents
    from agents.distributed.group import join
    from agents.distributed.team import Team
    from agents.threads import working_threads

    dag = agents_dag()
    agent = agents.make_agent("tb", dag, seed=0, engine=engine, batch_size=batch, **SETTINGS)
    with torch.no_grad():
        agent.policy.networks[0].layers[-1][1][dag.num_actions - 1] += STOP_BIAS
    agent.iteration = MIDDLE
    join()
    update = Team(agent, 0).update if size > 1 else agent.update
    with contextlib.ExitStack() as stack:
        if threads is not None:
            stack.enter_context(working_threads(threads))
        for _ in range(WARM):
            update()
        pipe.send("ready")
        while (iterations := pipe.recv()) is not None:
            start = time.perf_counter()
            for _ in range(iterations):
                update()
            pipe.send((time.perf_counter() - start) * 1000 / iterations)


def agents_dag() -> Any:
    """The field's benchmark: a 4-D grid of side 20."""
    import gfn_envs

    return gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=4, side=20, reward="easy")


class Workers:
    """One training, in one process or in several that share its batches."""

    def __init__(self, engine: str, batch: int, threads: int | None = None, size: int = 1):
        spawn = multiprocessing.get_context("spawn")
        store = os.path.join(tempfile.mkdtemp(prefix="gfn-threads-"), "store")
        self.pipes, self.processes = [], []
        for rank in range(size):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(
                target=worker, args=(theirs, engine, batch, threads, rank, size, store), daemon=True
            )
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            pipe.recv()

    def begin(self, iterations: int) -> None:
        """Start a block."""
        for pipe in self.pipes:
            pipe.send(iterations)

    def end(self) -> float:
        """Milliseconds per iteration of the block."""
        return max(pipe.recv() for pipe in self.pipes)

    def block(self, iterations: int) -> float:
        self.begin(iterations)
        return self.end()

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
        for process in self.processes:
            process.join(10)


class Trainings:
    """The trainings of one row: default settings, one thread, default again, and two processes."""

    def __init__(self, engine: str, batch: int):
        self.default, self.one, self.twin = (Workers(engine, batch, threads) for threads in (None, 1, None))
        self.pair = Workers(engine, batch, size=2)

    def close(self) -> None:
        for training in (self.default, self.one, self.twin, self.pair):
            training.close()


def blocks(trainings: Trainings, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Milliseconds per iteration in each situation, of alternating blocks of about ``seconds``."""
    default, one, twin, pair = trainings.default, trainings.one, trainings.twin, trainings.pair
    iterations = max(2, int(seconds * 1000 / default.block(5)))
    times: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        times.setdefault(name, []).append(value)

    for _ in range(rounds):
        for number in (0, 1, 2):
            with busy(number):
                add(f"default+{number}", default.block(iterations))
                add(f"one+{number}", one.block(iterations))
        add("pair", pair.block(iterations))
        default.begin(iterations)
        twin.begin(iterations)
        add("side", max(default.end(), twin.end()))
    return times


#: Ratio -> (situation, over which other, bound as text, whether a value meets the bound, from which batch on).
RATIOS: dict[str, tuple[str, str, str, Callable[[float], bool], int]] = {
    "1 busy / one thread": ("default+1", "one+1", "at most 1.5", lambda r: r <= 1.5, 0),
    "2 busy / one thread": ("default+2", "one+2", "at most 1.5", lambda r: r <= 1.5, 0),
    "1 busy / idle": ("default+1", "default+0", "", bool, 0),
    "2 busy / idle": ("default+2", "default+0", "", bool, 0),
    "side by side / alone": ("side", "default+0", "at most 1.3", lambda r: r <= 1.3, 0),
    "one / two processes": ("default+0", "pair", "at least 1.7", lambda r: r >= 1.7, 128),
}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    from benchmarks import report

    rows = []
    for engine, batch in ROWS:
        if (record := results.get(f"{engine}, {batch}")) is None:
            continue
        times = {name: statistics.median(values) for name, values in record["ms"].items()}
        row = [engine, str(batch), f"{times['default+0']:.2f}"]
        for above, below, bound, meets, first in RATIOS.values():
            ratio = times[above] / times[below]
            missed = bound and batch >= first and not meets(ratio)
            row.append(f"{ratio:.2f}" + " (missed)" * bool(missed))
        rows.append(row)
    bounds = "; ".join(
        f"{name} {bound}" + f" from batch {first} on" * bool(first)
        for name, (_, _, bound, _, first) in RATIOS.items()
        if bound
    )
    return "\n".join(
        [
            "## Beside other processes",
            "",
            "`python -m benchmarks.threads`: milliseconds per iteration of TB on the 4-D grid of side 20, with two "
            "hidden layers of 256, default settings, and trajectories about as long as those of a trained policy. "
            f"Ratios of medians of alternating blocks. Targets: {bounds}.",
            "",
            report.table(["engine", "batch", "ms", *RATIOS], rows),
            "",
            "* 1 busy / one thread: default settings beside one process that uses a core all the time, over "
            "`threads=1` beside the same. On a machine with two cores, two busy processes leave two thirds of a core "
            "each, so that even one thread takes longer than idle.",
            "* Two processes are not twice as fast: one evaluates each distinct state of the whole batch once, two "
            "evaluate the states that their halves share twice. They also wait for each other and exchange "
            "trajectories and gradients.",
            "* Measured at real-time priority, because the machine also did other work.",
            *(f"* Measured on {machine}." for machine in dict.fromkeys(r["machine"] for r in results.values())),
        ]
    )


ROWS = [(engine, batch) for engine in ("numba", "torch") for batch in (16, 128, 512)]


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="ROW", help="one row, such as numba,128")
    parser.add_argument("--quick", action="store_true", help="shorter blocks, two rows; nothing is written")
    parser.add_argument("--report", action="store_true", help="write the page from the results that are there")
    options = parser.parse_args()
    from benchmarks import report

    path = report.RESULTS / "threads.json"
    results = report.load(path)
    seconds, rounds = (0.5, 3) if options.quick else (1.0, 5)
    rows = ROWS[:2] if options.quick else ROWS
    if options.only:
        rows = [row for row in ROWS if f"{row[0]},{row[1]}" == options.only]
        if not rows:
            parser.error(f"--only: no row {options.only!r}; rows: {' '.join(f'{e},{b}' for e, b in ROWS)}")
    for engine, batch in [] if options.report else rows:
        trainings = Trainings(engine, batch)
        times = blocks(trainings, seconds, rounds)
        trainings.close()
        results[f"{engine}, {batch}"] = {"ms": times, "machine": report.machine()}
        print(engine, batch, {name: f"{statistics.median(values):.2f}" for name, values in times.items()}, flush=True)
        if not options.quick:
            report.save(path, results)
    if not options.quick:
        report.write_section("threads", section(results))


if __name__ == "__main__":
    main()
