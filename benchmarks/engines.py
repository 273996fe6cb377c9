"""CPU time of an iteration by the torch and the compiled engine, in environments that are too large to list.

Both engines train one agent each; blocks of iterations alternate. One thread each. Learning rates are below the
precision of the weights, so that every step is taken in full and the policy stays the first one. The transformers are
causal: the torch engine trains them, without and with compiled attention.

python -m benchmarks.engines
"""

from __future__ import annotations

import argparse
import contextlib
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from tqdm import tqdm

import agents
import gfn_envs
from agents.policies import attention
from benchmarks import report

ENGINES = ("torch", "numba")


class Case(NamedTuple):
    name: str
    agent: str
    env: str
    arguments: dict[str, Any]
    batch: int
    settings: dict[str, Any] = {}


TRANSFORMER = {"network": "transformer", "width": 64, "layers": 3, "heads": 8}
BITS = "GFN/BitSequence-v0"

CASES = [
    Case("Ising, 10 x 10", "tb", "GFN/Ising-v0", {"side": 10}, 16),
    Case("Ising, 10 x 10", "tb", "GFN/Ising-v0", {"side": 10}, 256),
    Case("BitSequence, 120 bits in words of 8", "tb", BITS, {"n": 120, "word_size": 8}, 16),
    Case("BitSequence, 120 bits", "tb", BITS, {"n": 120, "word_size": 1}, 16),
    Case("AMP", "tb", "GFN/AMP-v0", {}, 16),
    Case(
        "InverseFolding, 40 substitutions",
        "tb",
        "GFN/InverseFolding-v0",
        {"construction": "substitute", "length": 40},
        16,
    ),
    Case("PhyloTree, 27 taxa", "fldb", "GFN/PhyloTree-v0", {"num_taxa": 27, "num_sites": 200}, 32),
    Case("BayesNet, 10 nodes", "mdb", "GFN/BayesNet-v0", {"num_nodes": 10}, 32),
    Case("FragmentMolecule, QED", "subtb", "GFN/FragmentMolecule-v0", {}, 16),
    Case("HyperGrid, 8-D side 8", "tb", "GFN/HyperGrid-v0", {"ndim": 8, "side": 8}, 16),
    Case("Set", "subtb", "GFN/Set-v0", {}, 16),
    Case("BitSequence, 120 bits in words of 8, transformer", "tb", BITS, {"n": 120, "word_size": 8}, 16, TRANSFORMER),
    Case("BitSequence, 120 bits in words of 4, transformer", "tb", BITS, {"n": 120, "word_size": 4}, 16, TRANSFORMER),
    Case("BitSequence, 120 bits, transformer", "tb", BITS, {"n": 120, "word_size": 1}, 16, TRANSFORMER),
    Case("AMP, transformer", "tb", "GFN/AMP-v0", {}, 16, TRANSFORMER),
    Case("GFP, 237 residues, transformer", "tb", "GFN/GFP-v0", {"construction": "append"}, 16, TRANSFORMER),
]


def attention_of(engine: str) -> contextlib.AbstractContextManager[Any]:
    """Attention without compiled code for the torch engine."""
    return mock.patch.object(attention, "kernels", return_value=None) if engine == "torch" else contextlib.nullcontext()


def measure(case: Case, blocks: int, seconds: float) -> dict[str, Any]:
    """CPU milliseconds per iteration of each engine, in alternating blocks of about ``seconds``."""
    dag = gfn_envs.make_dag(case.env, **case.arguments)
    settings = {"batch_size": case.batch, "lr": 1e-15, "beta": 1, **case.settings}
    both = {
        engine: agents.make_agent(case.agent, dag, engine="torch" if case.settings else engine, **settings)
        for engine in ENGINES
    }
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    transitions: dict[str, float] = {}
    for block in range(blocks + 1):
        for engine, agent in both.items():
            count, start, steps = 0, time.process_time(), 0
            with attention_of(engine):
                while count < 2 or time.process_time() - start < seconds:
                    steps += agent.update()["transitions"]
                    count += 1
            transitions[engine] = steps / count
            if block:  # The first block is warm-up.
                times[engine].append(1000 * (time.process_time() - start) / count)
    return {"agent": case.agent, "batch": case.batch, "transitions": transitions, "ms": times}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for name, record in results["cases"].items():
        torch_ms, numba_ms = (float(np.median(record["ms"][engine])) for engine in ENGINES)
        steps = f"{np.mean(list(record['transitions'].values())):,.0f}"
        cells = [f"{torch_ms:.1f}", f"{numba_ms:.1f}", f"{torch_ms / numba_ms:.2f}"]
        rows.append([name, record["agent"], str(record["batch"]), steps, *cells])
    header = ["environment", "agent", "batch", "transitions", "torch, ms", "compiled, ms", "ratio"]
    return "\n".join(
        [
            "## Engines in environments that are too large to list",
            "",
            "`python -m benchmarks.engines`: CPU milliseconds per iteration at the first policy, one thread, medians "
            "of alternating blocks. Default networks (two hidden layers of 256), default P_B, no tempering. "
            "Transformers (width 64, 3 layers, 8 heads): the torch engine without and with compiled attention.",
            "",
            report.table(header, rows),
            "",
            *(f"* Measured on {machine}." for machine in sorted({r["machine"] for r in results["cases"].values()})),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains this text")
    parser.add_argument("--blocks", type=int, default=5, help="blocks of each engine, after one warm-up block")
    parser.add_argument("--seconds", type=float, default=0.4, help="CPU seconds per block, at least two iterations")
    parser.add_argument("--quick", action="store_true", help="one short block; nothing is written")
    parser.add_argument("--results", type=Path, default=report.RESULTS / "engines.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    blocks, seconds = (1, 0.01) if options.quick else (options.blocks, options.seconds)
    if not (cases := [case for case in CASES if options.only in case.name]):
        parser.error(f"--only: no case contains {options.only!r}; cases: {', '.join(case.name for case in CASES)}")
    results: dict[str, Any] = {} if options.quick else report.load(options.results)
    for case in tqdm(cases, unit="case", leave=False):
        record = {**measure(case, blocks, seconds), "machine": report.machine()}
        results.setdefault("cases", {})[f"{case.name}" + (f", batch {case.batch}" if case.batch > 32 else "")] = record
        tqdm.write(f"{case.name}: " + str({name: f"{np.median(ms):.2f} ms" for name, ms in record["ms"].items()}))
        if not options.quick:
            report.save(options.results, results)
    if not options.quick:
        report.write_section("engines", section(results), options.page)


if __name__ == "__main__":
    main()
