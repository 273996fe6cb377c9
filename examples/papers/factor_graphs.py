"""Factor graphs (Buesing et al. 2020; Deleu et al. 2024): chains and random graphs.

Rows: trajectory balance (tb), detailed balance (db) and sub-trajectory balance (subtb); forward-looking DB and SubTB
(fldb, flsubtb), which use the factors that are already complete; and Markov chain Monte Carlo (mcmc).

Columns: exact total variation and KL divergence from R(x) / Z, the error of log Z, the correlation of log R(x) with
log p(x), and the total variation of sampled objects. The papers report the KL divergence over training. The default is
a chain of 6 variables with 5 values, assigned in any order. Other graphs are --env graph=permuted_chain, factor_graph_1
or factor_graph_2 (with num_values=2); construction=autoregressive fixes the order.

python examples/papers/factor_graphs.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import learned
from tables import main

BOTH: dict[str, Any] = {"batch_size": 32, "backward": "uniform", "epsilon": 0.1}

EXPERIMENT = Experiment(
    name="factor_graphs",
    title="Factor graphs:",
    env="GFN/FactorGraph-v0",
    rows={
        "tb": Row("tb", BOTH),
        "db": Row("db", BOTH),
        "fldb": Row("fldb", BOTH),
        "subtb": Row("subtb", BOTH),
        "flsubtb": Row("flsubtb", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 32, "rounds": 4}),
    },
    columns=(
        Column("tv", "exact TV"),
        Column("kl", "exact KL"),
        Column("log_z_error", "log Z error"),
        Column("spearman", "Spearman log R, log p"),
        Column("empirical_tv", "sampled TV"),
    ),
    published="none: curves",
    rounds=5_000,
    quick=(300, {"num_variables": 4, "num_values": 4}, {}),
    draw=learned,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
