"""Drug-like molecules by QED, from a vocabulary that is part of the package: no download.

Rows: trajectory balance (tb); forward-looking SubTB (flsubtb), which uses the QED of unfinished molecules; and proximal
policy optimization (ppo), which maximizes the reward instead of sampling in proportion to it.

Columns, of 1,000 samples: the mean QED, and that of the 10 and of the 100 best distinct molecules; the mean Tanimoto
distance between the 100 best (diversity); and the number of distinct molecules. The script saves pictures of the best
molecules and of random samples, and the SMILES strings of all samples, next to the results.

The reward is QED^16. Other rewards, and your own blocks:

  --env reward=penalized_logp
  --env reward=similarity target='"CC(=O)Oc1ccccc1C(=O)O"' exponent=4
  --env 'reward={"qed": 8, "sa": 4}'
  --env blocks='["*c1ccc(*)cc1", "*C(=O)N*", "*C1CCNCC1"]'

python examples/papers/qed_molecules.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import SAMPLES, draw_molecules, molecule_scores
from tables import main

BOTH: dict[str, Any] = {"batch_size": 32, "lr": 1e-3, "epsilon": 0.05}

EXPERIMENT = Experiment(
    name="qed_molecules",
    title="Molecules by QED:",
    env="GFN/FragmentMolecule-v0",
    env_arguments={"reward": "qed", "exponent": 16.0},
    rows={
        "tb": Row("tb", BOTH),
        "flsubtb": Row("flsubtb", BOTH),
        "ppo": Row("ppo", {"batch_size": 32}),
    },
    columns=(
        Column("mean_score", "mean QED", "{:.3f}"),
        Column("top_10_score", "top-10 QED", "{:.3f}"),
        Column("top_100_score", "top-100 QED", "{:.3f}"),
        Column("top_100_diversity", "top-100 diversity", "{:.2f}"),
        Column("distinct_objects", "distinct of 1,000", "{:,.0f}"),
    ),
    published="none",
    rounds=3_000,
    quick=(40, {}, {}),
    samples=(SAMPLES, SAMPLES),
    extra_metrics=molecule_scores,
    draw=draw_molecules,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
