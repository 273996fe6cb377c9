"""Molecules for any weights of drug-likeness and synthesizability: one agent, and the Pareto front that it finds.

    python examples/pareto_molecules.py                      # pip install "gfn-envs[mols,pareto]": RDKit, pymoo
    python examples/pareto_molecules.py --iterations 50

The reward of weights w is (w_qed QED + w_sa SA)^exponent (Jain et al. 2023, Multi-Objective GFlowNets). Add ",seh" to
--objectives if the sEH proxy is there (gfn data fetch).
"""

from __future__ import annotations

import argparse

import numpy as np

import agents
import gfn_envs
from agents.evaluation.pareto import pareto_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--objectives", default="qed,sa")
    parser.add_argument("--exponent", type=float, default=16.0)
    parser.add_argument("--max-blocks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    names = options.objectives.split(",")
    dag = gfn_envs.make_dag(
        "GFN/FragmentMolecule-v0",
        max_blocks=options.max_blocks,
        reward=dict.fromkeys(names, 1.0),
        conditions=f"preferences:{options.objectives},exponent={options.exponent:g}",
    )
    # Objects found under one condition are replayed under others.
    settings = {"batch_size": 32, "epsilon": 0.05, "condition_by": "film", "replay": "uniform", "relabel": True}
    agent = agents.make_agent("tb", dag, seed=options.seed, **settings)
    agents.train(agent, options.iterations, progress=False, eval_every=0)

    rng = np.random.default_rng(options.seed)
    weights = dag.conditions.sample(16, rng)
    objects = np.concatenate([agent.at(w).sample(16, rng) for w in weights])
    scores = np.stack([dag.base.reward_components(objects)[name] for name in names], axis=1)
    found = pareto_metrics(objects, scores, distance=dag.base.distance)
    print(f"{len(objects)} samples at {len(weights)} weights, {found['front_size']} on the front")
    print(f"hypervolume {found['hypervolume']:.4f}, R2 {found['r2']:.4f}")
    order = np.argsort(found["front_scores"][:, 0])
    smiles = dag.base.to_smiles(found["front"][order])
    for row, molecule in list(zip(found["front_scores"][order], smiles, strict=True))[:10]:
        print("  ".join(f"{name} {x:.3f}" for name, x in zip(names, row, strict=True)), molecule)


if __name__ == "__main__":
    main()
