"""Molecules for sEH by sub-trajectory balance (Madan et al. 2023).

Rows: SubTB(lambda) with the paper's lambda, 1, and weights normalized over the batch; trajectory balance and detailed
balance.

Columns: the correlation of log p(x), estimated from 10 backward trajectories, with log R(x) on molecules built by
random actions; the scores of 1,000 samples on the scale of the proxy; the mean Tanimoto distance between the 100 best;
and the number of modes, which are scaffolds that score 7 or more. The paper plots the correlation over training for
several reward exponents and finds SubTB ahead of TB and DB most of the time: --env exponent=4, 8, 10 (default) or 16.

The proxy and the blocks are data sets: gfn data fetch seh-proxy fragment-blocks.

python examples/papers/madan2023_molecules.py --quick
"""

from __future__ import annotations

from typing import Any

from bengio2021_seh_molecules import SCORE_COLUMNS
from rows import OWN_OFF
from runner import Column, Experiment, Row
from structure_figures import SAMPLES, draw_molecules, molecule_scores, random_objects
from tables import main

BOTH: dict[str, Any] = {"batch_size": 16, "lr": 5e-4, "epsilon": 0.05, "backward": "uniform", **OWN_OFF}

EXPERIMENT = Experiment(
    name="madan2023_molecules",
    title="Madan et al. 2023, molecules:",
    env="GFN/FragmentMolecule-v0",
    env_arguments={"blocks": "pdb105", "reward": "seh", "mode_threshold": 7 / 8},
    rows={
        "subtb": Row("subtb", {**BOTH, "lamda": 1.0, "weighting": "batch"}),
        "tb": Row("tb", BOTH),
        "db": Row("db", BOTH),
    },
    columns=(
        Column("pearson", "Pearson log R, log p", "{:.2f}"),
        Column("spearman", "Spearman", "{:.2f}"),
        *SCORE_COLUMNS,
    ),
    published="none: curves",
    rounds=30_000,
    quick=(30, {}, {}),
    test_objects=random_objects,
    samples=(SAMPLES, SAMPLES),
    extra_metrics=molecule_scores,
    draw=draw_molecules,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
