"""Seconds until default agents learn the environments of docs/fields: tb with its default settings, on one core.

Training stops at an exact total variation of 0.1, or after 60 CPU seconds without evaluations. Rewards are invented
where no data come with the package. RNA needs ViennaRNA, molecules need RDKit. Results are stored in
benchmarks/results/fields.json, so that the benchmark can be interrupted and run in parts.

    python -m benchmarks.fields                     # three seeds, about twenty minutes
    python -m benchmarks.fields --only RNA Set      # the cases whose names contain RNA or Set
    python -m benchmarks.fields --table             # the tables of all stored runs
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
from benchmarks import report
from gfn_envs.data.packaged import tfbind8_scores

FILE = report.RESULTS / "fields.json"
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


#: Free energies in kcal / mol of two neighboring base pairs, 5' to 3' on one strand, of which the other half follows
#: from the other strand (SantaLucia 1998, table 2).
NEIGHBORS = {
    **{"AA": -1.00, "AT": -0.88, "TA": -0.58, "CA": -1.45, "GT": -1.44},
    **{"CT": -1.28, "GA": -1.30, "CG": -2.17, "GC": -2.24, "GG": -1.84},
}


def duplex_stability(tokens: np.ndarray) -> np.ndarray:
    """exp(-dG / (1 kcal / mol)) of double strands of DNA, without the terms of their ends: equal for both strands."""
    table = np.zeros((4, 4))
    for pair, energy in NEIGHBORS.items():
        i, j = map("ACGT".index, pair)
        table[i, j] = table[3 - j, 3 - i] = energy
    return np.exp(-table[tokens[:, :-1], tokens[:, 1:]].sum(1))


SCORES: dict[str, Any] = {"reward": sites_with_interaction(0), "exponent": 3.0}
ROUGH: dict[str, Any] = {"missing": 0.0, "floor": 1e-3, "exponent": 3.0}
TFBIND8: dict[str, Any] = {"length": 8, **ROUGH}
STRANDS: dict[str, Any] = {"length": 8, "reverse_complement": True}


def made(id: str, **arguments: Any) -> Callable[[], gfn_envs.Dag]:
    return lambda: gfn_envs.make_dag(f"GFN/{id}-v0", **arguments)


#: page -> case -> environment.
CASES: dict[str, dict[str, Callable[[], gfn_envs.Dag]]] = {
    "sequences": {
        "Mutation, 2 of 4 sites": made("Mutation", wild_type="VDGV", max_mutations=2, **SCORES),
        "Mutation, 3 of 4 sites": made("Mutation", wild_type="VDGV", max_mutations=3, **SCORES),
        "Mutation, 3 of 6 sites, motifs": made(
            "Mutation",
            wild_type="VDGVKL",
            max_mutations=3,
            letters="ACDGKLV",
            forbidden="N[^P][ST],DK",
            required="[KL]",
            **SCORES,
        ),
        "RNA, length 6": made("RNA", length=6),
        "RNA, length 7": made("RNA", length=7),
        "Sequence, DNA 8-mers, motifs": made(
            "Sequence", reward=binding(), forbidden="GATC,AAA", required="[CG]GTA", **TFBIND8
        ),
        "Sequence, DNA 8-mers, stability of both strands": made("Sequence", reward=duplex_stability, **STRANDS),
        "Sequence, DNA 8-mers, binding of both strands": made("Sequence", reward=binding(), **STRANDS, **ROUGH),
        "Sequence, DNA 8-mers, binding of one strand": made("Sequence", reward=binding(), **TFBIND8),
    },
    "combinatorial": {
        "`Set-v0` (8 of 16)": made("Set"),
        "`Permutation-v0`, `n=7`": made("Permutation", n=7),
        "`Permutation-v0`, `n=8`": made("Permutation", n=8),
        "`Permutation-v0`, `n=6`, non-autoregressive": made("Permutation", n=6, construction="non_autoregressive"),
        "`IndependentSet-v0`, `maximal=False`": made("IndependentSet", maximal=False),
        "`IndependentSet-v0`, `num_vertices=36`": made("IndependentSet", num_vertices=36),
        "`MaxCut-v0`, `num_vertices=15`": made("MaxCut", num_vertices=15),
        "`TSP-v0`, `num_cities=9`": made("TSP", num_cities=9),
        '`Graph-v0`, `reward="count"`': made("Graph"),
        '`Graph-v0`, `reward="neighbors"`': made("Graph", reward="neighbors"),
        '`Graph-v0`, `reward="cliques"`': made("Graph", reward="cliques"),
        "`Graph-v0`, `max_nodes=7`": made("Graph", max_nodes=7),
    },
    "molecules": {
        "`AtomMolecule-v0`, `max_atoms=5`": made("AtomMolecule", max_atoms=5),
        '`AtomMolecule-v0`, `max_atoms=6, elements="C,N,O"`': made("AtomMolecule", max_atoms=6, elements="C,N,O"),
    },
    "phylogenetics": {
        "`PhyloTree-v0`, 8 taxa, unrooted": made("PhyloTree", num_taxa=8, rooted=False),
    },
}


def run(make: Callable[[], gfn_envs.Dag], seed: int) -> dict[str, float]:
    """Train and evaluate one case. The first iteration, in which an engine is compiled, does not count."""
    dag = make()
    agent = agents.make_agent("tb", dag, seed=seed)
    agents.train(agent, 1, progress=False, eval_every=0)
    seconds, iterations, distance = 0.0, 0, 1.0
    while distance > TARGET and seconds < SECONDS:
        start = time.process_time()
        iterations += STEP
        agents.train(agent, iterations, progress=False, eval_every=0)
        seconds += time.process_time() - start
        distance = agents.evaluate(agent)["tv"]
    return {"objects": dag.num_terminal_states, "seconds": seconds, "iterations": iterations, "tv": distance}


def span(values: list[float], digits: int) -> str:
    """The range of values over seeds."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def row(name: str, runs: list[dict[str, float]]) -> str:
    """A line of the table."""
    cells = [name, f"{runs[0]['objects']:,}"]
    cells += [
        span([each[what] for each in runs], digits) for what, digits in (("iterations", 0), ("seconds", 1), ("tv", 3))
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="TEXT", help="parts of the names of cases")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ...; default: %(default)s")
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    for seed, cases in itertools.product(range(0 if options.table else options.seeds), CASES.values()):
        for name in (name for name in cases if any(text in name for text in options.only)):
            if str(seed) not in report.load(FILE).get(name, {}):
                found = run(cases[name], seed)
                results = report.load(FILE)
                results.setdefault(name, {})[str(seed)] = found
                report.save(FILE, results)
                print(row(name, [found]), flush=True)
    results = report.load(FILE)
    for page, cases in CASES.items():
        print(f"\n{page}\n\n| environment | objects | iterations | CPU seconds | total variation |\n{'|---' * 5}|")
        print(*(row(name, list(results[name].values())) for name in cases if results.get(name)), sep="\n")


if __name__ == "__main__":
    main()
