"""Iterations beside busy processes, side by side, and by two processes that share batches.

python -m benchmarks.threads            a quarter of an hour on an idle machine with two cores
python -m benchmarks.threads --quick    two minutes

Prints ratios of medians, from blocks that alternate between the situations, so that drift of the machine cancels:

- default beside 1 and 2 busy processes, over one thread beside as many (at most 1.5): what the rule for threads costs;
- the same over an idle machine: what the busy processes take, which no rule changes;
- each of two trainings side by side, over one alone (at most 1.3);
- one process over two that share each batch (at least 1.7 from batch 128 on).
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
from collections.abc import Iterator
from typing import Any

SETTINGS: dict[str, Any] = {"lr": 1e-6}
#: Added to the logit of stopping, so that trajectories are about as long as those of a trained policy.
STOP_BIAS = -1.8
WARM = 30


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


def measure(engine: str, batch: int, seconds: float, rounds: int) -> dict[str, float]:
    """Median milliseconds per iteration of each situation."""
    default, one, twin = (Workers(engine, batch, threads) for threads in (None, 1, None))
    pair = Workers(engine, batch, size=2)
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
    for training in (default, one, twin, pair):
        training.close()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="shorter blocks, two rows")
    quick = parser.parse_args().quick
    seconds, rounds = (0.5, 3) if quick else (2.0, 7)
    rows = [("numba", 16), ("numba", 128)] if quick else [(e, b) for e in ("numba", "torch") for b in (16, 128, 512)]
    print("| engine | batch | ms | 1 busy / one thread | 2 busy / one thread | 1 busy / idle | 2 busy / idle | "
          "side by side / alone | one / two processes |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    for engine, batch in rows:
        t = measure(engine, batch, seconds, rounds)
        ratios = [
            *(t[f"default+{k}"] / t[f"one+{k}"] for k in (1, 2)),
            *(t[f"default+{k}"] / t["default+0"] for k in (1, 2)),
            t["side"] / t["default+0"],
            t["default+0"] / t["pair"],
        ]
        print(f"| {engine} | {batch} | {t['default+0']:.2f} | {' | '.join(f'{r:.2f}' for r in ratios)} |", flush=True)


if __name__ == "__main__":
    main()
