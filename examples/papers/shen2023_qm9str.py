"""QM9str: molecules of five blocks; the reward is a proxy of the HOMO-LUMO gap (Shen et al. 2023, section 7).

Rows: trajectory balance (tb); the same with P_B uniform over distinct parents (maxent); with prioritized replay
(tb+prt); with prioritized replay and relative edge flow policies (tb+prt+ssr); and guided trajectory balance with
both (sub+prt+ssr).

Columns: the mean reward of the objects sampled in the last 500 rounds, as a percentage of the mean reward of an exact
sampler; the first round at which the mean of the preceding 500 rounds reaches 100% to stay; and the exact total
variation between the learned distribution and R(x) / Z, which the paper does not report. The authors' code runs
5,000 rounds; reproducing the table takes more. The published values come from a secondary
source.

python examples/papers/shen2023_qm9str.py --quick
"""

from __future__ import annotations

from rows import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, shen2023_rows
from runner import Experiment
from tables import main

EXPERIMENT = Experiment(
    name="shen2023_qm9str",
    title="Shen et al. 2023, table 1, QM9:",
    env="GFN/QM9Str-v0",
    rows=shen2023_rows(
        hidden=(1024, 1024),
        published=("8,405 ± 185", "8,735 ± 775", "4,735 ± 765", "5,630 ± 650", "98.5%"),
        epsilon=0.1,
        guide={"alpha": 0.5, "guide_paths": "all"},
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=10_000,
    quick=(500, {}, {"hidden": (64, 64)}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
