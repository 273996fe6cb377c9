"""One process per run directory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from agents.runs import files
from agents.runs.errors import RunError

LOCK = ".lock"


class RunLock:
    """Holds a run directory, which is made if it does not exist, while this process trains in it.

    The operating system releases the lock if the process dies, so that a killed run can be resumed immediately.

    Args:
        directory: the run directory. None locks nothing.

    Raises:
        RunError: on entry, another process holds the directory, or the path is a file. Nothing has changed then.
    """

    def __init__(self, directory: Path | None):
        self.directory, self._had_lock = directory, True
        self._made: list[Path] = []
        self._lock: FileLock | None = None

    def __enter__(self) -> RunLock:
        directory = self.directory
        if directory is None:
            return self
        if directory.exists() and not directory.is_dir():
            raise RunError(f"{directory} is a file: a run needs a directory")
        self._made = [path for path in (directory, *directory.parents) if not path.exists()]
        self._had_lock = (directory / LOCK).exists()
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RunError(f"{directory} is in use: another process trains in it") from None
        self._lock = lock
        files.remove_temporary(directory)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.directory is None or self._lock is None:
            return
        # The lock of a run is kept. If the run never began, its lock and the directories made for it are removed.
        if not self._had_lock and not (self.directory / files.CONFIG).exists():
            (self.directory / LOCK).unlink(missing_ok=True)
        self._lock.release()
        for path in self._made:
            try:
                path.rmdir()
            except OSError:
                break
