"""Bit sequences: strings of 120 bits with 60 hidden modes (Malkin et al. 2022, section 5.3; Madan et al. 2023).

Rows: sub-trajectory balance, trajectory balance, detailed balance, flow matching, soft actor-critic, advantage
actor-critic with experience replay, and Markov chain Monte Carlo. Strings are built by appending words of 1 bit. Other
word sizes are 2, 4, 6, 8 and 10, such as --env word_size=8.

Columns: the Spearman correlation of log R(x) with log p(x) on the 7,200 test strings (each mode with 0 to 119 bits
flipped); the number of modes found (a string that differs from a mode in fewer than 30 bits finds it); and the mean
reward and diversity (Hamming distance) of the 100 best among 2,000 samples. The papers report curves over word size and
over training, so no published values are shown.

python examples/papers/madan2023_bitseq.py --quick
"""

from __future__ import annotations

from typing import Any

from rows import OWN_OFF
from runner import Column, Experiment, Row
from tables import main

from gfn_envs import BitSequence
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

TRANSFORMER: dict[str, Any] = {"network": "transformer", "width": 64, "layers": 3, "heads": 8}
BOTH: dict[str, Any] = {"batch_size": 16, "lr": 1e-3, "epsilon": 1e-3, **OWN_OFF, **TRANSFORMER}
UNIFORM = {"backward": "uniform"}


def test_strings(dag: Dag) -> IntArray:
    """Each mode with 0 to n - 1 bits flipped, (num_modes * n, state_width)."""
    assert isinstance(dag, BitSequence)
    return dag.flip_test_set()


EXPERIMENT = Experiment(
    name="madan2023_bitseq",
    title="Madan et al. 2023, bit sequences:",
    env="GFN/BitSequence-v0",
    env_arguments={"word_size": 1},
    rows={
        "subtb": Row("subtb", {**BOTH, **UNIFORM, "lamda": 1.9, "weighting": "batch"}),
        "tb": Row("tb", {**BOTH, **UNIFORM, "lr_log_z": 0.05}),
        "db": Row("db", {**BOTH, **UNIFORM}),
        "fm": Row("fm", {name: value for name, value in BOTH.items() if name != "track_log_z"}),
        "sac": Row("sac", {"batch_size": 16, **TRANSFORMER}),
        "a2c-er": Row("a2c-er", {"batch_size": 16, **TRANSFORMER}),
        "mcmc": Row("mcmc", {"batch_size": 16}),
    },
    columns=(
        Column("spearman", "Spearman log R, log p"),
        Column("modes", "modes", "{:.0f}"),
        Column("num_modes", "of", "{:.0f}"),
        Column("sampled_mean_reward", "mean reward"),
        Column("top_100_reward", "top-100 reward"),
        Column("top_100_diversity", "top-100 diversity", "{:.1f}"),
    ),
    published="none: curves",
    rounds=50_000,
    quick=(150, {"word_size": 8}, {"network": "mlp", "hidden": (64, 64)}),
    test_objects=test_strings,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
