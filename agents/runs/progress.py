"""The state of the training loop between iterations, and how a run is resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.runs import directory as runs
from agents.runs.errors import RunError
from agents.runs.history import history_text
from agents.runs.probe import check_config_probe


@dataclass
class Progress:
    """State of the training loop between iterations. Every checkpoint holds it."""

    transitions: int = 0
    seconds: float = 0.0
    """Seconds spent in iterations, without evaluation and checkpoints."""
    evaluation_seconds: float = 0.0
    """Seconds spent in evaluations."""
    begun: int = 0
    """Iterations of the agent before the run began."""
    window: int = 0
    loss_sum: float = 0.0
    sums: dict[str, list[float]] = field(default_factory=dict)
    """Sum and count, since the last row, of every other number that the agent's update returned."""
    latest: dict[str, Any] = field(default_factory=dict)
    """The last value, since the last row, of text and arrays that it returned."""
    callbacks: dict[str, Any] = field(default_factory=dict)
    """States of callbacks by name."""
    tv: float | None = None
    history: str | None = None
    """Checksum of the last row of the history."""
    failed_rewards: int = 0
    """Objects whose reward failed and got the floor or was left out (``on_error`` of the environment)."""


def restore(
    directory: Path | None, agent: Agent, config: dict[str, Any], resume: bool
) -> tuple[Progress, list[dict[str, Any]], dict[str, Any]]:
    """Progress, rows and config of the run to resume, whose agent is restored. A new run has none. Writes nothing."""
    begun = Progress(begun=agent.iteration)
    if directory is None:
        return begun, [], {}
    if not (directory / runs.CONFIG).exists():
        for name in (runs.CHECKPOINT, runs.HISTORY, runs.METRICS):
            if (directory / name).exists():
                raise RunError(f"{directory} holds {name} but no {runs.CONFIG}: choose another directory")
        return begun, [], {}
    if not resume:
        raise RunError(f"{directory} already holds a run: resume it, or choose another directory")
    runs.check_same(directory, config)
    earlier = runs.read_config(directory)
    check_config_probe(directory / runs.CONFIG, earlier, agent.dag)
    rows = runs.read_history(directory)
    if (directory / runs.CHECKPOINT).exists():
        saved = runs.load_checkpoint(directory, agent, same_environment="probe" in earlier)
        try:
            state = Progress(**saved)
        except TypeError as error:
            raise RunError(f"{directory / runs.CHECKPOINT} holds the progress of another loop: {error}") from error
        return state, _rows_until(directory, rows, agent.iteration, state.history), earlier
    if rows and rows[-1]["iteration"] > agent.iteration + 1:
        raise RunError(
            f"{directory} holds metrics up to iteration {rows[-1]['iteration']} but no {runs.CHECKPOINT} to resume "
            "from: choose another directory"
        )
    return begun, [], earlier


def _rows_until(directory: Path, rows: list[dict[str, Any]], iteration: int, crc: str | None) -> list[dict[str, Any]]:
    """The rows that the checkpoint of ``iteration`` has seen, the last of them with checksum ``crc``."""
    rows = [row for row in rows if row["iteration"] <= iteration]
    if crc is None:  # version 0.1
        return rows
    # A process killed after its last evaluation leaves a row of this iteration that the checkpoint has not seen.
    unseen = [len(rows), *(k for k in range(len(rows)) if rows[k]["iteration"] == iteration)]
    for end in sorted(unseen, reverse=True):
        if f"{history_text(rows[:end])[1]:08x}" == crc:
            return rows[:end]
    raise RunError(f"{directory / runs.HISTORY}, line {len(rows) + 1}: rows before iteration {iteration} are missing")
