"""Bayesian networks: policy gradients compared with balance objectives (Niu et al. 2024).

Rows: policy gradients with a uniform (RL-U), learned (RL-B) or guided (RL-G) backward policy, and with trust regions
(RL-T); and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy, on-policy or with decaying random
actions (+ noise). As in the authors' code, P_B of RL-B and RL-G is fitted by a squared loss, and the guide of RL-G
hardly stops at graphs whose log R is less than 75 above that of the empty graph.

Columns: exact total variation and Jensen-Shannon divergence from the posterior, the accuracy E R / E* R clipped to
[0, 1], and the largest error of an edge marginal. The paper reports curves over training. The instance has 5 nodes, 100
samples and the BGe score. As in the authors' code, the noise of the data has standard deviation 0.1 (its 0.1 is meant
as a variance, which data=null gives).

python examples/papers/niu2024_bayesnet.py --quick
"""

from __future__ import annotations

import numpy as np
from rows import NIU2024_COLUMNS, niu2024_rows
from runner import Column, Experiment
from structure_figures import draw_marginals, marginal_errors
from tables import main

NODES, SAMPLES, NOISE = 5, 100, 0.1


def data(seed: int = 0) -> dict[str, list[float]]:
    """Samples of a linear-Gaussian network on a random graph with 5 edges in the mean: column -> values."""
    rng = np.random.default_rng(seed)
    edge = np.triu(rng.random((NODES, NODES)) < 2 / (NODES - 1), 1)
    weights, values = edge * rng.normal(size=(NODES, NODES)), NOISE * rng.normal(size=(SAMPLES, NODES))
    for node in range(1, NODES):
        values[:, node] += values[:, :node] @ weights[:node, node]
    return {f"X{node}": column.tolist() for node, column in zip(rng.permutation(NODES), values.T, strict=True)}


EXPERIMENT = Experiment(
    name="niu2024_bayesnet",
    title="Niu et al. 2024, Bayesian networks:",
    env="GFN/BayesNet-v0",
    env_arguments={"data": data()},
    rows=niu2024_rows(lr_log_z=1.0, backward={"backward_loss": "squared"}),
    columns=(*NIU2024_COLUMNS[:3], Column("edge_error", "edge error")),
    published="none: curves",
    rounds=2_000,
    quick=(100, {"num_nodes": 4, "data": None}, {}),
    extra_metrics=marginal_errors,
    draw=draw_marginals,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
