"""Exact total variation of default agents on Mutation, RNA, and Sequence with limits, for docs/fields/sequences.md.

Training stops at a total variation of 0.1, or after 60 CPU seconds. Rewards are invented where no data come with the
package. RNA needs ViennaRNA.

    python -m benchmarks.designs              # a few minutes
    python -m benchmarks.designs RNA          # the cases whose names contain RNA
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import agents
import gfn_envs
from gfn_envs.data.packaged import tfbind8_scores

TARGET, SECONDS, STEP = 0.1, 60.0, 500


def sites_with_interaction(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A sigmoid of effects of each site and of an interaction of the first two."""
    rng = np.random.default_rng(seed)
    effect, pair = rng.normal(size=(8, 20)), rng.normal(size=(20, 20))

    def score(tokens: np.ndarray) -> np.ndarray:
        z = effect[np.arange(tokens.shape[1]), tokens].sum(1) + pair[tokens[:, 0], tokens[:, 1]]
        return 0.01 + 1 / (1 + np.exp(-z))

    return score


def binding() -> dict[str, float]:
    """Binding of SIX6 to all DNA 8-mers, scaled to [0, 1]."""
    scores = tfbind8_scores()
    scaled = (scores - scores.min()) / np.ptp(scores)
    return dict(zip(map("".join, itertools.product("ACGT", repeat=8)), scaled.tolist(), strict=True))


SCORES: dict[str, Any] = {"reward": sites_with_interaction(0), "exponent": 3.0}
TFBIND8: dict[str, Any] = {"length": 8, "missing": 0.0, "floor": 1e-3, "exponent": 3.0}
CASES: dict[str, Callable[[], gfn_envs.Dag]] = {
    "Mutation, 2 of 4 sites": lambda: gfn_envs.Mutation("VDGV", 2, **SCORES),
    "Mutation, 3 of 4 sites": lambda: gfn_envs.Mutation("VDGV", 3, **SCORES),
    "Mutation, 3 of 6 sites, motifs": lambda: gfn_envs.Mutation(
        "VDGVKL", 3, letters="ACDGKLV", forbidden="N[^P][ST],DK", required="[KL]", **SCORES
    ),
    "RNA, length 6": lambda: gfn_envs.RNA(length=6),
    "RNA, length 7": lambda: gfn_envs.RNA(length=7),
    "Sequence, DNA 8-mers, motifs": lambda: gfn_envs.Sequence(
        reward=binding(), forbidden="GATC,AAA", required="[CG]GTA", **TFBIND8
    ),
    "Sequence, DNA 8-mers, both strands": lambda: gfn_envs.Sequence(
        reward=binding(), reverse_complement=True, **TFBIND8
    ),
}


def row(name: str, seed: int) -> str:
    """Train and evaluate one case: a line of the table."""
    dag = CASES[name]()
    agent = agents.make_agent("tb", dag, seed=seed)
    seconds, iterations, distance = 0.0, 0, 1.0
    while distance > TARGET and seconds < SECONDS:
        start = time.process_time()
        iterations += STEP
        agents.train(agent, iterations, progress=False)
        seconds += time.process_time() - start
        distance = agents.evaluate(agent)["tv"]
    return f"| {name} | {dag.num_terminal_states:,} | {distance:.3f} | {iterations:,} iterations, {seconds:.0f} CPU s |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="", help="part of the names of cases")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args()
    for name in (name for name in CASES if options.name in name):
        print(row(name, options.seed), flush=True)


if __name__ == "__main__":
    main()
