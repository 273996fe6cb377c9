"""HyperGrid by policy gradients, beside objectives of balance (Niu et al. 2024, section 5.1).

Rows: RL-U, RL-B, RL-G and RL-T, policy gradients with a uniform, learned or guided backward policy and with trust
regions; and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy.

Printed for each: exact total variation and Jensen-Shannon divergence from R(x) / Z, the accuracy E R / E* R, clipped to
[0, 1], and the modes found. The paper's figures are drawn as curves over training and given in a table that our
sources do not hold, so there is none beside. The default is its 256 x 256 grid; the others are --env ndim=2 side=128,
ndim=3 side=64 and ndim=4 side=32.

python examples/papers/niu2024_hypergrid.py --quick
"""

from __future__ import annotations

from runner import Experiment
from tables import NIU2024_COLUMNS, main, niu2024_rows

EXPERIMENT = Experiment(
    name="niu2024_hypergrid",
    what="Niu et al. 2024, hyper-grid:",
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
