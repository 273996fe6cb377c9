"""Biological and molecular strings by policy gradients, beside objectives of balance (Niu et al. 2024, section 5.2).

Rows: RL-U, RL-B, RL-G and RL-T, policy gradients with a uniform, learned or guided backward policy and with trust
regions; and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy. RL-G is guided by the mean reward of
the objects seen that agree with a partial one.

The task is --task: tfbind8 (SIX6, the default), qm9str, sehstr or pho4 (with --env table=FILE). Printed for each row:
exact total variation and Jensen-Shannon divergence from R(x) / Z (not for sehstr, which has 34 million objects), the
accuracy E R / E* R, clipped to [0, 1], and the modes found. The paper's table is not among our sources, so there are no
figures beside.

python examples/papers/niu2024_sequences.py --task qm9str --quick
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from runner import Experiment
from tables import NIU2024_COLUMNS, main, niu2024_rows

TASKS = {
    "tfbind8": "GFN/TFBind8-v0",
    "qm9str": "GFN/QM9Str-v0",
    "sehstr": "GFN/SEHStr-v0",
    "pho4": "GFN/PHO4-v0",
}

EXPERIMENTS = {
    task: Experiment(
        name=f"niu2024_{task}",
        what=f"Niu et al. 2024, {task}:",
        env=env,
        rows=niu2024_rows(),
        columns=NIU2024_COLUMNS,
        published="not at hand",
        rounds=2_000,
        quick=(60, {}, {"hidden": (64, 64)}),
    )
    for task, env in TASKS.items()
}


#: Read before the other options, as the experiment depends on it.
TASK = argparse.ArgumentParser(add_help=False)
TASK.add_argument("--task", choices=TASKS, default="tfbind8", help="which strings (default tfbind8)")


def choose(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The value of --task, and the other arguments."""
    options, rest = TASK.parse_known_args(arguments)
    return options.task, rest


if __name__ == "__main__":
    task, rest = choose(sys.argv[1:])
    main(EXPERIMENTS[task], __doc__, rest, parents=[TASK])
