"""TFBind8 (SIX6): DNA 8-mers, rewarded by measured binding (Shen et al. 2023, section 6).

Five rows: trajectory balance (tb), with the backward policy of maximum entropy (maxent), with prioritized replay
(tb+prt), with relative edge flow policies as well (tb+prt+ssr), and guided trajectory balance with both (sub+prt+ssr).

Printed for each: the mean reward of what the policy sampled in its last 500 rounds, in percent of what an exact sampler
would have; the first round whose last 500 reach 100%; and, which the paper could not show, the exact total variation
between what is sampled and R(x) / Z. The published figures were taken from a secondary source.

python examples/papers/shen2023_tfbind8.py --quick
"""

from __future__ import annotations

from runner import Experiment
from tables import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, main, shen2023_rows

EXPERIMENT = Experiment(
    name="shen2023_tfbind8",
    what="Shen et al. 2023, table 1, SIX6:",
    env="GFN/TFBind8-v0",
    rows=shen2023_rows(
        hidden=(128, 128),
        published=("98.0%", "96.8%", "97.3%", "97.2%", "100% at 4,560 ± 1,730"),
        epsilon=0.01,
        guide={"alpha": 0.75, "guide_temperature": 3.0},
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=50_000,
    quick=(500, {}, {}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
