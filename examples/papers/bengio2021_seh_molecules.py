"""Molecules that bind to soluble epoxide hydrolase (sEH), from building blocks (Bengio et al. 2021, section 4.2).

Rows: flow matching (fm), the paper's own objective; trajectory balance (tb), which came later; and what they are
compared with: Markov chain Monte Carlo on molecules (mcmc) and proximal policy optimisation (ppo).

Printed for each, of 1,000 samples: the proxy's score, on average and of the 10 and 100 best distinct molecules (the
paper's scale, on which 8 is very good); the mean Tanimoto distance between the 100 best; and modes, Bemis-Murcko
scaffolds of molecules that score 7 or more, met at any time. The paper draws these as curves over a million molecules.
Pictures of the best molecules, and of random samples, are saved beside the results, and SMILES of all.

The reward is (score / 8)^10. The proxy and the blocks are data sets: gfn data fetch seh-proxy fragment-blocks.

python examples/papers/bengio2021_seh_molecules.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import SAMPLES, draw_molecules, molecule_scores
from tables import main

BOTH: dict[str, Any] = {"batch_size": 16, "lr": 5e-4, "epsilon": 0.05}

SCORE_COLUMNS = (
    Column("mean_score", "mean score", "{:.2f}"),
    Column("top_10_score", "top-10 score", "{:.2f}"),
    Column("top_100_score", "top-100 score", "{:.2f}"),
    Column("top_100_diversity", "top-100 diversity", "{:.2f}"),
    Column("modes", "modes", "{:.0f}"),
)

EXPERIMENT = Experiment(
    name="bengio2021_seh_molecules",
    what="Bengio et al. 2021, molecules:",
    env="GFN/FragmentMolecule-v0",
    env_arguments={"blocks": "pdb105", "reward": "seh", "mode_threshold": 7 / 8},
    rows={
        "fm": Row("fm", BOTH),
        "tb": Row("tb", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 16}),
        "ppo": Row("ppo", {"batch_size": 16}),
    },
    columns=SCORE_COLUMNS,
    published="none: curves",
    rounds=60_000,
    quick=(30, {}, {}),
    samples=(SAMPLES, SAMPLES),
    more=molecule_scores,
    draw=draw_molecules,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
