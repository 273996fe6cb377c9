"""sweep.json: the command of a sweep, how each of its runs ended, and the trials of a search.

The results are in the run directories. This file says which runs are finished, and why others failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agents.runs import files
from agents.runs.errors import RunError

SWEEP = "sweep.json"


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        error: one line on why it failed; None if it finished.
        output: the end of what a failed run printed.
        node: the machine on which it ended; "" if it is not known.
        seconds: how long its last attempt took.
    """

    error: str | None = None
    output: str = ""
    node: str = ""
    seconds: float = 0.0


class Record:
    """The file ``sweep.json`` of a sweep's folder.

    Args:
        folder: folder of the sweep. It need not exist.

    Raises:
        RunError: the folder holds a run, or its sweep.json is damaged.

    Attributes:
        runs: name of a run -> its flags and how it ended.
        trials: trials of a search: agent, values and the mean of the metric, None if they are not finished.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        if (folder / files.CONFIG).exists():
            raise RunError(f"{folder} holds a run: choose another folder for the sweep")
        self.saved = files.read_json(folder / SWEEP) if (folder / SWEEP).exists() else {}
        self.runs: dict[str, dict[str, Any]] = self._part("runs", dict)
        self.trials: list[dict[str, Any]] = self._part("trials", list)

    def _part(self, name: str, kind: type[Any]) -> Any:
        value: Any = self.saved.get(name, kind())
        entries = value.values() if isinstance(value, dict) else value
        if not isinstance(value, kind) or not all(isinstance(entry, dict) for entry in entries):
            raise RunError(f"{self.folder / SWEEP} is damaged: {name} is not a {kind.__name__} of objects")
        return value

    def finished(self, name: str, flags: Sequence[str]) -> bool:
        """True if the run ended with these flags, and its metrics are there."""
        entry = self.runs.get(name, {})
        done = entry.get("state") == "finished" and entry.get("flags") == list(flags)
        return done and (self.folder / name / files.METRICS).exists()

    def end(self, name: str, flags: Sequence[str], outcome: Outcome) -> None:
        """Record how a run ended."""
        state = "finished" if outcome.error is None else "failed"
        self.runs[name] = {"state": state, "flags": list(flags), **asdict(outcome)}
        self.save()

    def save(self, **more: Any) -> None:
        """Write the file, atomically.

        Args:
            **more: other fields, which later calls keep.
        """
        self.saved |= more
        files.write_json(self.folder / SWEEP, {**self.saved, "runs": self.runs, "trials": self.trials})


def run_directories(path: Path) -> list[Path]:
    """The runs that have begun in the folder of a sweep, sorted by name.

    Other paths are kept, except files that the sweep itself wrote, which ``runs/sweep/*`` also matches.
    """
    if path.is_file() and (path.parent / SWEEP).is_file():
        return []
    if not (path / SWEEP).is_file():
        return [path]
    return sorted(config.parent for config in path.glob(f"*/{files.CONFIG}"))
