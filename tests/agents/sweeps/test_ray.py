"""gfn sweep on a real Ray: on this machine, and on two nodes of which one is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from agents.cli.main import run
from agents.runs import directory as runs
from agents.sweeps.drive import last_iteration
from benchmarks.robustness.small_runs import difference
from tests import forks

pytestmark = pytest.mark.slow

GRID = "GFN/HyperGrid-v0"
#: A reward that waits as an expensive one does, and takes no processor time. After 25 calls, it waits as long as there
#: is a file named hold, so that a test can act in the middle of runs, however slowly they begin.
REWARD = """
import itertools
import os
import time

CALLS = itertools.count()

def reward(cells):
    time.sleep(float(os.environ.get("SLEEP", "0")))
    late = next(CALLS) >= 25
    while late and os.path.exists(os.path.join(os.path.dirname(__file__), "hold")):
        time.sleep(0.02)
    return 1.0 + cells.sum(1)
"""
FLAGS = ["--env.ndim", "2", "--env.side", "4", "--env.reward", "slow:reward", "--agent.hidden", "8"]
FLAGS += ["--agent.batch-size", "4", "--iterations", "60", "--checkpoint-every", "15", "--log-every", "5"]
FLAGS += ["--eval-every", "0", "--agent.engine", "torch"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(REWARD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "slow", raising=False)
    return tmp_path


def iterations(out: Path) -> int:
    """The iteration of a run."""
    with contextlib.suppress(OSError):
        return last_iteration(out / runs.HISTORY)
    return 0


def wait_until(true, seconds, what):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what} within {seconds} s"
        time.sleep(0.05)


def start(folder, *arguments, python=None):
    command = [python or forks.python(), "-m", "agents", "sweep", *arguments, *FLAGS, "--out", "all", "--no-progress"]
    environment = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[2])}
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def trained(folder, name, seed):
    """Differences between a run and the same one, uninterrupted, by gfn train."""
    out = folder / f"one-{seed}"
    run(["train", "tb", GRID, *FLAGS, "--seed", str(seed), "--no-progress", "--no-figures", "--out", str(out)])
    return difference(out, folder / "all" / name)


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("SLEEP", "0.03")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        yield cluster, cluster.add_node(**small)
    finally:
        cluster.shutdown()


def test_a_node_is_killed_in_the_middle_of_a_sweep(cluster, folder, monkeypatch):
    nodes, second = cluster
    hold = folder / "hold"
    hold.touch()
    sweep = start(folder, "tb", GRID, "--seeds", "0:3", "--address", nodes.address)
    names = [f"tb-s{seed}" for seed in range(3)]
    wait_until(lambda: sum(iterations(folder / "all" / name) >= 20 for name in names) == 2, 180, "two runs begin")
    nodes.remove_node(second, allow_graceful=False)
    hold.unlink()
    output, _ = sweep.communicate(timeout=180)
    assert sweep.returncode == 0, output
    attempts = [len(runs.read_config(folder / "all" / name)["provenance"]) for name in names]
    assert sorted(attempts) == [1, 1, 2], output  # The run of the killed node went on elsewhere.
    monkeypatch.setenv("SLEEP", "0")
    assert [trained(folder, name, seed) for seed, name in enumerate(names)] == ["", "", ""]


def workers_of(process) -> list[int]:
    """Processes of Ray that train, among the descendants of a process."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            names[int(entry.name)] = (entry / "cmdline").read_bytes()
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])

    def descends(pid: int) -> bool:
        return pid == process.pid or (pid in parents and descends(parents[pid]))

    return [pid for pid, name in names.items() if name.startswith(b"ray::train_run") and descends(pid)]


@pytest.mark.skipif("GFN_ACCEPTANCE" not in os.environ, reason="half a minute; see docs/cluster.md")
def test_a_killed_worker_and_ctrl_c(folder, monkeypatch):
    monkeypatch.setenv("SLEEP", "0.03")
    names = [f"tb-s{seed}" for seed in range(2)]
    sweep = start(folder, "tb", GRID, "--seeds", "0:2", "--workers", "1", python=sys.executable)
    first, second = (folder / "all" / name for name in names)
    wait_until(lambda: iterations(first) >= 15, 180, "the first run begins")
    (worker,) = workers_of(sweep)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: iterations(second) >= 15, 180, "the second run begins")
    sweep.send_signal(signal.SIGINT)
    output, _ = sweep.communicate(timeout=40)
    assert sweep.returncode == 130, output
    assert "the same command continues it" in output
    assert len(runs.read_config(first)["provenance"]) == 2
    reached = torch.load(second / runs.CHECKPOINT, weights_only=True)["agent"]["iteration"]
    assert iterations(second) <= reached < 60  # Its checkpoint is that of the interrupt.
    sweep = start(folder, "tb", GRID, "--seeds", "0:2", "--workers", "1")
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, output
    monkeypatch.setenv("SLEEP", "0")
    assert [trained(folder, name, seed) for seed, name in enumerate(names)] == ["", ""]
