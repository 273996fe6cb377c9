"""Files that a training run writes while it runs: config, history, TensorBoard events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.runs import directory as runs


class RunLog:
    """Config and history of a run directory, with optional TensorBoard events.

    Nothing is written before :meth:`begin`, so that a run whose first iteration fails leaves nothing behind.

    Args:
        directory: the run directory. None writes nothing.
        config: contents of config.json.
        rows: rows of the history that a resumed run keeps.
        tensorboard: also write TensorBoard events.

    Raises:
        ImportError: TensorBoard is requested but not installed.
    """

    def __init__(
        self, directory: Path | None, config: dict[str, Any], rows: Sequence[dict[str, Any]], tensorboard: bool
    ):
        self.directory, self.config, self.rows = directory, config, list(rows)
        self.make_writer = _summary_writer() if tensorboard else None
        self.file: Any = None
        self.writer: Any = None

    def begin(self) -> None:
        """Write the config and the kept rows. Later calls do nothing."""
        if self.directory is None or self.file is not None:
            return
        runs.write_json(self.directory / runs.CONFIG, self.config)
        runs.write_history(self.directory, self.rows)
        self.file = (self.directory / runs.HISTORY).open("a", encoding="utf-8")
        if self.make_writer is not None:
            self.writer = self.make_writer(str(self.directory / "tensorboard"))

    def add(self, row: dict[str, Any]) -> None:
        """Append a row to the history and flush it to disk."""
        self.begin()
        if self.file is not None:
            self.file.write(runs.history_line(row))
            self.file.flush()
        if self.writer is not None:
            _write_scalars(self.writer, row)

    def close(self) -> None:
        """Close all open files."""
        for file in (self.file, self.writer):
            if file is not None:
                file.close()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("TensorBoard is not installed: pip install 'gfn-envs[tensorboard]'") from error
    return SummaryWriter


def _write_scalars(writer: Any, row: dict[str, Any]) -> None:
    for key, value in row.items():
        if key != "iteration" and isinstance(value, (int, float)):
            writer.add_scalar(key, value, row["iteration"])
