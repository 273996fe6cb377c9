"""The oracle of an environment in a run: its columns of the history, its progress, and its settings in config.json."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from gfn_envs.dag import Dag
from gfn_envs.oracle import Oracle

#: Seconds between changes of the progress bar while calls end.
REFRESH = 0.5


def oracle_columns(dag: Dag) -> dict[str, int]:
    """Calls of the run so far, and calls saved since this process began; {} without an oracle."""
    oracle: Oracle | None = dag.oracle
    return {} if oracle is None else {"oracle_calls": oracle.used, "oracle_saved": oracle.saved}


def watched_oracle(dag: Dag, bar: tqdm[Any]) -> None:
    """Show the calls of an environment's oracle, if it has one, in front of a progress bar."""
    oracle: Oracle | None = dag.oracle
    if oracle is None or bar.disable:
        return
    last = -REFRESH

    def watch() -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= REFRESH:
            last = now
            bar.set_description_str(oracle.text)

    oracle.watch = watch


def describe_oracle(dag: Dag) -> dict[str, Any]:
    """The settings of an environment's oracle for config.json; {} without one. They do not affect results."""
    return {} if dag.oracle is None else {"oracle": dag.oracle.settings}


def restore_oracle(dag: Dag, config: dict[str, Any], out: Path) -> None:
    """Give an environment the oracle of its run, so that values in its log are not called again.

    Args:
        dag: the environment, made again.
        config: config.json.
        out: the run directory. It may have been moved, with a log that is in it.
    """
    settings = config.get("oracle")
    if settings is None or dag.oracle is not None:
        return
    log = settings["log"]
    if log is not None and not Path(log).exists() and (out / Path(log).name).exists():
        log = str(out / Path(log).name)
    Oracle.of(dag, **{**settings, "log": log})
