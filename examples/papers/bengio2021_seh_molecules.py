"""Molecules that bind to soluble epoxide hydrolase (sEH), from building blocks (Bengio et al. 2021, section 4.2).

Rows: flow matching (fm), the paper's own objective; trajectory balance (tb), which was published later; Markov chain
Monte Carlo on molecules (mcmc); and proximal policy optimization (ppo).

Columns, of 1,000 samples: the mean score of the proxy, and that of the 10 and of the 100 best distinct molecules (on
the paper's scale, where 8 is very good); the mean Tanimoto distance between the 100 best; and the number of modes,
which are Bemis-Murcko scaffolds of molecules that score 7 or more, counted over the whole run. The paper reports curves
over a million molecules. The script saves pictures of the best molecules and of random samples, and the SMILES strings
of all samples, next to the results.

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
    title="Bengio et al. 2021, molecules:",
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
    extra_metrics=molecule_scores,
    draw=draw_molecules,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
