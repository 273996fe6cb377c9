"""TFBind8 (SIX6): DNA sequences of 8 bases; the reward is measured binding (Shen et al. 2023, section 7).

Rows: trajectory balance (tb); the same with P_B uniform over distinct parents (maxent); with prioritized replay
(tb+prt); with prioritized replay and relative edge flow policies (tb+prt+ssr); and guided trajectory balance with
both (sub+prt+ssr).

Columns: the mean reward of the objects sampled in the last 500 rounds, as a percentage of the mean reward of an exact
sampler; the first round at which the mean of the preceding 500 rounds reaches 100% to stay; and the exact total
variation between the learned distribution and R(x) / Z, which the paper does not report. The published values
come from a secondary source.

python examples/papers/shen2023_tfbind8.py --quick
"""

from __future__ import annotations

from rows import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, shen2023_rows
from runner import Experiment
from tables import main

EXPERIMENT = Experiment(
    name="shen2023_tfbind8",
    title="Shen et al. 2023, table 1, SIX6:",
    env="GFN/TFBind8-v0",
    rows=shen2023_rows(
        hidden=(128, 128),
        published=("98.0%", "96.8%", "97.3%", "97.2%", "100% at 4,560 ± 1,730"),
        epsilon=0.01,
        guide={"alpha": 0.75, "guide_temperature": 3.0, "guide_paths": "sampled"},
        steps_per_batch=3,
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=50_000,
    quick=(500, {}, {}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
