"""HyperGrid: policy gradients compared with balance objectives (Niu et al. 2024, section 5.1).

Rows: policy gradients with a uniform (RL-U), learned (RL-B) or guided (RL-G) backward policy, and with trust regions
(RL-T); and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy, on-policy or with decaying random
actions (+ noise).

Columns: exact total variation and Jensen-Shannon divergence from R(x) / Z, the accuracy E R / E* R clipped to [0, 1],
and the number of modes found. The paper reports curves over training and a table. Our sources do not contain that
table, so no published values are shown. The default is the 256 x 256 grid of the paper. Its other grids are
--env ndim=2 side=128, --env ndim=3 side=64 and --env ndim=4 side=32.

python examples/papers/niu2024_hypergrid.py --quick
"""

from __future__ import annotations

from rows import NIU2024_COLUMNS, niu2024_rows
from runner import Experiment
from tables import main

EXPERIMENT = Experiment(
    name="niu2024_hypergrid",
    title="Niu et al. 2024, hyper-grid:",
    env="GFN/HyperGrid-v0",
    env_arguments={"ndim": 2, "side": 256, "reward": "niu"},
    rows=niu2024_rows(),
    columns=NIU2024_COLUMNS,
    published="not at hand",
    rounds=2_000,
    quick=(60, {"side": 16}, {}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
