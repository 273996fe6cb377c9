"""Bag: multisets of 13 letters, few of them worth much (Shen et al. 2023, section 6).

Five rows: trajectory balance (tb), with the backward policy of maximum entropy (maxent), with prioritized replay
(tb+prt), with relative edge flow policies as well (tb+prt+ssr), and guided trajectory balance with both (sub+prt+ssr).

Printed for each: the mean reward of what the policy sampled in its last 500 rounds, in percent of what an exact sampler
would have; the first round whose last 500 reach 100%; and, which the paper could not show, the exact total variation
between what is sampled and R(x) / Z. The authors' code runs
2,000 rounds; the table needs more. The published figures were taken from a secondary source.

python examples/papers/shen2023_bag.py --quick
"""

from __future__ import annotations

from runner import Experiment
from tables import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, main, shen2023_rows

EXPERIMENT = Experiment(
    name="shen2023_bag",
    what="Shen et al. 2023, table 1, bag:",
    env="GFN/Bag-v0",
    rows=shen2023_rows(
        hidden=(16, 16),
        published=("13,820 ± 1,740", "13,775 ± 2,275", "20,575 ± 2,355", "8,880 ± 1,795", "7,440 ± 1,310"),
        epsilon=0.1,
        guide={"alpha": 0.5},
    ),
    columns=SHEN2023_COLUMNS,
    published=SHEN2023_PUBLISHED,
    rounds=25_000,
    quick=(500, {}, {}),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
