"""Damage to a run's files is noticed, a full disk leaves the last checkpoint, two processes never mix."""

import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import agents
import gfn_envs
from agents.evaluation.diagnostics import collapse_warning
from agents.plots import figures as plots
from agents.runs import directory as runs
from agents.runs import files
from agents.runs.checkpoint import signed, verified
from tests.agents.runs.damage import flip_bits, interrupt_and_resume, train_command, wait_for

GRID = "GFN/HyperGrid-v0"
FLAGS = ["tb", GRID, "--env.ndim", 2, "--env.side", 4, "--agent.hidden", 16]


def make(name="tb", **settings):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=4)
    return agents.make_agent(name, dag, seed=1, **{"hidden": (16,), "batch_size": 8, **settings})


def train(agent, iterations, out, **options):
    return agents.train(agent, iterations, out, **{"progress": False, **options})


# ---------------------------------------------------------------------- flipped bits, lost rows


def test_flipped_bits_are_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.fasta").write_text(">A\nACGTACGT\n>B\nACGAACGA\n>C\nTTTTACGA\n>D\nTTTAACGG\n")
    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", alignment="a.fasta")
    train(agents.make_agent("tb", dag, hidden=(4,), replay="fifo", replay_capacity=20), 5, "run")
    Path("a.fasta").unlink()
    noticed, silent = flip_bits(Path("run"), tmp_path, 100)
    assert silent == []
    assert noticed > 80


@pytest.mark.parametrize("change", ["missing", "first", "last", "doubled", "swapped", "edited"])
def test_a_history_that_was_changed_is_not_resumed(tmp_path, change):
    train(make(), 6, tmp_path, log_every=1)
    path = tmp_path / runs.HISTORY
    lines = path.read_text().splitlines(keepends=True)
    number = {"missing": 3, "first": 1, "last": 6, "doubled": 4, "swapped": 3, "edited": 2}[change]
    if change in ("missing", "first", "last"):
        del lines[number - 1]
    elif change == "doubled":
        lines.insert(number - 1, lines[number - 2])
    elif change == "swapped":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines[1] = lines[1].replace('"transitions": ', '"transitions": 1')
    path.write_text("".join(lines))
    with pytest.raises(agents.RunError, match=rf"metrics\.jsonl, line {number}\b"):
        train(make(), 9, tmp_path, resume=True)


def test_rows_without_checksums_are_those_of_old_runs_only(tmp_path):
    train(make(), 3, tmp_path, log_every=1)
    rows = runs.read_history(tmp_path)
    (tmp_path / runs.HISTORY).write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(agents.RunError, match="line 1 does not match its checksum"):
        runs.read_history(tmp_path)
    (tmp_path / runs.CONFIG).unlink()
    assert runs.read_history(tmp_path) == rows


def test_an_edited_config_is_noticed(tmp_path):
    train(make(), 3, tmp_path)
    path = tmp_path / runs.CONFIG
    path.write_text(path.read_text().replace('"side": 4', '"side": 5'))
    with pytest.raises(agents.RunError, match=r"config\.json was damaged or edited"):
        agents.load_agent(tmp_path)


def test_a_signed_checkpoint_is_an_archive_that_torch_reads():
    content = files.as_bytes(lambda file: torch.save({"a": torch.arange(3)}, file))
    assert torch.load(io.BytesIO(signed(content)), weights_only=True)["a"].tolist() == [0, 1, 2]
    assert verified(signed(content)) == verified(content) == content
    with zipfile.ZipFile(io.BytesIO(signed(content))) as archive:
        assert archive.comment.startswith(b"sha256:")


class Exploit:
    def __reduce__(self):
        return (os.system, ("touch executed",))


def test_the_error_of_a_hostile_checkpoint_gives_no_dangerous_advice(tmp_path):
    train(make(), 3, tmp_path)
    torch.save({"agent": Exploit(), "progress": {}}, tmp_path / runs.CHECKPOINT)
    with pytest.raises(agents.RunError, match=r"more than tensors and plain values.*nothing was executed") as caught:
        agents.load_agent(tmp_path)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------------- full disk, links, left-overs


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    agent = make()
    update, fsync = agent.update, os.fsync

    def no_space(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def filling_update():
        if agent.iteration == 7:
            monkeypatch.setattr(os, "fsync", no_space)
        return update()

    agent.update = filling_update
    with pytest.raises(OSError, match="No space left on device"):
        train(agent, 20, tmp_path, checkpoint_every=5, eval_every=20, log_every=3)
    monkeypatch.setattr(os, "fsync", fsync)
    assert agents.load_agent(tmp_path).iteration == 5
    assert not list(tmp_path.rglob("*.tmp"))
    train(make(), 20, tmp_path, resume=True, checkpoint_every=5, eval_every=20, log_every=3)
    assert [row["iteration"] for row in runs.read_history(tmp_path)] == [3, 6, 9, 12, 15, 18, 20]


def test_a_file_size_limit_is_one_line(tmp_path):
    command = " ".join(train_command(tmp_path / "run", [*FLAGS, "--iterations", 30], sys.executable))
    limited = f"trap '' XFSZ; ulimit -f 8; exec {command}"
    result = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "File too large" in result.stderr


def test_files_are_not_written_through_links(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "figure.png").symlink_to(tmp_path / "mine")
    with pytest.raises(agents.RunError, match="is a symbolic link"):
        plots.training_curves([{"iteration": 1, "loss": 1.0}], tmp_path / "figure.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / runs.CONFIG).symlink_to(tmp_path / "mine2")
    with pytest.raises(agents.RunError, match="is a symbolic link"):
        train(make(), 3, tmp_path / "run")
    with pytest.raises(agents.RunError, match="not a regular file"):
        files.write_bytes(tmp_path / "run", b"")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "mine2").exists()


def test_figures_are_replaced_at_once(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    plots.training_curves([{"iteration": 1, "loss": 1.0}], path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", lambda number: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plots.training_curves([{"iteration": 1, "loss": 2.0}], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_left_overs_of_killed_processes_are_removed(tmp_path):
    train(make(), 3, tmp_path)
    left = [tmp_path / ".checkpoint.pt.123.tmp", tmp_path / "inputs" / ".a.csv.99.tmp", tmp_path / "mine.tmp"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    train(make(), 4, tmp_path, resume=True)
    assert [path.exists() for path in left] == [False, False, True]


# ---------------------------------------------------------------------- two processes


def test_two_processes_do_not_train_in_one_directory(tmp_path):
    out = tmp_path / "run"
    command = train_command(out, [*FLAGS, "--iterations", 10**7, "--checkpoint-every", 50])
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for((out / runs.CHECKPOINT).exists, first)
        for resume in (False, True):
            with pytest.raises(agents.RunError, match="is in use: another process trains in it"):
                train(make(), 3, out, resume=resume)
        assert first.poll() is None
        assert agents.load_agent(out).iteration > 0  # reading needs no lock
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
    agent = agents.load_agent(out)
    done = agent.iteration
    train(agent, done + 1, out, resume=True)  # the lock of a killed process does not block
    assert agents.load_agent(out).iteration == done + 1


def test_a_lock_in_one_process_blocks_a_second_run_in_it(tmp_path):
    agent = make()
    update = agent.update

    def nested_update():
        with pytest.raises(agents.RunError, match="is in use"):
            train(make(), 3, tmp_path)
        return update()

    agent.update = nested_update
    train(agent, 2, tmp_path)


def test_a_run_that_never_began_leaves_no_lock(tmp_path):
    agent = make()
    agent.update = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        train(agent, 3, tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- interruptions


def test_a_run_interrupted_at_random_moments_equals_an_uninterrupted_one(tmp_path):
    flags = [*FLAGS, "--iterations", 6000, "--checkpoint-every", 20, "--eval-every", 3000]
    subprocess.run(train_command(tmp_path / "whole", flags), check=True, capture_output=True, timeout=120)
    rng = random.Random(0)
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    delays = iter(rng.uniform(0.3, 0.6) for _ in signals)
    stopped = interrupt_and_resume(tmp_path / "whole", tmp_path / "run", flags, signals, lambda: next(delays))
    assert stopped == len(signals)


# ---------------------------------------------------------------------- rows


def test_rows_hold_what_updates_return_and_reasons(tmp_path):
    agent = make("vargrad")
    update = agent.update
    agent.update = lambda: {**update(), "entropy": float(agent.iteration), "note": "text", "nothing": None}
    history = train(agent, 4, tmp_path, log_every=2, eval_every=4)
    assert [row["entropy"] for row in history] == [1.5, 3.5]
    assert "mean_log_reward" in history[0]
    assert history[-1]["evaluation_seconds"] > 0
    metrics = runs.read_metrics(tmp_path)
    assert metrics["evaluation_seconds"] == history[-1]["evaluation_seconds"]
    for reason, names in history[-1].get("undefined", {}).items():
        assert reason
        assert all(history[-1][name] is None for name in names)


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"batch_ess": 0.9, "batch_distinct": 0.7, "elbo": 1.0, "log_z": 1.1, "tv": 0.1}, None),
        ({"batch_ess": 1.0, "batch_distinct": 1 / 16, "tv": 0.1}, None),
        ({"batch_ess": 1.0, "batch_distinct": 1 / 16, "tv": None}, "distinct objects"),
        ({"batch_ess": 1.0, "batch_distinct": 1.0, "tv": 0.75}, "exact total variation 0.75"),
        ({"batch_ess": 0.1}, "effective sample size"),
        ({"elbo": 10.0, "log_z": 0.0}, "lower bound"),
        ({}, None),
    ],
)
def test_signs_of_collapse(metrics, words):
    found = collapse_warning(metrics)
    assert (found is None) if words is None else (words in found and "try" in found)


def test_a_collapsed_run_says_so(tmp_path, capsys):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=16, reward_kwargs={"R0": 1e-4})
    agents.train(agents.make_agent("tb", dag, hidden=(32,), lr=0.05), 200, tmp_path)
    assert "collapsed" in capsys.readouterr().err
    assert "collapsed" in runs.read_metrics(tmp_path)["warning"]
