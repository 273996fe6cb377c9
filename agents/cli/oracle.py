"""The flags of an expensive reward."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from gfn_envs.dag import Dag
from gfn_envs.oracle import Oracle


@dataclass
class OracleOptions:
    """An expensive reward: each object is called once. Any of these flags keeps a log of the calls."""

    workers: int = 0
    """Processes that call the reward at the same time; 0: the process of the training."""
    address: str | None = None
    """Ray cluster on which the workers run: auto, HOST:PORT, ray://HOST:PORT or local."""
    budget: int | None = None
    """Maximum number of calls, including failed ones and those before --resume. Training ends when they are spent."""
    timeout: float | None = None
    """Time limit per object in seconds. A call that takes longer is ended and fails. Needs --oracle.workers."""
    retries: int = 0
    """How often a failed call is repeated. --env.on-error says what happens to objects that keep failing."""
    batch_size: int | None = None
    """Objects per call of a reward that takes a batch. Default: 1."""
    log: Path | None = None
    """SQLite file of all calls. Objects in it are not called again. Default: oracle.sqlite in the run directory."""


def attach(dag: Dag, options: OracleOptions) -> Oracle | None:
    """The oracle that the flags ask for, around the reward of ``dag``; None without flags.

    Args:
        dag: the environment.
        options: the flags.

    Raises:
        ValueError: a value is out of range, or flags contradict each other or the environment.
    """
    if options == OracleOptions():
        return None
    return Oracle.of(dag, **{field.name: getattr(options, field.name) for field in dataclasses.fields(options)})


def place_log(oracle: Oracle | None, out: Path) -> None:
    """Give an oracle the run directory, before its first call.

    All calls in the run's own log count toward the budget; in another log, only those of this run.
    """
    if oracle is None:
        return
    if oracle.log_path is None:
        oracle.log_path = out / "oracle.sqlite"
    else:
        oracle.run = str(out.absolute())
