"""Cost of a relative edge flow policy (SSR) compared with a state-action policy (SA), per training iteration.

SSR encodes every child of every state, so in the worst case an iteration takes (mean number of children) times as long.
It encodes them in one packed call, each distinct state once, and should therefore take less. All agents learn by
trajectory balance from batches of 16. Blocks of iterations of the forms alternate.

python -m benchmarks.policy_forms
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import agents
import gfn_envs
from agents.agent import Agent
from benchmarks import report

ENVIRONMENTS: list[tuple[str, dict[str, Any]]] = [
    ("GFN/HyperGrid-v0", {"ndim": 4, "side": 20, "reward": "easy"}),
    ("GFN/Bag-v0", {}),
    ("GFN/BitSequence-v0", {"n": 48, "word_size": 4}),
]
#: Two hidden layers between a state and its logits. The hidden layers of SSR are those of its encoder, whose last layer
#: is the embedding, and one in its scorer. With one layer in each, as in Shen et al. 2023, SSR is as deep as SA.
FORMS: dict[str, dict[str, Any]] = {
    "SA": {"form": "sa", "hidden": (256, 256)},
    "SSR": {"form": "ssr", "hidden": (256,)},
    "SSR, a layer deeper": {"form": "ssr", "hidden": (256, 256)},
}


def mean_children(agent: Agent, n: int = 50) -> float:
    """Mean number of distinct children of the states on ``n`` trajectories of the agent."""
    batch = agent.sample_trajectories(n, rng=np.random.default_rng(0))
    states = batch.states[batch.sources]
    row, children, _ = agent.dag.children(states)
    return len(np.unique(np.concatenate([row[:, None], children], axis=1), axis=0)) / len(states)


def measure(env_id: str, arguments: dict[str, Any], backward: str, blocks: int, seconds: float) -> dict[str, Any]:
    """CPU milliseconds per iteration of each form, in alternating blocks of about ``seconds``."""
    dag = gfn_envs.make_dag(env_id, **arguments)
    both = {
        form: agents.make_agent("tb", dag, backward=backward, batch_size=16, **settings)
        for form, settings in FORMS.items()
    }
    children = {form: mean_children(agent) for form, agent in both.items()}
    times: dict[str, list[float]] = {form: [] for form in FORMS}
    for block in range(blocks + 1):
        for form, agent in both.items():
            count, start = 0, time.process_time()
            while count < 2 or time.process_time() - start < seconds:
                agent.update()
                count += 1
            if block:  # The first block is warm-up.
                times[form].append(1000 * (time.process_time() - start) / count)
    return {"environment": repr(dag), "backward": backward, "children": children, "ms": times}


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = []
    for record in results["cases"]:
        sa, *others = (float(np.median(record["ms"][form])) for form in FORMS)
        limit = min(record["children"].values())
        cells = [f"{ms:.2f}, {ms / sa:.2f}x: {'met' if ms / sa <= limit else 'missed'}" for ms in others]
        rows.append([record["environment"], record["backward"], f"{limit:.2f}", f"{sa:.2f}", *cells])
    header = ["environment", "P_B", "mean number of children (target)", *FORMS]
    return "\n".join(
        [
            "## Cost of relative edge flow policies (SSR)",
            "",
            "`python -m benchmarks.policy_forms`: CPU milliseconds per TB iteration on one thread, and the ratio to "
            "SA, which should be at most the mean number of children. Batch 16, hidden layers of 256, medians of "
            "alternating blocks.",
            "",
            report.table(header, rows),
            "",
            *(f"* {note}" for note in NOTES),
            *(f"* Measured on {machine}." for machine in sorted({record["machine"] for record in results["cases"]})),
        ]
    )


NOTES = [
    "SSR has two hidden layers between a state and a score, as SA has: one in the encoder, which is the embedding, and "
    'one in the scorer (`hidden` 256), as in Shen et al. 2023. "A layer deeper" is SSR with SA\'s `hidden` 256, 256. '
    "Each distinct child then takes twice the matrix products of a state in SA's network.",
    "SA has one network for P_F and P_B; SSR has one for each.",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.policy_forms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--env", default="", metavar="NAMES", help="such as Bag,HyperGrid (default: all)")
    parser.add_argument("--blocks", type=int, default=4, help="blocks of each form, after one warm-up block")
    parser.add_argument("--seconds", type=float, default=0.4, help="seconds per block, at least two iterations")
    parser.add_argument("--quick", action="store_true", help="one short block; nothing is written")
    parser.add_argument("--results", type=Path, default=report.RESULTS / "policy_forms.json", metavar="FILE")
    parser.add_argument("--page", type=Path, default=report.PAGE, metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    blocks, seconds = (1, 0.01) if options.quick else (options.blocks, options.seconds)
    wanted = [name.strip() for name in options.env.split(",") if name.strip()]
    names = [environment[0].split("/")[1].split("-")[0] for environment in ENVIRONMENTS]
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"--env: no {', '.join(unknown)}; allowed: {', '.join(names)}")
    environments = [e for e, name in zip(ENVIRONMENTS, names, strict=True) if not wanted or name in wanted]
    cases = [(*environment, backward) for environment in environments for backward in ("learned", "uniform")]
    results: dict[str, Any] = {} if options.quick else report.load(options.results)
    for case in tqdm(cases, unit="case", leave=False):
        record = {**measure(*case, blocks, seconds), "machine": report.machine()}
        results["cases"] = merged(results.get("cases", []), record)
        tqdm.write(str({form: f"{np.median(ms):.2f} ms" for form, ms in record["ms"].items()}))
        if not options.quick:
            report.save(options.results, results)
    if not options.quick:
        report.write_section("policy_forms", section(results), options.page)


def merged(records: list[dict[str, Any]], record: dict[str, Any]) -> list[dict[str, Any]]:
    """The records, with ``record`` in place of the one of the same case."""
    same = [(r["environment"], r["backward"]) == (record["environment"], record["backward"]) for r in records]
    kept = [record if replaced else r for r, replaced in zip(records, same, strict=True)]
    return kept if any(same) else [*records, record]


if __name__ == "__main__":
    main()
