"""The posterior over Bayesian networks (Deleu et al. 2022, section 5).

Rows: modified detailed balance (mdb), the paper's objective; trajectory balance (tb); forward-looking SubTB (flsubtb);
and Markov chain Monte Carlo on graphs (mcmc).

Columns: exact total variation to the posterior; and for the marginals of edges, paths and Markov blankets the largest
error and the correlation with the exact marginals. The paper plots learned over exact marginals. The script saves the
same plot as marginals.png: correct marginals lie on the diagonal. The instance has 5 nodes, 100 samples, the BGe score
and a uniform prior.

Your own data, with at most 5 columns for an exact posterior: --env data=mine.csv

python examples/papers/deleu2022_bayesnet.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import draw_marginals, marginal_errors
from tables import main

BOTH: dict[str, Any] = {"batch_size": 32, "backward": "uniform", "epsilon": 0.1, "delay_stop": 0}

EXPERIMENT = Experiment(
    name="deleu2022_bayesnet",
    title="Deleu et al. 2022, Bayesian networks:",
    env="GFN/BayesNet-v0",
    env_arguments={"num_nodes": 5},
    rows={
        "mdb": Row("mdb", BOTH),
        "tb": Row("tb", BOTH),
        "flsubtb": Row("flsubtb", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 32, "rounds": 4}),
    },
    columns=(
        Column("tv", "exact TV"),
        Column("edge_error", "edge error"),
        Column("path_error", "path error"),
        Column("markov_blanket_error", "blanket error"),
        Column("edge_pearson", "edge r", "{:.4f}"),
        Column("path_pearson", "path r", "{:.4f}"),
        Column("markov_blanket_pearson", "blanket r", "{:.4f}"),
    ),
    published="none: a figure",
    rounds=10_000,
    quick=(600, {"num_nodes": 4}, {}),
    extra_metrics=marginal_errors,
    draw=draw_marginals,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
