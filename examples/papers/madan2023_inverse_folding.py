"""Inverse protein folding: a sequence for the backbone of avGFP (Madan et al. 2023, section 5).

Rows: sub-trajectory balance (subtb), its forward-looking variant with the energies of partial sequences (flsubtb),
trajectory balance, detailed balance, and Markov chain Monte Carlo. Residues are chosen for the 228 positions in any
order. This is another problem than the paper's (appendix F: 40 residues, changed by 40 substitutions from a start,
with uniform P_B; correlation of log R with log p), whose reward our sources do not hold. Here log R = -E / 50, with the
contact energies E of Miyazawa and Jernigan in units of RT.

Columns: the mean and lowest energy of 100 samples, the energy of the native sequence, and the share of residues equal
to those of the native sequence. The paper reports curves, so no published values are shown. A low energy alone does not
make a protein: sequences of the few most hydrophobic residues have the lowest energies (see the argument composition of
the environment).

python examples/papers/madan2023_inverse_folding.py --quick
"""

from __future__ import annotations

import functools
from typing import Any

from runner import Column, Experiment, Row
from sequence_figures import energies
from tables import main

BOTH: dict[str, Any] = {"batch_size": 16, "lr": 1e-3, "epsilon": 1e-3, "backward": "uniform"}
#: Logarithm of the number of sequences: the initial log Z.
LOG_SIZE = 683.0

EXPERIMENT = Experiment(
    name="madan2023_inverse_folding",
    title="Madan et al. 2023, inverse folding:",
    env="GFN/InverseFolding-v0",
    rows={
        "subtb": Row("subtb", {**BOTH, "lamda": 0.9, "weighting": "batch"}),
        "flsubtb": Row("flsubtb", {**BOTH, "lamda": 0.9, "weighting": "batch"}),
        "tb": Row("tb", {**BOTH, "init_log_z": LOG_SIZE}),
        "db": Row("db", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 16}),
    },
    columns=(
        Column("mean_energy", "mean energy", "{:.1f}"),
        Column("lowest_energy", "lowest energy", "{:.1f}"),
        Column("native_energy", "native energy", "{:.1f}"),
        Column("native_identity", "native residues", "{:.3f}"),
        Column("log_z", "log Z", "{:.1f}"),
    ),
    published="none: curves",
    rounds=10_000,
    quick=(30, {}, {"hidden": (32, 32), "lr": 5e-3}),
    extra_metrics=functools.partial(energies, num_samples=100),
    samples=(2000, 100),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
