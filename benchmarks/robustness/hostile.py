"""Malicious files, and temporary files of killed processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

import agents
import gfn_envs
from agents.plots import figures
from agents.runs import directory as runs
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line


class Exploit:
    """Unpickling it runs a command."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def _train(out: Path, iterations: int = 3, resume: bool = False) -> agents.Agent:
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4), hidden=(8,))
    agents.train(agent, iterations, out, progress=False, resume=resume)
    return agent


def hostile_checkpoint(work: Path) -> str:
    """A pickle that names a function is rejected, without advice to disable the protection."""
    _train(work)
    for content in (Exploit(work / "executed"), {"agent": Exploit(work / "executed"), "progress": {}}):
        torch.save(content, work / runs.CHECKPOINT)
        for read in (lambda: agents.load_agent(work), lambda: _train(work, 5, resume=True)):
            try:
                read()
                return "it was loaded"
            except agents.RunError as error:
                if not one_line(error) or "weights_only" in str(error):
                    return str(error)
    return "it was executed" if (work / "executed").exists() else ""


def config_names_code(work: Path) -> str:
    """A config that names a module imports nothing without trust=True."""
    _train(work)
    config = runs.read_config(work)
    config["env_arguments"]["reward"] = {"$import": "this:d", "sha256": None, "file": None}
    runs.write_sealed(work / runs.CONFIG, config)
    try:
        agents.load_agent(work)
    except agents.RunError as error:
        return "" if one_line(error) and "trust=True" in str(error) else str(error)
    return "it was imported"


def left_overs(work: Path) -> str:
    """Temporary files of killed processes are removed when the run is resumed; other files stay."""
    _train(work)
    names = [".checkpoint.pt.12345.tmp", ".metrics.jsonl.1.tmp", "mine.tmp"]
    for name in names:
        (work / name).write_text("half")
    _train(work, 5, resume=True)
    found = [(work / name).exists() for name in names]
    return "" if found == [False, False, True] else f"{names}: {found}"


def links(work: Path) -> str:
    """Neither files of a run nor figures are written through symbolic links."""
    mine = work / "mine"
    mine.write_text("mine")
    run = work / "run"
    run.mkdir()
    for name in (runs.CONFIG, runs.HISTORY, runs.CHECKPOINT, runs.METRICS, "figure.png"):
        (run / name).symlink_to(mine)
        try:
            if name == "figure.png":
                figures.training_curves([{"iteration": 1, "loss": 1.0}], run / name)
            else:
                _train(run)
            return f"{name} was written through a link"
        except agents.RunError as error:
            if not one_line(error):
                return str(error)
        if mine.read_text() != "mine":
            return f"the target of {name} has changed"
        for path in run.iterdir():
            path.unlink()
    return ""


CHECKS: list[Callable[[Path], str]] = [hostile_checkpoint, config_names_code, left_overs, links]


def trials(count: int, work: Path) -> Outcomes:
    """Each check once, at most ``count``."""
    for check in CHECKS[:count]:
        (work / check.__name__).mkdir()
        fault = check(work / check.__name__)
        yield Outcome((check.__doc__ or "").strip().rstrip("."), fault)
