"""The benchmark of robustness finds no fault, and would find one."""

from __future__ import annotations

from pathlib import Path

import pytest

import agents
import gfn_envs
from benchmarks.robustness import arguments, bits, children, full_disk, rewards, small_runs
from benchmarks.robustness.outcome import Outcome
from tests.helpers import run_fork


@pytest.mark.parametrize(
    "names", [["bits", "rewards", "arguments", "data-files", "hostile"], ["interruptions", "full-disk", "races"]]
)
def test_a_few_trials_of_each_check_find_no_fault(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = run_fork("-m", "benchmarks.robustness", "--quick", *(f"--only={name}" for name in names))
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count(", 0 faults, ") == len(names)


def test_a_changed_result_is_silent_damage() -> None:
    error = agents.RunError("run/config.json is damaged")
    sound = {"load_agent": 1, "resume": 2}
    assert bits._outcome(sound, {"load_agent": 1, "resume": 2}, "x") == Outcome("no effect: same results")
    assert bits._outcome(sound, {"load_agent": 1, "resume": error}, "x") == Outcome("rejected with one line")
    assert bits._outcome(sound, {"load_agent": error, "resume": 3}, "x").kind == "SILENT"
    assert bits._outcome(sound, {"load_agent": KeyError("a"), "resume": 2}, "x").fault


def test_different_runs_differ(tmp_path: Path) -> None:
    for seed in (0, 1):
        dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
        agents.train(agents.make_agent("tb", dag, seed=seed, hidden=(8,)), 3, tmp_path / str(seed), progress=False)
    assert small_runs.difference(tmp_path / "0", tmp_path / "0") == ""
    assert "checkpoints differ" in small_runs.difference(tmp_path / "0", tmp_path / "1")


def test_a_full_disk_is_full(tmp_path: Path) -> None:
    def work() -> None:
        full_disk.FullDisk(tmp_path, 4)
        for k in range(9):
            (tmp_path / f"{k}.txt").write_text("text")

    ended = children.run(work, tmp_path.parent / "errors")
    assert ended.code == children.RAISED
    assert "No space left on device" in ended.error
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["0.txt", "1.txt"]
    assert (tmp_path / "1.txt").read_text() == ""


def test_a_hanging_child_is_killed(tmp_path: Path) -> None:
    def work() -> None:
        while True:
            pass

    assert children.run(work, tmp_path / "errors", seconds=0.3).code is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("Bag: capacity must be an integer"), "one clear error"),
        (ValueError("capacity must be an integer"), "an error without its environment"),
        (ValueError("Bag: two\nlines"), "an unclear error"),
        (KeyError("Bag"), "another exception"),
        (MemoryError("Bag"), "another exception"),
    ],
)
def test_errors_of_constructors(error: Exception, kind: str) -> None:
    found, fault = arguments._refused(error, "GFN/Bag-v0")
    assert found == kind
    assert bool(fault) == (kind != "one clear error")


def test_a_reward_that_is_ignored_is_silent() -> None:
    """A bad reward that nobody notices is a fault."""
    bad = rewards.BadReward("one too many", 1)
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", side=4, reward=lambda cells: bad.of_rows(cells)[: len(cells)])
    agent = agents.make_agent("tb", dag, hidden=(8,), batch_size=4)
    found = rewards._outcome(agent, bad, "x")
    assert found is not None
    assert found.kind == "SILENT"
