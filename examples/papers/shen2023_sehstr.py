"""sEHstr: molecules of six blocks, rewarded by a proxy of their binding to sEH (Shen et al. 2023, section 6).

Five rows: trajectory balance (tb), with the backward policy of maximum entropy (maxent), with prioritized replay
(tb+prt), with relative edge flow policies as well (tb+prt+ssr), and guided trajectory balance with both (sub+prt+ssr).

Printed for each: the mean reward of what the policy sampled in its last 500 rounds, in percent of what an exact sampler
would have, and the first round whose last 500 reach 100%. There are 34 million objects: the exact sampler's mean takes
a score of each, once (about two minutes on one core; kept in the cache), and total variation is out of reach: log p(x)
and log R(x) are correlated on 500 random strings instead. Errors are standard errors, of samples where there is one
seed. The published figures were taken from a secondary source.

python examples/papers/shen2023_sehstr.py --quick
"""

from __future__ import annotations

import numpy as np
from runner import Column, Experiment
from tables import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, main, shen2023_rows
from tqdm import tqdm

from gfn_envs import SEHStr
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.data import registry as datasets

#: Strings drawn uniformly, on which log p(x), exact from their ancestors, and log R(x) are correlated.
TEST_OBJECTS = 500


def target_mean(dag: Dag) -> float:
    """sum R^2 / sum R over all strings, the mean reward of an exact sampler; kept in the cache."""
    assert isinstance(dag, SEHStr)
    if dag.reward_table is not None:
        return float((dag.reward_table**2).sum() / dag.reward_table.sum())
    key = f"sehstr-target-{dag.floor!r}-{dag.exponent!r}-{datasets.dataset('sehstr-model').sha256[:16]}"
    best, total, squares = datasets.cached(key, lambda: {"sums": raised_sums(dag)})["sums"]
    return float(dag.scale * squares / (best * total))


def raised_sums(dag: SEHStr) -> np.ndarray:
    """Of r = max(prediction, floor)^exponent over all strings: the largest, the sum and the sum of squares."""
    best = total = squares = 0.0
    for scores in tqdm(dag.trees.score_all(), desc="scoring 34 million strings, once", unit="part"):
        raised = np.maximum(scores, dag.floor) ** dag.exponent
        best, total, squares = max(best, raised.max()), total + raised.sum(), squares + (raised**2).sum()
    return np.array([best, total, squares])


def test_objects(dag: Dag) -> IntArray:
    """The same random strings for every row."""
    assert isinstance(dag, SEHStr)
    letters = np.random.default_rng(0).integers(dag.num_letters, size=(TEST_OBJECTS, dag.length))
    return np.column_stack([letters, np.full(TEST_OBJECTS, dag.length)])


EXPERIMENT = Experiment(
    name="shen2023_sehstr",
    what="Shen et al. 2023, table 1, sEH:",
    env="GFN/SEHStr-v0",
    rows=shen2023_rows(
        hidden=(1024, 1024),
        published=("45,840 ± 500", "42,670 ± 190", "19,390 ± 2,570", "9,920 ± 4,880", "5,570 ± 290"),
        epsilon=0.05,
        guide={"alpha": 0.5},
        lr=1e-5,
    ),
    columns=(
        *(column for column in SHEN2023_COLUMNS if column.name not in ("tv", "anderson_darling")),
        Column("spearman", "Spearman log R, log p", "{:.2f}"),
    ),
    test_objects=test_objects,
    published=SHEN2023_PUBLISHED,
    rounds=50_000,
    quick=(500, {}, {"hidden": (64, 64)}),
    target_mean=target_mean,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
