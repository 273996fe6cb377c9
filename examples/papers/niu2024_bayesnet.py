"""Bayesian networks: policy gradients compared with balance objectives (Niu et al. 2024).

Rows: policy gradients with a uniform (RL-U), learned (RL-B) or guided (RL-G) backward policy, and with trust regions
(RL-T); and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy.

Columns: exact total variation and Jensen-Shannon divergence from the posterior, the accuracy E R / E* R clipped to
[0, 1], and the largest error of an edge marginal. The paper reports curves over training. The instance has 5 nodes, 100
samples and the BGe score.

python examples/papers/niu2024_bayesnet.py --quick
"""

from __future__ import annotations

from rows import NIU2024_COLUMNS, niu2024_rows
from runner import Column, Experiment
from structure_figures import draw_marginals, marginal_errors
from tables import main

EXPERIMENT = Experiment(
    name="niu2024_bayesnet",
    title="Niu et al. 2024, Bayesian networks:",
    env="GFN/BayesNet-v0",
    env_arguments={"num_nodes": 5},
    rows=niu2024_rows(),
    columns=(*NIU2024_COLUMNS[:3], Column("edge_error", "edge error")),
    published="none: curves",
    rounds=2_000,
    quick=(100, {"num_nodes": 4}, {}),
    extra_metrics=marginal_errors,
    draw=draw_marginals,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
