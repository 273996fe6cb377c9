"""PHO4 (TFBind10): DNA sequences of 10 bases; the reward is measured binding (Shen et al. 2023, section 7).

Rows: trajectory balance (tb); the same with P_B uniform over distinct parents (maxent); with prioritized replay
(tb+prt); with prioritized replay and relative edge flow policies (tb+prt+ssr); and guided trajectory balance with
both (sub+prt+ssr).

Columns: as in shen2023_tfbind8.py. The data set is pho4 (gfn data fetch pho4), or --env table=FILE. SSR has one hidden
layer in the scorer; the authors' code has two. The published values come from a secondary source.

python examples/papers/shen2023_pho4.py --quick
"""

from __future__ import annotations

from rows import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, shen2023_rows
from runner import Experiment
from tables import main

EXPERIMENT = Experiment(
    name="shen2023_pho4",
    title="Shen et al. 2023, table 1, PHO4:",
    env="GFN/PHO4-v0",
    rows=shen2023_rows(
        hidden=(512, 512, 512),
        published=("78.3 ± 0.3%", "77.7 ± 0.2%", "80.2 ± 0.3%", "79.6 ± 0.4%", "73 ± 0.5%"),
        epsilon=0.01,
        guide={"alpha": 0.75, "guide_temperature": 3.0, "guide_paths": "sampled"},
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=50_000,
    quick=(500, {}, {"hidden": (64, 64)}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
