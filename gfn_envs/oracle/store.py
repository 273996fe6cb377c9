"""The log of an oracle's calls: an SQLite file with one row per call of an object."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gfn_envs.oracle.journal import Journal
from gfn_envs.reward_errors import OracleError

#: Marks a file as a log of calls (PRAGMA application_id), and the version of its columns (user_version).
APPLICATION, VERSION = 0x47464E6F, 1

TABLES = "SELECT COUNT(*) FROM sqlite_master"
COLUMNS = """
CREATE TABLE calls(
    id INTEGER PRIMARY KEY,
    reward TEXT NOT NULL,
    run TEXT NOT NULL,
    object TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    status TEXT NOT NULL,
    value REAL,
    components TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    time TEXT NOT NULL
);
CREATE INDEX calls_of_object ON calls(reward, object);
CREATE INDEX calls_of_run ON calls(run);
"""


class Call(NamedTuple):
    """A row of the log.

    Attributes:
        object: the input of the function as text.
        name: the name of the object.
        attempt: 1, 2, ...; 0 for a call of a batch that failed as a whole, whose objects are then called one by one.
        status: "ok"; "nan", "error", "timeout" or "died" if it failed; "started" if it has not ended, or was
            interrupted when the main process was killed.
        value: result of the function; None if it failed.
        components: further numbers that it returned, by name.
        seconds: duration; for a batch, divided by the number of its objects.
        error: reason of the failure.
    """

    object: str
    name: str
    attempt: int
    status: str
    value: float | None
    components: dict[str, float]
    seconds: float
    error: str


class CallLog:
    """Calls of the reward of a run, in an SQLite file. Each is committed when it begins and when it ends (see
    :mod:`gfn_envs.oracle.journal`).

    Several processes can use one file. Rows of other rewards and runs stay apart.

    Args:
        path: the file; None keeps the calls in memory.
        reward: names the reward. Values of another reward are not reused.
        run: names the run, whose calls :attr:`calls` counts.

    Raises:
        OracleError: the file cannot be opened.
        ValueError: it is not a log of calls.
    """

    def __init__(self, path: str | os.PathLike[str] | None, reward: str, run: str = ""):
        self.path, self.reward, self.run = path, reward, run
        self.pid = os.getpid()
        if path is not None and os.path.isdir(path):
            raise OracleError(f"{path} is a directory; allowed: an SQLite file of calls")
        try:
            if path is not None:
                Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
            place = ":memory:" if path is None else path
            self.connection = sqlite3.connect(place, timeout=60, check_same_thread=False)
            with self.connection:
                self._prepare()
            self.journal = Journal(self.connection, path)
        except OSError as error:
            raise OracleError(f"{path}: the log of calls cannot be made: {error.strerror or error}") from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OracleError(f"{path}: the log of calls cannot be opened: {error}") from error
            raise ValueError(f"{path} is not a log of calls: {error}") from error

    def _prepare(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        mark, version, tables = map(self._number, ("PRAGMA application_id", "PRAGMA user_version", TABLES))
        if mark == 0 and not tables:
            for statement in COLUMNS.split(";"):
                self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self.connection.execute(f"PRAGMA user_version = {VERSION}")
        elif mark != APPLICATION or version != VERSION:
            raise ValueError(f"{self.path} is not a log of calls (version {VERSION}) but another SQLite file")

    @property
    def calls(self) -> int:
        """Number of calls of this run, including those that failed or never ended."""
        return self._number("SELECT COUNT(*) FROM calls WHERE run = ?", self.run)

    def _number(self, query: str, *values: str | int) -> int:
        return int(self.connection.execute(query, values).fetchone()[0])

    def of(self, object: str) -> list[Call]:
        """The calls of an object, the oldest first, by any run."""
        return list(self._select("AND object = ?", object))

    def __iter__(self) -> Iterator[Call]:
        """All calls of this reward, by any run."""
        return self._select("")

    def _select(self, where: str, *values: str) -> Iterator[Call]:
        columns = "object, name, attempt, status, value, components, seconds, error"
        query = f"SELECT {columns} FROM calls WHERE reward = ? {where} ORDER BY id"
        for row in self.connection.execute(query, (self.reward, *values)):
            object, name, attempt, status, value, components, seconds, error = row
            yield Call(object, name, attempt, status, value, json.loads(components or "{}"), seconds, error)

    def others(self, prefix: str) -> int:
        """Number of calls of other rewards whose name begins with ``prefix``."""
        query = "SELECT COUNT(*) FROM calls WHERE reward != ? AND substr(reward, 1, ?) = ?"
        return self._number(query, self.reward, len(prefix), prefix)

    def begin(self, calls: Iterable[tuple[str, str, int]]) -> list[int]:
        """Write the beginning of calls (object, name, attempt). Returns their ids.

        Raises:
            OracleError: they cannot be written, for example because the disk is full. None of them is written.
        """
        self.journal.spend(0.0)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        query = "INSERT INTO calls(reward, run, object, name, attempt, status, time) VALUES (?, ?, ?, ?, ?, ?, ?)"
        with self._writing("no call was begun"):
            rows = [(self.reward, self.run, *call, "started", now) for call in calls]
            return [int(self.connection.execute(query, row).lastrowid or 0) for row in rows]

    def end(self, ids: Sequence[int], calls: Sequence[Call]) -> None:
        """Write the end of calls with these ids.

        Raises:
            OracleError: they cannot be written. The message has their values, so that they are not lost.
        """
        if not ids:
            return
        names = ("attempt", "status", "value", "components", "seconds", "error")
        self.journal.spend(sum(call.seconds for call in calls))
        query = f"UPDATE calls SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?"
        with self._writing(f"not in the log: {', '.join(map(_result, calls))}"):
            for id, call in zip(ids, calls, strict=True):
                components = json.dumps(call.components) if call.components else ""
                row = call.attempt, call.status, call.value, components, call.seconds, call.error
                self.connection.execute(query, (*row, id))

    @contextlib.contextmanager
    def _writing(self, otherwise: str) -> Iterator[None]:
        try:
            with self.connection:
                yield
        except sqlite3.Error as error:
            raise OracleError(f"{self.path}: the log of calls cannot be written: {error}; {otherwise}") from error

    def close(self) -> None:
        """Close the file."""
        self.journal.close()


def _result(call: Call) -> str:
    return f"{call.name} = {call.status if call.value is None else repr(call.value)}"
