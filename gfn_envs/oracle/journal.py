"""Writes of the log of calls to the disk: synchronous if calls are expensive, asynchronous otherwise."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

#: File systems of one machine. Elsewhere, processes of two machines may write one log, which SQLite's write-ahead log
#: does not allow (https://sqlite.org/wal.html).
LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay"}
#: Seconds of calls that a power failure may lose. A crash of the process loses none.
AT_RISK = 0.1


def file_system(path: Path, mounts: str = "/proc/mounts") -> str:
    """The kind of file system that holds a file, such as "ext4"; "" if it is unknown."""
    kinds = {}
    with contextlib.suppress(OSError):
        for line in Path(mounts).read_text("utf-8").splitlines():
            _, place, kind, *_ = line.split(" ")
            kinds[place.replace("\\040", " ")] = kind
    whole = path.resolve()
    return next((kinds[str(folder)] for folder in (whole, *whole.parents) if str(folder) in kinds), "")


class Journal:
    """Commits of one connection. On a local disk, commits of cheap calls do not wait for the disk.

    Waiting takes 5 to 40 ms, much longer than most rewards.

    Args:
        connection: an open connection outside of a transaction.
        path: its file; None for memory.
    """

    def __init__(self, connection: sqlite3.Connection, path: str | os.PathLike[str] | None):
        self.connection = connection
        self.waiting = 0.0  # Seconds of calls that the disk may not have.
        self.ahead = False
        if path is not None and file_system(Path(path)) in LOCAL:
            with contextlib.suppress(sqlite3.OperationalError):  # Another process writes: its journal serves as well.
                self.ahead = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"

    def spend(self, seconds: float) -> None:
        """Decide whether the next commit waits for the disk, given the seconds of its calls."""
        if self.ahead:
            self.waiting += seconds
            wait = self.waiting >= AT_RISK
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")
            self.waiting = 0.0 if wait else self.waiting

    def close(self) -> None:
        """Close the connection. The log becomes one file if no other process has it open."""
        if self.ahead:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.close()
