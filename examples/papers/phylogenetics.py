"""Phylogenetic trees by parsimony on the alignments DS1 to DS8 (Zhou et al. 2024; Deleu et al. 2024).

Rows: forward-looking detailed balance (fldb), the usual objective here, and forward-looking SubTB (flsubtb), which both
use the mutations of the forest so far; detailed balance (db) and trajectory balance (tb), which do not; and Markov
chain Monte Carlo on trees (mcmc).

Columns, of 1,000 samples: the mean and the smallest number of mutations; the policy's estimate of log Z and its lower
bound ELBO (higher is better); the correlation of log R(x) with log p(x) on random trees; and the exact total variation
if all trees can be listed. The script saves a drawing of the best tree, and the tree in Newick format.

Alignments are data sets (gfn data fetch phylo-ds1), or your own: --env alignment=mine.fasta

python examples/papers/phylogenetics.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import SAMPLES, draw_tree, random_objects, tree_figures
from tables import main

BOTH: dict[str, Any] = {"batch_size": 32, "backward": "uniform", "lr": (3e-4, 1e-5, 20_000), "epsilon": 0.05}

EXPERIMENT = Experiment(
    name="phylogenetics",
    title="Phylogenetic trees:",
    env="GFN/PhyloTree-v0",
    env_arguments={"alignment": "DS1"},
    rows={
        "fldb": Row("fldb", BOTH),
        "flsubtb": Row("flsubtb", BOTH),
        "db": Row("db", BOTH),
        "tb": Row("tb", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 32}),
    },
    columns=(
        Column("mean_mutations", "mean mutations", "{:,.1f}"),
        Column("fewest_mutations", "fewest", "{:,.0f}"),
        Column("log_z", "log Z", "{:.2f}"),
        Column("elbo", "ELBO", "{:.2f}"),
        Column("pearson", "Pearson log R, log p", "{:.2f}"),
        Column("tv", "exact TV"),
    ),
    published="none: other rewards",
    rounds=20_000,
    quick=(300, {"alignment": None, "num_taxa": 7}, {"lr": 1e-3}),
    test_objects=random_objects,
    samples=(SAMPLES, SAMPLES),
    extra_metrics=tree_figures,
    draw=draw_tree,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
