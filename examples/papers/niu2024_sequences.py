"""Biological and molecular strings: policy gradients compared with balance objectives (Niu et al. 2024, section 5.2).

Rows: policy gradients with a uniform (RL-U), learned (RL-B) or guided (RL-G) backward policy, and with trust regions
(RL-T); and TB, DB and SubTB with a uniform (-u) or learned (-b) backward policy, on-policy or with decaying random
actions (+ noise). The guide of RL-G prefers, among the children from which the trajectory's own x can still be built,
those with a high mean reward of the objects seen so far that they can become.

--task selects the strings: tfbind8 (SIX6, the default), qm9str, sehstr or pho4. As in the authors' code, letters fill
the positions in any order, and the largest reward is 10. (A later paper of the authors prepends and appends: --env
construction=prepend_append.)

Columns: exact total variation and Jensen-Shannon divergence from R(x) / Z (not for sehstr, which has 34 million
objects), the accuracy E R / E* R clipped to [0, 1], and the number of modes found. Our sources do not contain the
paper's table, so no published values are shown.

python examples/papers/niu2024_sequences.py --task qm9str --quick
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from rows import NIU2024_COLUMNS, niu2024_rows
from runner import Experiment
from tables import main

FILL: dict[str, Any] = {"construction": "fill"}
TASKS = {
    "tfbind8": ("GFN/TFBind8-v0", FILL),
    "qm9str": ("GFN/QM9Str-v0", {**FILL, "scale": 10.0}),
    "sehstr": ("GFN/SEHStr-v0", FILL),
    "pho4": ("GFN/PHO4-v0", FILL),
}

EXPERIMENTS = {
    task: Experiment(
        name=f"niu2024_{task}",
        title=f"Niu et al. 2024, {task}:",
        env=env,
        env_arguments=arguments,
        rows=niu2024_rows(),
        columns=NIU2024_COLUMNS,
        published="not at hand",
        rounds=2_000,
        quick=(60, {}, {"hidden": (64, 64)}),
    )
    for task, (env, arguments) in TASKS.items()
}


#: Parsed before the other options, because the experiment depends on it.
TASK = argparse.ArgumentParser(add_help=False)
TASK.add_argument("--task", choices=TASKS, default="tfbind8", help="strings to generate (default tfbind8)")


def choose(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The value of --task and the remaining arguments."""
    options, rest = TASK.parse_known_args(arguments)
    return options.task, rest


if __name__ == "__main__":
    task, rest = choose(sys.argv[1:])
    main(EXPERIMENTS[task], __doc__, rest, parents=[TASK])
