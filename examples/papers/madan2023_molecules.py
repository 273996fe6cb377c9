"""Molecules for sEH by sub-trajectory balance (Madan et al. 2023).

Rows: SubTB(lambda) with the paper's lambda, 1, and weights normalized over the batch; trajectory balance and detailed
balance.

Columns: the correlation of log p(x), estimated from 10 backward trajectories, with log R(x) on molecules of 8 blocks
that random actions build; the scores of 1,000 samples on the scale of the proxy; the mean Tanimoto distance between the
100 best; and the number of modes, which are scaffolds that score 7 or more. The paper plots the correlation over
training for several reward exponents and finds SubTB ahead of TB and DB most of the time: --env exponent=4, 8, 10
(default) or 16.

Half of the molecules that random actions build have fewer blocks, because no stem was left. A trained policy builds
none of them, training hardly meets them, and their log p stays far above log R - log Z. With them among the test
objects, SubTB has a correlation of -0.55 after 10,000 rounds, which says nothing about the molecules that it samples.

The proxy and the blocks are data sets: gfn data fetch seh-proxy fragment-blocks.

python examples/papers/madan2023_molecules.py --quick
"""

from __future__ import annotations

from typing import Any

import numpy as np
from bengio2021_seh_molecules import SCORE_COLUMNS
from rows import OWN_OFF
from runner import Column, Experiment, Row
from structure_figures import SAMPLES, TEST_OBJECTS, draw_molecules, molecule_scores
from tables import main

import agents
from gfn_envs import FragmentMolecule
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

BOTH: dict[str, Any] = {"batch_size": 16, "lr": 5e-4, "epsilon": 0.05, "backward": "uniform", **OWN_OFF}


def largest_molecules(dag: Dag) -> IntArray:
    """At most TEST_OBJECTS distinct molecules with as many blocks as any, built by random actions, (m, state_width)."""
    assert isinstance(dag, FragmentMolecule)
    drawn = np.unique(agents.make_agent("random", dag, seed=1).sample(10 * TEST_OBJECTS), axis=0)
    blocks = (drawn[:, : dag.max_blocks] > 0).sum(1)
    largest = drawn[blocks == blocks.max()]
    return largest[np.random.default_rng(1).permutation(len(largest))[:TEST_OBJECTS]]


EXPERIMENT = Experiment(
    name="madan2023_molecules",
    title="Madan et al. 2023, molecules:",
    env="GFN/FragmentMolecule-v0",
    env_arguments={"blocks": "pdb105", "reward": "seh", "mode_threshold": 7 / 8},
    rows={
        "subtb": Row("subtb", {**BOTH, "lamda": 1.0, "weighting": "batch"}),
        "tb": Row("tb", BOTH),
        "db": Row("db", BOTH),
    },
    columns=(
        Column("pearson", "Pearson log R, log p", "{:.2f}"),
        Column("spearman", "Spearman", "{:.2f}"),
        *SCORE_COLUMNS,
    ),
    published="none: curves",
    rounds=30_000,
    quick=(30, {}, {}),
    test_objects=largest_molecules,
    samples=(SAMPLES, SAMPLES),
    extra_metrics=molecule_scores,
    draw=draw_molecules,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
