"""Damage to run directories: interruptions at any moment and flipped bits. For tests and benchmarks."""

import random
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import agents
from agents.runs import directory as runs
from agents.runs.compare import read_run
from tests import forks


def tensors(value, prefix=""):
    """Every leaf of a nested state, by path."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in tensors(item, f"{prefix}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, item in enumerate(value) for k, v in tensors(item, f"{prefix}/{i}").items()}
    return {prefix: value.numpy().tobytes() if isinstance(value, torch.Tensor) else value}


def without_times(rows):
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]


def state_of(out):
    """The checkpoint of a run without what depends on the clock."""
    state = torch.load(out / runs.CHECKPOINT, weights_only=True)
    del state["progress"]["seconds"], state["progress"]["evaluation_seconds"], state["progress"]["history"]
    return tensors(state)


def assert_same_run(a: Path, b: Path):
    left, right = map(state_of, (a, b))
    assert left.keys() == right.keys()
    assert [key for key in left if left[key] != right[key]] == []
    assert without_times(runs.read_history(a)) == without_times(runs.read_history(b))
    assert without_times([runs.read_metrics(a)]) == without_times([runs.read_metrics(b)])


# ---------------------------------------------------------------------- interruptions


def train_command(out, flags, python=None):
    return [
        python or forks.python(),
        "-m",
        "agents",
        "train",
        *map(str, flags),
        "--no-progress",
        "--no-figures",
        "--out",
        str(out),
    ]


def interrupt_and_resume(whole: Path, out: Path, flags, signals, delay) -> int:
    """Train in ``out``, stop it, resume it, and so on, and compare it with ``whole`` in the end.

    Args:
        whole: run directory of an uninterrupted run of the same command.
        out: run directory to make.
        flags: ``gfn train`` flags: agent, environment and so on.
        signals: signal of each interruption.
        delay: returns the seconds from the start of a process to its signal.

    Returns:
        The number of processes that were stopped before they ended.

    Raises:
        AssertionError: the runs differ, or a process failed.
    """
    stopped = 0
    for sent in signals:
        command = train_command(out, flags) + (["--resume"] if out.exists() else [])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            process.wait(delay())
        except subprocess.TimeoutExpired:
            process.send_signal(sent)
            stopped += 1
        _, error = process.communicate(timeout=120)
        assert process.returncode in (0, -sent, 130), error
    result = subprocess.run([*train_command(out, flags), "--resume"], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert_same_run(whole, out)
    assert not [path.name for path in out.rglob("*.tmp")]
    return stopped


# ---------------------------------------------------------------------- flipped bits


def observed(out: Path):
    """Everything that is read from a run: agent, config, history and metrics; or the error that reading it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agent, run = agents.load_agent(out), read_run(out)
    except agents.RunError as error:
        return f"{type(error).__name__}: {error}"
    rewards = agent.dag.log_reward(agent.sample(64, rng=np.random.default_rng(0)))
    return {
        "state": tensors(agent.state_dict()),
        "rewards": rewards.tolist(),
        "run": [run.config, run.history, run.final, run.finished],
    }


def flip_bits(out: Path, work: Path, flips: int, seed: int = 0) -> tuple[int, list[str]]:
    """Flip one bit at a time in the files of a run.

    Args:
        out: the run directory, which stays as it is.
        work: a directory for the damaged copies.
        flips: number of bits to flip, the same for each file.
        seed: seed of the choice.

    Returns:
        The number of flips that raised RunError, and a description of each that changed something without an error.
    """
    rng, sound = random.Random(seed), observed(out)
    assert isinstance(sound, dict), sound
    paths = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file() and path.stat().st_size)
    noticed, silent = 0, []
    for k in range(flips):
        path = paths[k % len(paths)]
        copy = work / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(out, copy)
        content = bytearray((copy / path).read_bytes())
        bit = rng.randrange(8 * len(content))
        content[bit // 8] ^= 1 << bit % 8
        (copy / path).write_bytes(content)
        found = observed(copy)
        if isinstance(found, str):
            noticed += 1
            assert len(found.splitlines()) == 1, found
        elif found != sound:
            changed = [key for key in sound if found[key] != sound[key]]
            silent.append(f"{path}, bit {bit}: {', '.join(changed)}")
    shutil.rmtree(work / "damaged", ignore_errors=True)
    return noticed, silent


def wait_for(condition, process, seconds=60):
    """Wait until ``condition()`` while ``process`` runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
