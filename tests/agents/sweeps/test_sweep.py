"""gfn sweep without Ray: an inline worker takes its place. With a real Ray: test_ray.py."""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import threading

import pytest

from agents.cli import main as cli
from agents.cli import sweep as command
from agents.cli import worker
from agents.runs import directory as runs
from agents.runs.lock import RunLock
from agents.sweeps.ray_runner import connected
from agents.sweeps.record import Outcome
from benchmarks.robustness.small_runs import difference

GRID = "GFN/HyperGrid-v0"
FLAGS = ["--env.ndim", "2", "--env.side", "4", "--agent.hidden", "8", "--agent.batch-size", "4", "--iterations", "4"]


class Inline:
    """Trains in this process, one run per wait.

    Attributes:
        made: every such object.
        names: the runs that were submitted.
    """

    made: list = []
    interrupt_after: int | None = None

    def __init__(self, call, place, ray, limit=None, cores=1, gpus=0.0, retries=3):
        self.call, self.place, self.cores, self.waiting, self.names = call, place, cores, [], []
        Inline.made.append(self)

    def submit(self, name, words):
        self.waiting.append((name, words))
        self.names.append(name)

    def wait(self, seconds):
        if len(self.names) - len(self.waiting) == self.interrupt_after:
            raise KeyboardInterrupt
        if not self.waiting:
            return []
        name, words = self.waiting.pop(0)
        return [(name, self.call(self.place, name, words))]

    @property
    def busy(self):
        return bool(self.waiting)

    def cancel(self):
        self.waiting.clear()
        self.interrupt_after = None


class Ray:
    def cluster_resources(self):
        return {"CPU": 2.0}


@pytest.fixture(autouse=True)
def inline(monkeypatch, tmp_path):
    """The inline workers in place of Ray's."""
    monkeypatch.setattr(Inline, "made", [])
    monkeypatch.setattr(command, "RayWorkers", Inline)
    monkeypatch.setattr(command, "connected", lambda address, workers: contextlib.nullcontext(Ray()))
    monkeypatch.chdir(tmp_path)
    return Inline


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


def sweep(capsys, agents, *arguments):
    return gfn(capsys, "sweep", agents, GRID, *FLAGS, "--no-progress", "--out", "all", *arguments)


def names(path):
    return sorted(config.parent.name for config in path.glob("*/config.json"))


def test_runs_are_those_of_gfn_train(capsys, tmp_path):
    code, printed = sweep(capsys, "tb,subtb", "--seeds", "0:2", "--grid", "agent.lr=1e-3,3e-3", "agent.lamda=0.8,0.9")
    assert code == 0
    assert "tb runs without agent.lamda" in printed.err
    assert names(tmp_path / "all") == sorted(
        [f"tb-agent.lr={lr}-s{s}" for lr in ("1e-3", "3e-3") for s in (0, 1)]
        + [
            f"subtb-agent.lr={lr}-agent.lamda={la}-s{s}"
            for lr in ("1e-3", "3e-3")
            for la in ("0.8", "0.9")
            for s in (0, 1)
        ]
    )
    one = ["subtb", GRID, *FLAGS, "--agent.lr", "3e-3", "--agent.lamda", "0.9", "--seed", "1", "--no-progress"]
    gfn(capsys, "train", *one, "--no-figures", "--out", "one")
    assert difference(tmp_path / "one", tmp_path / "all" / "subtb-agent.lr=3e-3-agent.lamda=0.9-s1") == ""
    assert "lamda=0.9" in printed.out  # the table of gfn compare
    assert (tmp_path / "all" / "comparison.png").exists()


def test_the_same_command_goes_on(capsys, tmp_path, inline, monkeypatch):
    monkeypatch.setattr(Inline, "interrupt_after", 2)
    code, printed = sweep(capsys, "tb", "--seeds", "0:3")
    assert code == 130
    assert "the same command continues it" in printed.err
    assert names(tmp_path / "all") == ["tb-s0", "tb-s1"]
    monkeypatch.setattr(Inline, "interrupt_after", None)
    code, _ = sweep(capsys, "tb", "--seeds", "0:3")
    assert code == 0
    assert inline.made[-1].names == ["tb-s2"]
    assert names(tmp_path / "all") == ["tb-s0", "tb-s1", "tb-s2"]


def test_a_run_whose_checkpoint_is_old_is_taken_up(capsys, tmp_path, inline):
    sweep(capsys, "tb", "--seeds", "0:2")
    # sweep.json of a process that died before it took note of the run; more iterations than before.
    record = json.loads((tmp_path / "all" / "sweep.json").read_text())
    del record["runs"]["tb-s0"]
    (tmp_path / "all" / "sweep.json").write_text(json.dumps(record))
    assert sweep(capsys, "tb", "--seeds", "0:2")[0] == 0
    assert inline.made[-1].names == ["tb-s0"]
    assert sweep(capsys, "tb", "--seeds", "0:2", "--iterations", "6")[0] == 0
    assert inline.made[-1].names == ["tb-s0", "tb-s1"]
    assert runs.read_metrics(tmp_path / "all" / "tb-s1")["iteration"] == 6


def test_a_failed_run_does_not_stop_the_others(capsys, tmp_path, inline):
    code, printed = sweep(capsys, "tb", "--grid", "agent.lr=1e39,1e-3")
    assert code == 1
    assert "failed: tb-agent.lr=1e39-s0" in printed.err
    assert "NaN" in printed.err
    assert "1 of 2 runs failed" in printed.err
    entry = json.loads((tmp_path / "all" / "sweep.json").read_text())["runs"]["tb-agent.lr=1e39-s0"]
    assert entry["state"] == "failed"
    sweep(capsys, "tb", "--grid", "agent.lr=1e39,1e-3")
    assert inline.made[-1].names == ["tb-agent.lr=1e39-s0"]


def test_another_environment_in_the_same_folder_is_refused(capsys, tmp_path):
    sweep(capsys, "tb")
    code, printed = sweep(capsys, "tb", "--env.side", "5")
    assert code == 1
    assert "holds another run" in printed.err
    assert "side" in printed.err


def test_flags_of_one_agent_are_given_to_it_alone(capsys, tmp_path):
    code, _ = sweep(capsys, "tb,subtb", "--agent.lamda", "0.7", "--agent.init-log-z", "2.0")
    assert code == 0
    settings = {name: runs.read_config(tmp_path / "all" / name)["settings"] for name in ("tb-s0", "subtb-s0")}
    assert settings["subtb-s0"]["lamda"] == 0.7
    assert settings["tb-s0"]["init_log_z"] == 2.0
    assert "lamda" not in settings["tb-s0"]


def test_each_run_has_one_thread_unless_told(capsys, inline):
    sweep(capsys, "tb", "--threads", "2")
    sweep(capsys, "tb", "--seeds", "1")
    assert [workers.cores for workers in inline.made] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tb,tbb"], ["tbb", "tb"]),
        (["tb,tb"], ["tb occurs twice"]),
        (["tb", "--grid", "agent.lamda=0.8"], ["agent.lamda", "tb"]),
        (["tb,subtb", "--grid", "agent.lamba=0.8"], ["agent.lamba", "lamda"]),
        (["tb", "--grid", "env.sid=4,8"], ["--env.sid", "--env.side"]),
        (["tb", "--grid", "agent.lr=abc"], ["abc"]),
        (["tb", "--grid", "agent.lr=1e-3,-1"], ["lr", "-1"]),
        (["tb", "--grid", "agent.lr=1e-3,0.001"], ["agent.lr", "1e-3", "0.001", "same value"]),
        (["tb", "--grid", "agent.lr=1e-3,1e-2", "--agent.lr", "1"], ["agent.lr", "--grid", "flag"]),
        (["tb", "--grid", "agent.lr=1e-4:1e-1:log"], ["agent.lr", "--search"]),
        (["tb", "--seeds", "5:2"], ["--seeds 5:2"]),
        (["tb", "--seed", "3"], ["--seed ", "--seeds"]),
        (["tb", "--resume"], ["--resume"]),
        (["tb", "--workers", "0"], ["--workers", "at least 1"]),
        (["tb", "--retries", "-1"], ["--retries", "at least 0"]),
        (["tb", "--search", "3", "--grid", "agent.lr=1,2"], ["--minimize", "--maximize"]),
        (["tb", "--minimize", "tv"], ["--minimize", "--search"]),
        (["tb", "--search", "3", "--minimize", "tv"], ["--grid"]),
        (["tb", "--agent.lro", "3"], ["--agent.lro"]),
        (["tb", "--out", "/proc/no/sweep"], ["/proc/no"]),
    ],
)
def test_bad_flags_are_one_line_and_leave_nothing(arguments, words, capsys, tmp_path):
    first, *others = arguments
    code, printed = gfn(capsys, "sweep", first, GRID, *FLAGS, *others)
    assert code == 2
    (line,) = printed.err.strip().splitlines()
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_a_sweep_needs_agents_and_an_environment(capsys):
    assert "gfn sweep needs" in gfn(capsys, "sweep", "tb")[1].err
    assert "--grid" in gfn(capsys, "sweep", "--help")[1].out


def test_two_sweeps_in_one_folder(capsys, tmp_path):
    with RunLock(tmp_path / "all"):
        (tmp_path / "all" / "x").touch()
        code, printed = sweep(capsys, "tb")
    assert code == 2
    assert "in use" in printed.err


def test_a_run_is_no_folder_for_a_sweep(capsys, tmp_path):
    gfn(capsys, "train", "tb", GRID, *FLAGS, "--no-progress", "--no-figures", "--out", "all")
    code, printed = sweep(capsys, "tb")
    assert code == 2
    assert "holds a run" in printed.err


def test_damaged_notes_are_refused(capsys, tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "sweep.json").write_text('{"runs": [1]}')
    code, printed = sweep(capsys, "tb")
    assert code == 2
    assert "sweep.json is damaged" in printed.err


def test_comparing_the_folder_of_a_sweep(capsys, tmp_path):
    sweep(capsys, "tb", "--seeds", "0:2")
    code, printed = gfn(capsys, "compare", "all", "--json")
    assert code == 0
    (group,) = json.loads(printed.out)["groups"]
    assert group["seeds"] == [0, 1]


# ---------------------------------------------------------------------- workers


@pytest.fixture
def place(tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "sweep.json").write_text('{"token": "this"}')
    return worker.Place(tmp_path / "all", tmp_path, "this")


def test_a_worker_that_does_not_see_the_folder(place, tmp_path):
    words = ["tb", GRID, *FLAGS]
    (tmp_path / "all" / "sweep.json").write_text('{"token": "of another machine"}')
    assert "must share" in worker.train_run(place, "tb-s0", words).error
    (tmp_path / "all" / "sweep.json").unlink()
    assert "must share" in worker.train_run(place, "tb-s0", words).error
    elsewhere = worker.Place(place.folder, tmp_path / "gone", "this")
    (tmp_path / "all" / "sweep.json").write_text('{"token": "this"}')
    assert "gone" in worker.train_run(elsewhere, "tb-s0", words).error


def test_a_worker_waits_for_one_that_dies(place, tmp_path, monkeypatch):
    lock = RunLock(place.folder / "tb-s0")
    lock.__enter__()
    (place.folder / "tb-s0" / "x").touch()
    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    outcome = worker.train_run(place, "tb-s0", ["tb", GRID, *FLAGS])
    assert "in use" in outcome.error
    lock.__exit__()
    assert worker.train_run(place, "tb-s0", ["tb", GRID, *FLAGS, "--no-figures", "--no-progress"]).error is None


def test_a_bug_is_reported_with_its_traceback(place, monkeypatch):
    def broken(words):
        raise KeyError("oops")

    monkeypatch.setattr(worker, "run", broken)
    outcome = worker.train_run(place, "tb-s0", [])
    assert outcome.error == "KeyError: 'oops'"
    assert "Traceback" in outcome.output


def test_without_ray(capsys, monkeypatch):
    monkeypatch.setattr(command, "connected", connected)
    monkeypatch.setitem(sys.modules, "ray", None)
    code, printed = sweep(capsys, "tb")
    assert code == 2
    assert "pip install 'gfn-envs[ray]'" in printed.err


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", ["127.0.0.1:1", "no Ray answers", "refused", "ray start --head"]),
        ("no.such.machine.invalid:6379", ["no.such.machine.invalid", "no Ray answers"]),
        ("somewhere", ["somewhere", "HOST:PORT"]),
        ("ray://127.0.0.1:10001", ["ray://", "HOST:PORT"]),
        ("127.0.0.1:99999999", ["no Ray answers"]),
    ],
)
def test_an_address_without_a_ray(address, words, capsys, monkeypatch, tmp_path):
    pytest.importorskip("ray")
    monkeypatch.setattr(command, "connected", connected)
    code, printed = sweep(capsys, "tb", "--address", address)
    assert code == 2
    (line,) = printed.err.strip().splitlines()
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_another_server_at_the_address(capsys, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(command, "connected", connected)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        _, printed = sweep(capsys, "tb", "--address", f"127.0.0.1:{server.server_port}")
    assert "no Ray answers (another server does)" in printed.err.strip().splitlines()[-1]


def test_an_outcome_is_json():
    assert json.dumps(vars(Outcome(error="x")))


def test_a_grid_takes_every_setting_of_gfn_train(capsys, tmp_path):
    code, printed = sweep(
        capsys, "tb", "--env.conditions", "temperature:0.5,3", "--grid", "agent.condition_by=film,concat"
    )
    assert code == 0, printed.err
    found = [
        runs.read_config(config.parent)["settings"]["condition_by"] for config in tmp_path.glob("all/*/config.json")
    ]
    assert sorted(found) == ["concat", "film"]
    code, printed = sweep(capsys, "tb,random", "--grid", "agent.policy=no_such:policy", "--out", "other")
    assert code == 2
    assert "random runs without agent.policy" in printed.err
    assert "no_such" in printed.err
