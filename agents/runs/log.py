"""Files that are written during training: config, inputs, history."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.runs import files
from agents.runs.history import history_line, write_history
from agents.runs.inputs import Copies, write_copies


class RunLog:
    """Config, inputs and history of a run directory.

    Nothing is written before :meth:`begin`, so that a run whose first iteration fails leaves nothing behind.

    Args:
        directory: the run directory. None writes nothing.
        config: contents of config.json.
        copies: contents of the folder ``inputs``.
        rows: rows of the history that a resumed run keeps.

    Attributes:
        config: contents of config.json; complete after :meth:`begin`.
        crc: checksum of the last line of the history.
    """

    def __init__(
        self,
        directory: Path | None,
        config: dict[str, Any],
        copies: Copies,
        rows: Sequence[dict[str, Any]],
    ):
        self.directory, self.config, self.copies, self.rows = directory, config, copies, list(rows)
        self.crc = 0
        self.file: Any = None

    def begin(self, late: Callable[[], dict[str, Any]] = dict) -> None:
        """Write inputs, config and the kept rows. Later calls do nothing.

        Args:
            late: returns the part of the config that is known after the first iteration.
        """
        if self.directory is None or self.file is not None:
            return
        write_copies(self.directory, self.copies)
        self.config = {**self.config, **late()}
        files.write_sealed(self.directory / files.CONFIG, self.config)
        self.crc = write_history(self.directory, self.rows)
        self.file = (self.directory / files.HISTORY).open("a", encoding="utf-8")

    def add(self, row: dict[str, Any]) -> None:
        """Append a row to the history and flush it.

        Raises:
            OSError: the row cannot be written, for example because the disk is full.
        """
        if self.file is not None:
            line, self.crc = history_line(row, self.crc)
            try:
                self.file.write(line)
                self.file.flush()
            except OSError as error:
                path = Path(self.file.name)
                raise OSError(error.errno, f"{path}: a row was not written: {error.strerror or error}") from error

    def sync(self) -> str | None:
        """Wait until the rows are on disk, so that no checkpoint is newer. Returns the checksum of the last line."""
        if self.file is None:
            return None
        os.fsync(self.file.fileno())
        return f"{self.crc:08x}"

    def close(self) -> None:
        """Close the history."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # a full disk, which has raised its error before
                self.file.close()
