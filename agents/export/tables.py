"""Samples as tables: CSV, and state rows as a NumPy array."""

from __future__ import annotations

import csv
import io
import math
from typing import Any, BinaryIO

import numpy as np

from agents.evaluation.metrics import reward_of
from agents.export.samples import Samples
from gfn_envs.dag import Dag


def table_columns(samples: Samples) -> dict[str, list[Any]]:
    """Name -> values of each row; None if a value is unknown, or outside the range of double precision."""
    log_reward = [None if math.isnan(value) else value for value in samples.log_reward.tolist()]
    return {
        "object": list(samples.names),
        "reward": [None if value is None else reward_of(value) for value in log_reward],
        "log_reward": log_reward,
        **{
            name: [None if math.isnan(value) else value for value in values.tolist()]
            for name, values in samples.columns.items()
        },
        "samples": samples.samples.tolist(),
    }


def write_csv(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """A header, and one line per row, in UTF-8. Unknown values are empty."""
    columns = table_columns(samples)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    text.flush()
    text.detach()


def write_npy(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """The state rows (n, state_width), which `gfn evaluate --reference` reads."""
    np.lib.format.write_array(file, samples.states, allow_pickle=False)
