"""Bayesian networks by policy gradients, beside objectives of balance (Niu et al. 2024).

Rows: RL-U, RL-B, RL-G and RL-T, policy gradients with a uniform, learned or guided backward policy and with trust
regions; and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy.

Printed for each: exact total variation and Jensen-Shannon divergence from the posterior, the accuracy E R / E* R,
clipped to [0, 1], and the largest error of an edge's marginal. The paper's figures are curves over training. 5 nodes,
100 samples, BGe score.

python examples/papers/niu2024_bayesnet.py --quick
"""

from __future__ import annotations

from runner import Column, Experiment
from structure_figures import draw_marginals, marginal_errors
from tables import NIU2024_COLUMNS, main, niu2024_rows

EXPERIMENT = Experiment(
    name="niu2024_bayesnet",
    what="Niu et al. 2024, Bayesian networks:",
    env="GFN/BayesNet-v0",
    env_arguments={"num_nodes": 5},
    rows=niu2024_rows(),
    columns=(*NIU2024_COLUMNS[:3], Column("edge_error", "edge error")),
    published="none: curves",
    rounds=2_000,
    quick=(100, {"num_nodes": 4}, {}),
    more=marginal_errors,
    draw=draw_marginals,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
