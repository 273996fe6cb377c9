"""One flipped bit in a file of a run. Reading and resuming must raise, or give what the sound run gives."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import agents
import gfn_envs
from agents.runs import directory as runs
from agents.runs.compare import read_run
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from benchmarks.robustness.small_runs import leaves

ALIGNMENT = ">A\nACGTACGT\n>B\nACGAACGA\n>C\nTTTTACGA\n>D\nTTTAACGG\n"
ITERATIONS, RESUMED = 5, 8


def make_runs(work: Path) -> list[Path]:
    """A run that holds a copy of a file, which is gone since, and one that holds an array."""
    alignment = work / "a.fasta"
    alignment.write_text(ALIGNMENT)
    table = 1.0 + np.arange(128) % 7
    agent = {"hidden": (4,), "batch_size": 4}
    made = [
        agents.make_agent(
            "tb", gfn_envs.make_dag("GFN/PhyloTree-v0", alignment=str(alignment)), replay="fifo", **agent
        ),
        agents.make_agent("sac", gfn_envs.make_dag("GFN/Sequence-v0", alphabet="AB", length=7, reward=table), **agent),
    ]
    outs = [work / "file", work / "array"]
    for trained, out in zip(made, outs, strict=True):
        agents.train(trained, ITERATIONS, out, log_every=1, progress=False)
    alignment.unlink()
    return outs


def _load(out: Path) -> Any:
    agent = agents.load_agent(out)
    objects = agent.sample(16, rng=np.random.default_rng(0))
    return leaves(agent.state_dict()), agent.dag.log_reward(objects).tolist()


def _read(out: Path) -> Any:
    run = read_run(out)
    return run.config, run.history, run.final, run.finished, runs.read_metrics(out)


def _resume(out: Path) -> Any:
    agent = agents.load_agent(out)
    history = agents.train(agent, RESUMED, out, resume=True, log_every=1, progress=False)
    return leaves(agent.state_dict()), [{k: v for k, v in row.items() if "second" not in k} for row in history]


#: What is done with a run, in this order: the last changes it.
READERS: dict[str, Callable[[Path], Any]] = {"load_agent": _load, "read_run": _read, "resume": _resume}


def trials(count: int, work: Path) -> Outcomes:
    """``count`` flips, the same number in each file."""
    rng = random.Random(0)
    warnings.simplefilter("ignore")
    sound = {out: _answers(out, work / "copy") for out in make_runs(work)}
    for answers in sound.values():
        for name, answer in answers.items():
            if isinstance(answer, BaseException):
                raise RuntimeError(f"{name} of a sound run: {answer}") from answer
    files = [(out, path.relative_to(out)) for out in sound for path in sorted(out.rglob("*")) if path.is_file()]
    files = [(out, path) for out, path in files if (out / path).stat().st_size]
    for k in range(count):
        out, path = files[k % len(files)]
        content = bytearray((out / path).read_bytes())
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        yield _outcome(sound[out], _answers(out, work / "copy", path, bytes(content)), f"{path}, bit {bit}")


def _answers(out: Path, copy: Path, path: Path | None = None, content: bytes = b"") -> dict[str, Any]:
    """What reading gives or raises, if one file has another content."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out, copy)
    if path is not None:
        (copy / path).write_bytes(content)
    answers = {}
    for name, read in READERS.items():
        try:
            answers[name] = read(copy)
        except Exception as error:
            answers[name] = error
    return answers


def _outcome(sound: dict[str, Any], found: dict[str, Any], where: str) -> Outcome:
    refused = False
    for name, answer in found.items():
        if isinstance(answer, Exception):
            refused = True
            if not isinstance(answer, agents.RunError) or not one_line(answer):
                return Outcome("another error", f"{where}: {name} raised {type(answer).__name__}: {answer}")
        elif answer != sound[name]:
            return Outcome("SILENT", f"{where}: {name} gives another result")
    return Outcome("rejected with one line" if refused else "no effect: same results")
