"""QM9str: molecules of five blocks, rewarded by a proxy of their HOMO-LUMO gap (Shen et al. 2023, section 6).

Five rows: trajectory balance (tb), with the backward policy of maximum entropy (maxent), with prioritized replay
(tb+prt), with relative edge flow policies as well (tb+prt+ssr), and guided trajectory balance with both (sub+prt+ssr).

Printed for each: the mean reward of what the policy sampled in its last 500 rounds, in percent of what an exact sampler
would have; the first round whose last 500 reach 100%; and, which the paper could not show, the exact total variation
between what is sampled and R(x) / Z. The authors' code runs
5,000 rounds; the table needs more. The published figures were taken from a secondary source.

python examples/papers/shen2023_qm9str.py --quick
"""

from __future__ import annotations

from runner import Experiment
from tables import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, main, shen2023_rows

EXPERIMENT = Experiment(
    name="shen2023_qm9str",
    what="Shen et al. 2023, table 1, QM9:",
    env="GFN/QM9Str-v0",
    rows=shen2023_rows(
        hidden=(1024, 1024),
        published=("8,405 ± 185", "8,735 ± 775", "4,735 ± 765", "5,630 ± 650", "98.5%"),
        epsilon=0.1,
        guide={"alpha": 0.5},
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=10_000,
    quick=(500, {}, {"hidden": (64, 64)}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
