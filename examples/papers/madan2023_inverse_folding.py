"""Inverse protein folding by substitutions (Madan et al. 2023, appendix F).

The first 40 residues of avGFP are changed by exactly 40 substitutions, each of which sets one position to any of the 20
amino acids; P_B is uniform over the settings that can have come last. The paper's reward is not in our sources: here
log R = -E / 20, with the contact energies E of Miyazawa and Jernigan in units of RT.

Rows: SubTB(lambda) for several lambda, with weights normalized over the batch, trajectory balance and detailed balance,
between which lambda lies. The paper finds an intermediate lambda best.

Columns: the correlation of log p(x) with log R(x), the metric of the paper; the exact total variation distance, if all
sequences can be listed; and energies of samples. log p(x) is estimated from 10 backward trajectories on sequences drawn
uniformly, or is exact on all of them.

The whole problem learns slowly: after 2,000 rounds the sequences still have 25 changes, and the target 38. A small
instance that is solved in half a minute, with exact metrics, is:

python examples/papers/madan2023_inverse_folding.py --env length=8 alphabet=AKLS start=AAAAAAAA temperature=5
python examples/papers/madan2023_inverse_folding.py --quick
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from rows import OWN_OFF
from runner import Column, Experiment, Row
from sequence_figures import energies
from tables import main

from gfn_envs import InverseFolding
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

BOTH: dict[str, Any] = {"batch_size": 16, "lr": 1e-3, "epsilon": 1e-3, "backward": "uniform", **OWN_OFF}
LAMBDAS = (0.1, 0.5, 0.8, 0.9, 1.1, 1.3, 3.0)
#: The small instance: 65,536 sequences of 8 residues, by 8 substitutions.
SMALL: dict[str, Any] = {"length": 8, "alphabet": "AKLS", "start": "AAAAAAAA", "temperature": 5.0}
#: Sequences on which log R and log p are correlated.
TEST_SEQUENCES = 100


def random_sequences(dag: Dag) -> IntArray | None:
    """Sequences drawn uniformly, (100, state_width); None, all of them, if they can be listed.

    With fewer steps than residues, as many of their residues as the steps allow differ from the start.
    """
    assert isinstance(dag, InverseFolding)
    if dag.num_terminal_states <= 10**6:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.integers(dag.num_letters, size=(TEST_SEQUENCES, dag.length))
    start = dag.source(1)[0, :-1]
    for row in drawn:
        changed = rng.permutation(np.flatnonzero(row != start))
        row[changed[dag.max_length :]] = start[changed[dag.max_length :]]
    return dag.from_text(["".join(dag.letters[letter] for letter in row) for row in drawn])


EXPERIMENT = Experiment(
    name="madan2023_inverse_folding",
    title="Madan et al. 2023, inverse folding:",
    env="GFN/InverseFolding-v0",
    env_arguments={"construction": "substitute", "length": 40, "temperature": 20.0},
    rows={
        "db": Row("db", BOTH),
        **{
            f"subtb lambda {lamda:g}": Row("subtb", {**BOTH, "lamda": lamda, "weighting": "batch"}) for lamda in LAMBDAS
        },
        "tb": Row("tb", BOTH),
    },
    columns=(
        Column("pearson", "Pearson log R, log p", "{:.3f}"),
        Column("spearman", "Spearman", "{:.3f}"),
        Column("tv", "exact TV"),
        Column("mean_energy", "mean energy", "{:.1f}"),
        Column("lowest_energy", "lowest energy", "{:.1f}"),
    ),
    published="none: curves",
    rounds=10_000,
    quick=(30, SMALL, {}),
    test_objects=random_sequences,
    extra_metrics=functools.partial(energies, num_samples=100),
    samples=(2000, 100),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
