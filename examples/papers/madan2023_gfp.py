"""Green fluorescent proteins of 237 residues (Madan et al. 2023, section 5).

Rows: sub-trajectory balance, trajectory balance, detailed balance, soft actor-critic, advantage actor-critic with
experience replay, and Markov chain Monte Carlo. Whole proteins are built by appending residues, as in the paper. The
reward is R = y^3, with the brightness y that a model predicts, scaled so that 0 is the lowest and 1 the highest
measured brightness.

Columns: the mean of y and the mean Levenshtein distance (diversity) of the 100 best distinct proteins among 2,000
samples, next to the published values. The model and its scale differ from the paper's. It predicts that proteins unlike
the wild type are dark, because no such protein was measured. Proteins built from scratch therefore have the lowest
reward, 0.001, until a method comes near the wild type, which no method does soon. --quick builds up to 5 mutations of
the wild type instead, which limits diversity by construction. Compare the methods with each other.

python examples/papers/madan2023_gfp.py --quick
python examples/papers/madan2023_gfp.py --env construction=mutate max_mutations=10
"""

from __future__ import annotations

import functools
from typing import Any

from rows import OWN_OFF
from runner import Column, Experiment, Row
from sequence_figures import top_sequences
from tables import main

TRANSFORMER: dict[str, Any] = {"network": "transformer", "width": 64, "layers": 3, "heads": 8}
BOTH: dict[str, Any] = {"batch_size": 16, "lr": 1e-3, "epsilon": 1e-3, **OWN_OFF, **TRANSFORMER}
#: Logarithm of the number of proteins: the initial log Z.
LOG_SIZE = 710.0

EXPERIMENT = Experiment(
    name="madan2023_gfp",
    title="Madan et al. 2023, GFP:",
    env="GFN/GFP-v0",
    env_arguments={"construction": "append"},
    rows={
        "subtb": Row("subtb", {**BOTH, "lamda": 0.99, "weighting": "batch"}, "1.18 ± 0.10, 204.44 ± 0.45"),
        "tb": Row("tb", {**BOTH, "init_log_z": LOG_SIZE}, "0.76 ± 0.19, 204.31 ± 0.44"),
        "db": Row("db", BOTH, "0.30 ± 0.08, 190.21 ± 6.78"),
        "sac": Row("sac", {"batch_size": 16, **TRANSFORMER}, "0.23 ± 0.03, 120.32 ± 15.57"),
        "a2c-er": Row("a2c-er", {"batch_size": 16, **TRANSFORMER}, "0.22 ± 0.02, 113.65 ± 21.31"),
        "mcmc": Row("mcmc", {"batch_size": 16}, "0.28 ± 0.01, 169.17 ± 12.44"),
    },
    columns=(
        Column("top_100_value", "top-100 y"),
        Column("top_100_levenshtein", "top-100 diversity", "{:.2f}"),
        Column("sampled_mean_reward", "mean R"),
        Column("distinct_objects", "distinct", "{:,.0f}"),
    ),
    published="top-100 reward, diversity",
    rounds=20_000,
    quick=(
        200,
        {"construction": "mutate", "max_mutations": 5},
        {"network": "mlp", "hidden": (64, 64), "init_log_z": 35.0},
    ),
    extra_metrics=functools.partial(top_sequences, num_samples=2000),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
