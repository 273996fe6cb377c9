"""Ising models on a torus (Zhang et al. 2022, section 5.1). Spins are set in any order.

Rows: trajectory balance (tb); forward-looking DB and SubTB (fldb, flsubtb), which use the bonds that are already
complete; and Markov chain Monte Carlo, plain (mcmc) and with parallel tempering (mcmc-pt).

Columns: log Z - ELBO, the KL divergence of the learned trajectories from the target's, with the exact log Z from the
transfer matrix; the mean product of neighboring spins, sampled and exact; and the mean absolute magnetization per spin.
The script saves a figure of ten samples and the distribution of the magnetization. With strong coupling this
distribution has two peaks, so the figure shows whether a sampler lost one of them. The paper uses couplings sigma from
-0.1 to 0.5: --env side=9 sigma=0.1

python examples/papers/ising.py --quick
"""

from __future__ import annotations

from typing import Any

from runner import Column, Experiment, Row
from structure_figures import SAMPLES, draw_spins, spin_figures
from tables import main

BOTH: dict[str, Any] = {"batch_size": 32, "backward": "uniform", "epsilon": 0.1}

EXPERIMENT = Experiment(
    name="ising",
    title="Ising models:",
    env="GFN/Ising-v0",
    env_arguments={"side": 6, "sigma": 0.2},
    rows={
        "tb": Row("tb", BOTH),
        "fldb": Row("fldb", BOTH),
        "flsubtb": Row("flsubtb", BOTH),
        "mcmc": Row("mcmc", {"batch_size": 32, "rounds": 4}),
        "mcmc-pt": Row("mcmc", {"batch_size": 32, "rounds": 4, "temperatures": (1.0, 1.5, 2.5)}),
    },
    columns=(
        Column("exact_log_z", "exact log Z", "{:.2f}"),
        Column("log_z_gap", "log Z - ELBO", "{:.2f}"),
        Column("bond", "mean bond", "{:.3f}"),
        Column("exact_bond", "exact", "{:.3f}"),
        Column("magnetization", "|magnetization|", "{:.2f}"),
    ),
    published="none: the couplings are learned there",
    rounds=5_000,
    quick=(400, {"side": 4}, {}),
    samples=(SAMPLES, SAMPLES),
    extra_metrics=spin_figures,
    draw=draw_spins,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
