"""The best of the sampled objects, by name."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.metrics import reward_of
from agents.trajectories import Trajectories
from gfn_envs.arrays import distinct
from gfn_envs.dag import Dag

COLUMNS = ("object", "reward", "log_reward", "samples")


def named_objects(dag: Dag, trajectories: Trajectories) -> list[dict[str, Any]]:
    """The distinct objects among samples, best first.

    States that are one object to the user, such as a molecule that was cut into blocks in two ways, count once.

    Args:
        dag: the environment.
        trajectories: the samples, with their log R.

    Returns:
        One dict per object: ``object`` (its name, see ``Dag.object_names``), ``reward`` (None outside the range of
        double precision), ``log_reward`` and ``samples``, the number of samples that are this object.
    """
    states, inverse = distinct(trajectories.terminal_states)
    log_reward = np.full(len(states), -np.inf)
    log_reward[inverse] = trajectories.log_reward
    names, times = dag.object_names(states), np.bincount(inverse, minlength=len(states))
    samples, best = Counter[str](), dict[str, float]()
    for k in np.argsort(-log_reward, kind="stable").tolist():
        samples[names[k]] += int(times[k])
        best.setdefault(names[k], float(log_reward[k]))
    return [
        {"object": name, "reward": reward_of(value), "log_reward": value, "samples": samples[name]}
        for name, value in best.items()
    ]


def write_objects(path: str | os.PathLike[str], objects: list[dict[str, Any]]) -> None:
    """Write :func:`named_objects` as a CSV file with one line per object. Raises OSError if that is not possible."""
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(objects)
