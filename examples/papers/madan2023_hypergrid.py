"""HyperGrid: SubTB(lambda) compared with trajectory and detailed balance (Madan et al. 2023, section 4.1).

Rows: sub-trajectory balance with lambda 0.9 (subtb), trajectory balance (tb) and detailed balance (db); SubTB(0.9) with
sub-trajectories of at most 4 steps (figure A.4); SubTB with other lambdas (figure A.2); and TB with
random actions or a higher temperature (figure A.3).

Columns: the exact L1 distance to R(x) / Z, twice the total variation, which is not divided by the number of states, as
in the paper; the error of log Z; and the modes found. The paper reports curves, of the frequencies of its samples. The
default is the 16 x 16 grid with the "hard" reward (R0 = 1e-4). The paper's others: --env side=32; side from 8 to 60, or
ndim=4 and side from 8 to 40; and reward=easy (R0 = 1e-3), which the paper calls standard.

The settings are the paper's: batches of 16, 62,500 iterations, log Z = log F(s0) as a parameter with ten times the
learning rate, learned P_B, and weights of SubTB normalized over the batch. Its learning rate is not in our sources;
here it is 1e-3. Samples are on-policy.

python examples/papers/madan2023_hypergrid.py --quick
"""

from __future__ import annotations

from typing import Any

from rows import OWN_OFF
from runner import Column, Experiment, Row
from tables import main

BOTH: dict[str, Any] = {
    "batch_size": 16,
    "lr": 1e-3,
    "lr_log_z": 1e-2,
    **OWN_OFF,
}
SUBTB = {**BOTH, "weighting": "batch"}
LAMBDAS = (0.1, 0.5, 0.8, 1.3, 3.0, 10.0)

EXPERIMENT = Experiment(
    name="madan2023_hypergrid",
    title="Madan et al. 2023, hyper-grid:",
    env="GFN/HyperGrid-v0",
    env_arguments={"ndim": 2, "side": 16, "reward": "hard"},
    rows={
        "subtb": Row("subtb", {**SUBTB, "lamda": 0.9}),
        "tb": Row("tb", BOTH),
        "db": Row("db", BOTH),
        "subtb 4 steps": Row("subtb", {**SUBTB, "lamda": 0.9, "longest": 4}),
        **{f"subtb lambda {lamda:g}": Row("subtb", {**SUBTB, "lamda": lamda}) for lamda in LAMBDAS},
        **{f"tb epsilon {epsilon:g}": Row("tb", {**BOTH, "epsilon": epsilon}) for epsilon in (0.125, 0.5)},
        **{f"tb temperature {heat:g}": Row("tb", {**BOTH, "temperature": heat}) for heat in (2.0, 4.0)},
    },
    columns=(
        Column("l1", "exact L1"),
        Column("log_z_error", "log Z error"),
        Column("modes", "modes", "{:.0f}"),
        Column("num_modes", "of", "{:.0f}"),
    ),
    published="none: curves",
    rounds=62_500,
    quick=(300, {"side": 8}, {}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
