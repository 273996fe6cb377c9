"""Transitions per second of every environment, and milliseconds per iteration of every kind of policy.

CPU time on one thread. ``make_vec`` steps 256 environments with uniformly random actions, rewards included; an
iteration is ``agent.update()``, and an evaluation is the one that training runs make. With ``--against``, blocks
alternate with another checkout of this repository, and the table has the ratio.

    python -m benchmarks.throughput                          all cases
    python -m benchmarks.throughput --only transformer,Ising
    python -m benchmarks.throughput --against ../before      e.g. of `git worktree add ../before v0.1`
    python -m benchmarks.throughput --quick                  a short run; nothing is written

Results are merged into benchmarks/results/throughput.json, and the section of docs/results.md is written from it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

NUM_ENVS = 256

#: Cases of make_vec beside every registered environment with its defaults: name -> (environment, arguments).
VECTORS: dict[str, tuple[str, dict[str, Any]]] = {
    "FragmentMolecule, R = 1": ("FragmentMolecule", {"reward": "one"}),
    "PhyloTree, DS1": ("PhyloTree", {"alignment": "DS1"}),
    "Ising, 10 x 10": ("Ising", {"side": 10}),
}

#: Iterations: name -> (environment, arguments, agent, settings).
ITERATIONS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "bits n=120 k=8, mlp": ("BitSequence", {}, "tb", {}),
    "bits n=120 k=8, transformer": ("BitSequence", {}, "tb", {"network": "transformer"}),
    "AMP, transformer": ("AMP", {}, "tb", {"network": "transformer"}),
    "QM9-sized strings, prepend_append, transformer": (
        "Sequence",
        {"alphabet": "ABCDEFGHIJK", "length": 5, "construction": "prepend_append"},
        "tb",
        {"network": "transformer"},
    ),
    "BayesNet, 5 nodes, MDB, batch 128": (
        "BayesNet",
        {"num_nodes": 5},
        "mdb",
        {"batch_size": 128, "target_every": 1000, "loss": "huber", "backward": "uniform"},
    ),
    "BayesNet, 5 nodes, MDB, graph": ("BayesNet", {"num_nodes": 5}, "mdb", {"network": "graph"}),
    "PhyloTree, DS1, FLDB, batch 32": (
        "PhyloTree",
        {"alignment": "DS1"},
        "fldb",
        {"batch_size": 32, "backward": "uniform"},
    ),
    "Ising 10 x 10, batch 16": ("Ising", {"side": 10}, "tb", {}),
    "Ising 10 x 10, batch 256": ("Ising", {"side": 10}, "tb", {"batch_size": 256}),
    "FragmentMolecule, mlp": ("FragmentMolecule", {"reward": "one"}, "tb", {}),
    "FragmentMolecule, graph": ("FragmentMolecule", {"reward": "one"}, "tb", {"network": "graph"}),
    "FragmentMolecule, QED, mlp": ("FragmentMolecule", {}, "tb", {}),
}

#: Evaluations: name -> (environment, arguments, agent, settings).
EVALUATIONS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "bits n=120 k=8, transformer, one evaluation": ("BitSequence", {}, "tb", {"network": "transformer"}),
}

Run = Callable[[float], float]


def one(_: Any) -> float:
    """A reward that costs nothing, so that what is measured is the environment."""
    return 1.0


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "reward": one} if given.get("reward") == "one" else given


def stepping(env: str, arguments: dict[str, Any]) -> Run:
    """Transitions per CPU second of ``gymnasium.make_vec``."""
    import gymnasium
    import numpy as np

    import gfn_envs  # noqa: F401  It registers the environments.

    envs = gymnasium.make_vec(f"GFN/{env}-v0", num_envs=NUM_ENVS, **_arguments(arguments))
    rng = np.random.Generator(np.random.SFC64(0))
    rows, mask = np.arange(NUM_ENVS), envs.reset()[1]["action_mask"]

    def run(seconds: float) -> float:
        nonlocal mask
        steps, start = 0, time.process_time()
        while (elapsed := time.process_time() - start) < seconds:
            for _ in range(20):
                # One of the legal actions of each row, counted along all rows.
                legal, end = np.flatnonzero(mask.view(bool)), np.count_nonzero(mask, axis=1).cumsum()
                first = np.concatenate([[0], end[:-1]])
                chosen = legal.take((first + rng.random(NUM_ENVS) * (end - first)).astype(np.int64))
                mask = envs.step(chosen - rows * mask.shape[1])[-1]["action_mask"]
            steps += 20
        return steps * NUM_ENVS / elapsed

    return run


def made(env: str, arguments: dict[str, Any], agent: str, settings: dict[str, Any]) -> Any:
    """An agent on an environment."""
    import agents
    import gfn_envs

    return agents.make_agent(agent, gfn_envs.make_dag(f"GFN/{env}-v0", **_arguments(arguments)), **settings)


def iterating(*case: Any) -> Run:
    """CPU milliseconds per iteration of an agent as of :func:`made`."""
    learner = made(*case)

    def run(seconds: float) -> float:
        count, start = 0, time.process_time()
        while (elapsed := time.process_time() - start) < seconds or count < 2:
            learner.update()
            count += 1
        return 1e3 * elapsed / count

    return run


def evaluating(*case: Any) -> Run:
    """CPU milliseconds per evaluation of an agent as of :func:`made`."""
    import agents

    learner = made(*case)

    def run(seconds: float) -> float:
        start = time.process_time()
        agents.evaluate(learner)
        return 1e3 * (time.process_time() - start)

    return run


def cases() -> dict[str, tuple[str, Callable[[], Run]]]:
    """name -> (unit, function that makes the case)."""
    import gfn_envs

    found: dict[str, tuple[str, Callable[[], Run]]] = {}
    every = [env_id.removeprefix("GFN/").removesuffix("-v0") for env_id in gfn_envs.ENVIRONMENTS]
    vectors: dict[str, tuple[str, dict[str, Any]]] = {**{name: (name, {}) for name in every}, **VECTORS}
    for name, (env, arguments) in vectors.items():
        found[f"make_vec {name}"] = ("transitions/s", lambda env=env, arguments=arguments: stepping(env, arguments))  # type: ignore[misc]
    for name, case in ITERATIONS.items():
        found[name] = ("ms", lambda case=case: iterating(*case))  # type: ignore[misc]
    for name, case in EVALUATIONS.items():
        found[name] = ("ms", lambda case=case: evaluating(*case))  # type: ignore[misc]
    return found


# ---------------------------------------------------------------------- processes


def serve() -> None:
    """Answer requests {"case", "seconds"} on the standard input with {"value"} or {"error"}, one per line."""
    import torch

    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout, sys.stderr
    known, runs = cases(), {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["case"]
        try:
            if name not in runs:
                runs = {name: known[name][1]()}  # One case at a time: rewards and tables can be large.
                runs[name](0.1)
            answer: dict[str, Any] = {"value": runs[name](request["seconds"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A process that measures the code in ``tree``."""

    def __init__(self, tree: Path):
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tree,
            env={**os.environ, **threads, "PYTHONPATH": str(tree)},
        )

    def ask(self, case: str, seconds: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"case": case, "seconds": seconds}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {case} ended with code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(name: str, workers: dict[str, Worker], blocks: int, seconds: float) -> dict[str, Any] | None:
    """Values of alternating blocks, one list per worker; None if a worker cannot run the case."""
    values: dict[str, list[float]] = {which: [] for which in workers}
    for _ in range(blocks):
        for which, worker in workers.items():
            answer = worker.ask(name, seconds)
            if "error" in answer:
                print(f"{name} is skipped ({which}): {answer['error']}", flush=True)
                return None
            values[which].append(answer["value"])
    return values


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    from benchmarks import report

    rows = []
    for name, record in results.items():
        now = median(record["values"]["now"])
        digits = ",.0f" if record["unit"] == "transitions/s" or now >= 100 else ".1f"
        row = [name, record["unit"], f"{now:{digits}}", "", ""]
        if "before" in record["values"]:
            before = median(record["values"]["before"])
            ratio = now / before if record["unit"] == "transitions/s" else before / now
            row[3:] = [f"{before:{digits}}", f"{ratio:.1f}x"]
        rows.append(row)
    machines = dict.fromkeys(record["machine"] for record in results.values())
    return "\n".join(
        [
            "## Speed of environments and policies",
            "",
            "`python -m benchmarks.throughput`: medians of blocks, CPU time on one thread. make_vec: 256 environments, "
            "uniformly random actions, rewards included. Others: one iteration of TB with batch 16 unless named. "
            "Before: the same command at an earlier commit, in alternating blocks.",
            "",
            report.table(["case", "unit", "now", "before", "speedup"], rows),
            "",
            *(f"* Measured on {machine}." for machine in machines),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="cases whose name has one of these, e.g. Ising,graph"
    )
    parser.add_argument("--against", type=Path, metavar="TREE", help="another checkout to alternate with")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU seconds per block")
    parser.add_argument("--quick", action="store_true", help="two short blocks; nothing is written")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return
    import torch

    from benchmarks import report

    torch.set_num_threads(1)  # As in the processes that measure, so that report.machine() says so.
    known = cases()
    chosen = [name for name in known if any(part.lower() in name.lower() for part in options.only.split(","))]
    if not chosen:
        parser.error(f"--only: no case contains {options.only!r}; cases: {'; '.join(known)}")
    blocks, seconds = (2, 0.1) if options.quick else (options.blocks, options.seconds)
    results = report.load(report.RESULTS / "throughput.json")
    trees = {"now": report.ROOT, **({"before": options.against.resolve()} if options.against else {})}
    workers = {which: Worker(tree) for which, tree in trees.items()}
    try:
        for name in chosen:
            values = measure(name, workers, blocks, seconds)
            if values is None:
                continue
            print(name, {which: f"{median(v):,.1f}" for which, v in values.items()}, known[name][0], flush=True)
            results[name] = {"unit": known[name][0], "values": values, "machine": report.machine()}
            if not options.quick:
                report.save(report.RESULTS / "throughput.json", results)
    finally:
        for worker in workers.values():
            worker.close()
    if not options.quick:
        report.write_section("throughput", section({name: results[name] for name in known if name in results}))


if __name__ == "__main__":
    main()
