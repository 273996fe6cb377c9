"""Best molecules within a budget of oracle calls: GFlowNets, MCMC and random sampling.

The reward is QED x SA x a window of logP x similarity to celecoxib. An agent may have 4,000 different molecules scored;
the measure is the mean score of the 100 best of them.

examples:
  python -m benchmarks.molecule_budget --quick
  python -m benchmarks.molecule_budget
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import QED, Crippen

import agents
import gfn_envs
from benchmarks import report
from gfn_envs.envs.molecules.scores import fingerprint, normalized_sa, similarities

CELECOXIB = "Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F"
BEST = 100
PATH = report.RESULTS / "molecule_budget.json"

#: Agent, its settings and the exponent of the reward, by label. Settings that are not named are the defaults.
RUNS: dict[str, tuple[str, dict[str, Any], float]] = {
    "tb": ("tb", {}, 1),
    "subtb": ("subtb", {}, 1),
    "tb without replay": ("tb", {"replay": "none"}, 1),
    "mcmc": ("mcmc", {}, 1),
    "random": ("random", {}, 1),
    "tb, R^16": ("tb", {}, 16),
    "subtb, R^16": ("subtb", {}, 16),
    "tb without replay, R^16": ("tb", {"replay": "none"}, 16),
    "mcmc, R^16": ("mcmc", {}, 16),
}


class Oracle:
    """The score of a molecule, and the scores and sizes of all different molecules that were asked for."""

    def __init__(self) -> None:
        self.target = [fingerprint(Chem.MolFromSmiles(CELECOXIB))]
        self.known: dict[str, float] = {}
        self.atoms: list[int] = []

    def __call__(self, mol: Any) -> float:
        smiles = Chem.MolToSmiles(mol)
        if smiles not in self.known:
            logp = Crippen.MolLogP(mol)
            window = math.exp(-max(0.0, 1.0 - logp, logp - 4.0))
            similarity = float(similarities([fingerprint(mol)], self.target)[0, 0])
            self.atoms.append(mol.GetNumHeavyAtoms())
            self.known[smiles] = max(QED.qed(mol) * normalized_sa(mol) * window * similarity, 1e-6)
        return self.known[smiles]


def run(label: str, seed: int, calls: int) -> dict[str, Any]:
    """One agent, until it has used its calls."""
    oracle = Oracle()
    name, settings, exponent = RUNS[label]
    dag = gfn_envs.make_dag("GFN/FragmentMolecule-v0", reward=oracle, exponent=exponent, expensive_reward=True)
    agent = agents.make_agent(name, dag, seed=seed, **settings)
    begin = time.process_time()
    while len(oracle.known) < calls and time.process_time() - begin < 600:
        agent.update()
    scores = np.array(list(oracle.known.values()))[:calls]
    return {
        "best": float(np.sort(scores)[-BEST:].mean()),
        "mean": float(scores.mean()),
        "atoms": float(np.mean(oracle.atoms[:calls])),
        "calls": len(scores),
        "iterations": agent.iteration,
        "seconds": time.process_time() - begin,
    }


def section(results: dict[str, Any]) -> str:
    """The section of docs/results.md."""
    rows = [
        [
            label,
            str(len(runs)),
            *(cell([run.get(key) for run in runs.values()]) for key in ("best", "mean", "atoms", "seconds")),
        ]
        for label in RUNS
        if (runs := results.get(label))
    ]
    return "\n".join(
        [
            "## Molecules within a budget of oracle calls",
            "",
            "`python -m benchmarks.molecule_budget`: 4,000 different molecules of 2 to 8 packaged blocks, reward QED x "
            "SA x logP window x similarity to celecoxib, as it is or to the power of 16; default settings with "
            "`expensive_reward=True`, with which our agents replay, unless the row says more; mean ± standard error "
            "over seeds of the mean score of the 100 best molecules, of all molecules, of their number of atoms, and "
            "CPU seconds.",
            "",
            report.table(["agent", "seeds", "100 best", "all", "atoms", "seconds"], rows),
            "",
            "* R itself has most of its mass on large molecules, which have low scores but are far more numerous. "
            "Agents that sample R (tb, subtb, mcmc) therefore have more atoms and a worse best 100 than random "
            "sampling, which stops earlier. Replay raises tb's mean of all molecules by 3% and lowers that of the 100 "
            "best by 8%. Use an exponent to search for the best molecules. Random sampling ignores the reward, so its "
            "row is also that of R^16.",
            "* At R^16, tb without replay returns to a few molecules: seed 0 needed 6,156 iterations for 4,000 "
            "different ones, and seed 2, which is left out, did not find them in 110 CPU seconds. With replay, 265 "
            "to 386 iterations are enough.",
        ]
    )


def cell(values: list[float | None]) -> str:
    """Mean and standard error; a dash if a run did not record it."""
    known = [value for value in values if value is not None]
    return report.cell(known, 4) if len(known) == len(values) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000, help="different molecules scored (default: %(default)s)")
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas (default: %(default)s)")
    parser.add_argument("--only", help="labels separated by semicolons; default: all")
    parser.add_argument("--quick", action="store_true", help="100 calls, one seed; nothing is written")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {} if options.quick else report.load(PATH)
    for seed in [0] if options.quick else [int(seed) for seed in options.seeds.split(",")]:
        for label in options.only.split(";") if options.only else RUNS:
            if results.get(label, {}).get(str(seed), {}).get("calls", 0) >= options.calls:
                continue
            found = run(label, seed, 100 if options.quick else options.calls)
            results.setdefault(label, {})[str(seed)] = found
            print(f"{label}, seed {seed}: {found}", flush=True)
            if not options.quick:
                report.save(PATH, results)
    if not options.quick:
        report.write_section("molecule_budget", section(results))


if __name__ == "__main__":
    main()
