"""The log of calls waits for the disk only where calls are expensive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gfn_envs.oracle import journal
from gfn_envs.oracle.store import Call, CallLog

OFTEN, SELDOM = 2, 1  # SQLite's numbers of "PRAGMA synchronous": FULL and NORMAL


def call(name: str, seconds: float) -> Call:
    return Call(name, name, 1, "ok", 1.0, {}, seconds, "")


def write(log: CallLog, name: str, seconds: float) -> int:
    """Write a call, and return whether the disk was waited for."""
    log.end(log.begin([(name, name, 1)]), [call(name, seconds)])
    return log.connection.execute("PRAGMA synchronous").fetchone()[0]


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "file_system", lambda path: "ext4")


@pytest.mark.usefixtures("local")
def test_the_disk_is_waited_for_once_per_tenth_of_a_second_of_calls(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "calls.sqlite", "reward")
    assert [write(log, str(k), 0.04) for k in range(6)] == [SELDOM, SELDOM, OFTEN] * 2
    assert write(log, "slow", 1.0) == OFTEN
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["calls.sqlite"]
    assert CallLog(tmp_path / "calls.sqlite", "reward").calls == 7


@pytest.mark.parametrize("kind", ["nfs4", "fuse.sshfs", ""])
def test_on_other_file_systems_every_commit_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(journal, "file_system", lambda path: kind)
    log = CallLog(tmp_path / "calls.sqlite", "reward")
    assert write(log, "cheap", 0.0) == OFTEN
    assert log.connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.usefixtures("local")
def test_two_connections_write_one_file(tmp_path: Path) -> None:
    first, second = (CallLog(tmp_path / "calls.sqlite", "reward", run) for run in ("a", "b"))
    for k in range(5):
        write(first, f"a{k}", 0.0)
        write(second, f"b{k}", 0.0)
    first.close()
    write(second, "c", 0.0)
    assert len(list(second)) == 11
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["calls.sqlite"]


KILLED = f"""
import os, signal
from pathlib import Path
from gfn_envs.oracle import journal
journal.file_system = lambda path: "ext4"
from tests.gfn_envs.oracle.test_journal import CallLog, write
log = CallLog(Path("calls.sqlite"), "reward")
for k in range(50):
    write(log, str(k), 0.0)
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""


def test_a_process_that_is_killed_loses_no_call(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment).returncode == -signal.SIGKILL
    assert [found.status for found in CallLog(tmp_path / "calls.sqlite", "reward")] == ["ok"] * 50


def test_the_file_system_of_a_path(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    space = tmp_path / "a b"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nhost:/x {tmp_path} nfs4 rw 0 0\n/dev/b {tmp_path}/a\\040b xfs rw 0 0\n")
    assert journal.file_system(space / "calls.sqlite", str(mounts)) == "xfs"
    assert journal.file_system(tmp_path / "other" / "calls.sqlite", str(mounts)) == "nfs4"
    assert journal.file_system(Path("/calls.sqlite"), str(mounts)) == "ext4"
    assert journal.file_system(Path("/calls.sqlite"), str(tmp_path / "none")) == ""
