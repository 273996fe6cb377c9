"""Short runs of the command line, and whether two runs are the same."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agents.cli.main import main
from agents.runs import directory as runs
from benchmarks.robustness.children import Ended, run

GRID = ["--env.ndim", "2", "--env.side", "4", "--agent.hidden", "16", "--agent.batch-size", "4"]
#: Flags of ``gfn train``: the compiled engine, the torch engine with a replay buffer, an agent without a GFlowNet loss.
COMMANDS = [
    ["tb", "GFN/HyperGrid-v0", *GRID, "--agent.engine", "numba"],
    ["subtb", "GFN/HyperGrid-v0", *GRID, "--agent.engine", "torch", "--agent.replay", "prioritized"],
    ["sac", "GFN/HyperGrid-v0", *GRID],
]


def training(out: Path, flags: list[str], resume: bool = False) -> Callable[[], None]:
    """A function that trains in ``out`` as ``gfn train`` does."""
    command = ["train", *flags, "--no-progress", "--no-figures", "--out", str(out)]
    return lambda: main([*command, *(["--resume"] if resume else [])])


def uninterrupted(out: Path, flags: list[str], errors: Path) -> Ended:
    """Train in ``out``.

    Raises:
        RuntimeError: it failed.
    """
    ended = run(training(out, flags), errors, 300)
    if ended.code != 0:
        raise RuntimeError(f"gfn train {' '.join(flags)}: {ended}")
    return ended


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a nested state, by path. Tensors are bytes."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{path}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, item in enumerate(value) for k, v in leaves(item, f"{path}/{i}").items()}
    return {path: value.numpy().tobytes() if isinstance(value, torch.Tensor) else value}


def _without_seconds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if "second" not in name} for row in rows]


def _checkpoint(out: Path) -> dict[str, Any]:
    state = torch.load(out / runs.CHECKPOINT, weights_only=True)
    progress = {name: value for name, value in state["progress"].items() if "second" not in name}
    del progress["history"]  # the checksum of lines with seconds
    return leaves({**state, "progress": progress})


def difference(a: Path, b: Path) -> str:
    """How two finished runs differ, apart from dates and seconds; ``""`` if they are the same, bit for bit."""
    left, right = _checkpoint(a), _checkpoint(b)
    if keys := sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key)):
        return f"checkpoints differ in {', '.join(keys[:3])}"
    if _without_seconds(runs.read_history(a)) != _without_seconds(runs.read_history(b)):
        return "histories differ"
    if _without_seconds([runs.read_metrics(a)]) != _without_seconds([runs.read_metrics(b)]):
        return "final metrics differ"
    configs = [{**runs.read_config(path), "provenance": None} for path in (a, b)]
    if configs[0] != configs[1]:
        return "configs differ"
    names = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in (a, b)]
    return "" if names[0] == names[1] else f"files differ: {sorted(set(names[0]) ^ set(names[1]))}"


def warm_up(folder: Path) -> None:
    """Train in this process, so that its children have all modules and compiled functions."""
    for k, command in enumerate(COMMANDS):
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            training(folder / f"warm-{k}", [*command, "--iterations", "20"])()
