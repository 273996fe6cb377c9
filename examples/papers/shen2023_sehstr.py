"""sEHstr: molecules of six blocks; the reward is a proxy of binding to sEH (Shen et al. 2023, section 7).

Rows: trajectory balance (tb); the same with P_B uniform over distinct parents (maxent); with prioritized replay
(tb+prt); with prioritized replay and relative edge flow policies (tb+prt+ssr); and guided trajectory balance with
both (sub+prt+ssr).

Columns: the mean reward of the objects sampled in the last 500 rounds, as a percentage of the mean reward of an exact
sampler; and the first round at which the mean of the preceding 500 rounds reaches 100% to stay. There are 34 million
objects. The mean of the exact sampler therefore requires one pass over all of them (about two minutes on one core; the
result is cached), and exact total variation is not computed. The table shows the correlation of log p(x) with log R(x)
on 500 random strings instead. Modes, and the diversity of the 100 best distinct molecules, the mean of their Tanimoto
distances, are counted over 128 samples every 10 rounds, as in the code of the authors. Errors are
standard errors over seeds, or over samples if there is only one seed. The published values come from a secondary
source.

python examples/papers/shen2023_sehstr.py --quick
"""

from __future__ import annotations

import numpy as np
from rows import SHEN2023_COLUMNS, SHEN2023_PUBLISHED, shen2023_rows
from runner import Column, Experiment
from tables import main
from tqdm import tqdm

from gfn_envs import SEHStr
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.data import registry as datasets
from gfn_envs.data.registry import DatasetError

#: Number of uniformly drawn strings on which log p(x) and log R(x) are correlated. p(x) is exact, by dynamic
#: programming over the ancestors of x.
TEST_OBJECTS = 500


def target_mean(dag: Dag) -> float:
    """sum R^2 / sum R over all strings, the mean reward of an exact sampler. The sums are cached."""
    assert isinstance(dag, SEHStr)
    if dag.reward_table is not None:
        return float((dag.reward_table**2).sum() / dag.reward_table.sum())
    key = f"sehstr-target-{dag.floor!r}-{dag.exponent!r}-{datasets.dataset('sehstr-model').sha256[:16]}"
    best, total, squares = datasets.cached(key, lambda: {"sums": raised_sums(dag)})["sums"]
    return float(dag.scale * squares / (best * total))


def raised_sums(dag: SEHStr) -> np.ndarray:
    """Maximum, sum and sum of squares of r = max(prediction, floor)^exponent over all strings, (3,)."""
    best = total = squares = 0.0
    for scores in tqdm(dag.trees.score_all(), desc="scoring 34 million strings (cached afterwards)", unit="part"):
        raised = np.maximum(scores, dag.floor) ** dag.exponent
        best, total, squares = max(best, raised.max()), total + raised.sum(), squares + (raised**2).sum()
    return np.array([best, total, squares])


def test_objects(dag: Dag) -> IntArray:
    """Random strings, the same for every row, (TEST_OBJECTS, state_width)."""
    assert isinstance(dag, SEHStr)
    letters = np.random.default_rng(0).integers(dag.num_letters, size=(TEST_OBJECTS, dag.length))
    return np.column_stack([letters, np.full(TEST_OBJECTS, dag.length)])


def tanimoto_diversity(dag: Dag, best: IntArray) -> dict[str, float]:
    """Mean Tanimoto distance of two different objects of ``best`` (m, state_width); nothing without the blocks."""
    assert isinstance(dag, SEHStr)
    try:
        distances = dag.block_chains.distances(best[:, :-1])
    except DatasetError as error:
        print(f"no diversity: {error}")
        return {}
    return {"tanimoto_diversity": float(distances[np.triu_indices(len(best), 1)].mean())}


EXPERIMENT = Experiment(
    name="shen2023_sehstr",
    title="Shen et al. 2023, table 1, sEH:",
    env="GFN/SEHStr-v0",
    rows=shen2023_rows(
        hidden=(1024, 1024),
        published=("45,840 ± 500", "42,670 ± 190", "19,390 ± 2,570", "9,920 ± 4,880", "5,570 ± 290"),
        epsilon=0.05,
        guide={"alpha": 0.5, "guide_paths": "all"},
        lr=1e-5,
    ),
    columns=(
        *(column for column in SHEN2023_COLUMNS if column.name not in ("tv", "anderson_darling")),
        Column("spearman", "Spearman log R, log p", "{:.2f}"),
        Column("tanimoto_diversity", "top-100 diversity", "{:.3f}"),
    ),
    metrics_of_best=tanimoto_diversity,
    test_objects=test_objects,
    published=SHEN2023_PUBLISHED,
    rounds=50_000,
    quick=(500, {}, {"hidden": (64, 64)}),
    target_mean=target_mean,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
