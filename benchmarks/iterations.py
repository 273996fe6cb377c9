"""CPU seconds per training iteration of two source trees, such as a release and a change to it, in one run.

Each case runs in one process per tree. Both processes stay alive, and blocks of iterations alternate between them, so
that a change in the load of the machine affects both. All iterations of a case have the same weights: those of the
first policy, or of one that the earlier tree trained. The trees draw other random numbers, so policies that learned
would soon differ in the lengths of their trajectories, and in their work. So every step is taken in full, but at a
learning rate below the precision of the weights. The results hold the transitions per iteration. One thread each.

    python -m benchmarks.iterations --before ../release
    python -m benchmarks.iterations --before ../release --quick --only "tb HyperGrid"
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

# Workers run this file with another tree's packages: everything of this tree is imported where it is used.
ROOT = Path(__file__).resolve().parents[1]
#: Iteration at which a block starts.
MIDDLE = 10_000
#: Learning rate: 0.001 while a policy is trained, and one that changes no weight from :data:`MIDDLE` on.
RATE, RATE_LOG_Z = f"0.001,1e-15,{MIDDLE}", f"0.1,1e-15,{MIDDLE}"
GRID = {"ndim": 4, "side": 20, "reward": "easy"}


class Case(NamedTuple):
    """One timed case. ``trained``: iterations of training before the weights are saved, 0 for the first policy."""

    agent: str
    env: str
    kwargs: dict[str, Any]
    batch: int
    compiled: bool
    trained: int

    @property
    def name(self) -> str:
        """Name in the table and for ``--only``."""
        engine, policy = "numba" if self.compiled else "torch", "trained" if self.trained else "first"
        return f"{self.agent} {self.env}, batch {self.batch}, {policy} policy, {engine}"


def all_cases(trained: int) -> list[Case]:
    """Every case; ``trained`` iterations make a trained policy."""
    cases = [
        Case(agent, "HyperGrid", GRID, batch, compiled, iterations)
        for agent in ("tb", "db", "subtb")
        for batch in (16, 512)
        for iterations in (0, trained)
        for compiled in (False, True)
    ]
    cases += [Case("tb", "TFBind8", {}, 16, compiled, 0) for compiled in (False, True)]
    return [*cases, Case("mdb", "BayesNet", {"num_nodes": 5}, 16, False, 0)]


# ---------------------------------------------------------------------- worker: one agent of one tree


def worker(case: Case, tree: str, weights: str) -> None:
    """Answer requests, one JSON object per line: time a block of iterations, or train and save the weights."""
    import warnings

    import torch

    import agents
    import gfn_envs

    torch.set_num_threads(1)
    # The earlier tree's name of the setting: the later one warns that it has another.
    warnings.simplefilter("ignore", DeprecationWarning)
    for package in (agents, gfn_envs):
        if Path(tree).resolve() not in Path(str(package.__file__)).resolve().parents:
            raise RuntimeError(f"{package.__name__} was imported from {package.__file__}, not from {tree}")
    dag = gfn_envs.make_dag(f"GFN/{case.env}-v0", **case.kwargs)
    settings: dict[str, Any] = {"lr": RATE}
    if case.agent == "tb":
        settings["lr_log_z"] = RATE_LOG_Z
    if case.agent == "mdb":
        settings |= {"target_every": 100, "epsilon": 0.0}
    # A later tree explores long trajectories by default; equal work is compared.
    if "delay_stop" in getattr(agents.AGENTS[case.agent].config_class, "__dataclass_fields__", {}):
        settings["delay_stop"] = 0.0
    agent = agents.make_agent(case.agent, dag, seed=0, batch_size=case.batch, compiled=case.compiled, **settings)
    log_z = getattr(agent, "log_z_parameter", None)

    def save() -> None:
        torch.save({"policy": agent.policy.state_dict(), "log_z": None if log_z is None else log_z.item()}, weights)

    def load() -> None:
        saved = torch.load(weights, weights_only=True)
        agent.policy.load_state_dict(saved["policy"])
        # In the middle of a run: log Z is looked at ever more rarely.
        agent.iteration = MIDDLE
        if log_z is not None:
            log_z.data.fill_(saved["log_z"])

    print("{}", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "time":
            load()
        transitions, start = 0, time.process_time()
        for _ in range(request["iterations"]):
            transitions += agent.update()["transitions"]
        seconds = time.process_time() - start
        if request["do"] == "save":
            save()
        per_iteration = {"seconds": seconds, "transitions": transitions}
        print(json.dumps({k: v / max(request["iterations"], 1) for k, v in per_iteration.items()}), flush=True)


class Worker:
    """A process that trains one agent with the packages of ``tree``."""

    def __init__(self, case: Case, tree: Path, weights: Path):
        variables = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        self.tree = tree
        self.errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", json.dumps([case, str(tree), str(weights)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=tree,
            env={**os.environ, **variables},
        )
        self.answer()

    def ask(self, do: str, iterations: int) -> dict[str, float]:
        """Seconds and transitions per iteration of ``iterations``. Raises RuntimeError if the process ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, "iterations": iterations}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self.process.wait()
        self.errors.seek(0)
        raise RuntimeError(f"{self.tree} ended with code {code}:\n{self.errors.read()[-3000:]}")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()


# ---------------------------------------------------------------------- comparison


def compare(case: Case, before: Path, after: Path, blocks: int, seconds: float) -> dict[str, Any]:
    """Seconds per iteration of alternating blocks of about ``seconds``, the same number of iterations in all."""
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, tree in (("before", before), ("after", after)):
                workers[name] = Worker(case, tree, Path(folder) / "weights.pt")
            # Both trees start from the weights of the earlier one, and compile before they are timed.
            workers["before"].ask("save", case.trained)
            for tree_worker in workers.values():
                tree_worker.ask("time", 2)
            pace = max(tree_worker.ask("time", 3)["seconds"] for tree_worker in workers.values())
            found: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
            iterations = max(1, round(seconds / pace))
            for block in range(blocks):
                for name in list(workers) if block % 2 == 0 else list(workers)[::-1]:
                    found[name].append(workers[name].ask("time", iterations))
        finally:
            for tree_worker in workers.values():
                tree_worker.close()
    summary = {name: summarized(answers) for name, answers in found.items()}
    pairs = zip(summary["before"]["blocks"], summary["after"]["blocks"], strict=True)
    ratio = {
        "median": median(after / before for before, after in pairs),  # Of neighbors in time.
        "best": summary["after"]["best"] / summary["before"]["best"],
    }
    return {**case._asdict(), "iterations_per_block": iterations, **summary, "ratio": ratio}


def summarized(answers: list[dict[str, float]]) -> dict[str, Any]:
    """Median and best of the seconds of blocks, and the mean of their transitions."""
    seconds = [answer["seconds"] for answer in answers]
    transitions = sum(answer["transitions"] for answer in answers) / len(answers)
    return {"median": median(seconds), "best": min(seconds), "blocks": seconds, "transitions": transitions}


def row(name: str, result: dict[str, Any]) -> list[str]:
    """A line of the table: milliseconds, and how many times as long the later tree takes."""
    before, after = result["before"], result["after"]
    times = [f"{1e3 * tree[key]:.2f}" for key in ("median", "best") for tree in (before, after)]
    return [name, *times[:2], f"{result['ratio']['median']:.2f}", *times[2:], f"{result['ratio']['best']:.2f}"]


HEADER = ["case", "before, median (ms)", "after, median", "ratio", "before, best (ms)", "after, best", "ratio"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--before", type=Path, help="folder of the earlier source tree")
    parser.add_argument("--after", type=Path, default=ROOT, help="folder of the later one; default: this one")
    parser.add_argument("--only", default="", help="cases whose name contains this text")
    parser.add_argument("--blocks", type=int, default=7, help="blocks per tree and case")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a block")
    parser.add_argument("--trained", type=int, default=500, help="iterations that make a trained policy")
    parser.add_argument("--quick", action="store_true", help="3 blocks of 0.2 s, trained for 50 iterations")
    parser.add_argument("--resume", action="store_true", help="keep the cases that the file --out has already")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "iterations.json")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        case, tree, weights = json.loads(options.worker)
        worker(Case(*case), tree, weights)
        return 0
    if options.before is None:
        parser.error("--before is required: the folder of the earlier source tree")
    if options.quick:
        options.blocks, options.seconds, options.trained = 3, 0.2, 50

    from benchmarks import report

    results: dict[str, Any] = {"machine": report.machine_facts(), "cases": {}, "errors": {}}
    if options.resume and options.out.exists():
        results["cases"] = json.loads(options.out.read_text())["cases"]
    rows: list[list[str]] = []
    for case in all_cases(options.trained):
        if options.only not in case.name or case.name in results["cases"]:
            continue
        try:
            found = compare(case, options.before.resolve(), options.after.resolve(), options.blocks, options.seconds)
        except RuntimeError as error:
            results["errors"][case.name] = str(error)
            print(f"{case.name}: {error}", file=sys.stderr)
        else:
            results["cases"][case.name] = found
            rows.append(row(case.name, found))
            print("  ".join(rows[-1]), flush=True)
        report.save(options.out, results)
    print("\n" + report.table(HEADER, rows))
    return 1 if results["errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
