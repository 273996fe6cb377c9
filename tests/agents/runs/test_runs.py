"""Run directories: resume bit for bit, crashes, damaged and hostile files, the command line."""

import json
import os
import pickle
import signal
import subprocess
import time

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.cli import main as cli
from agents.plots import figures as plots
from agents.runs import directory as runs
from agents.runs.interrupt import Interrupt
from tests import forks
from tests.agents.runs.damage import assert_same_run
from tests.helpers import TINY, agent_cases, agent_or_skip, small_dag

GRID = "GFN/HyperGrid-v0"
SETTINGS = {"hidden": (16,), "batch_size": 4, "epsilon": "0.5,0,20"}


def make(name="tb", env_id=GRID, kwargs=None, **settings):
    dag = small_dag(env_id, kwargs or {"ndim": 2, "side": 4})
    return agent_or_skip(name, dag, seed=1, **{**SETTINGS, **settings})


@pytest.mark.parametrize(("name", "env_id", "kwargs"), agent_cases())
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, name, env_id, kwargs):
    every = {"log_every": 3, "eval_every": 10, "checkpoint_every": 7, "progress": False}
    agents.train(make(name, env_id, kwargs), 30, tmp_path / "whole", **every)
    interrupted = make(name, env_id, kwargs)
    update, calls = interrupted.update, []

    def failing_update():
        calls.append(1)
        if len(calls) == 18:
            raise RuntimeError("power cut")
        return update()

    interrupted.update = failing_update
    with pytest.raises(RuntimeError, match="power cut"):
        agents.train(interrupted, 30, tmp_path / "parts", **every)
    assert len(runs.read_history(tmp_path / "parts")) > 0
    agents.train(make(name, env_id, kwargs), 30, tmp_path / "parts", resume=True, **every)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal: where the tests run in the background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("where", ["step", "evaluate"])
def test_ctrl_c_stops_between_iterations_and_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, where):
    every = {"log_every": 3, "eval_every": 10, "checkpoint_every": 20, "progress": False}
    settings = {"replay": "prioritized", "replay_batch_size": 4}  # two gradient steps per iteration
    agents.train(make(**settings), 20, tmp_path / "whole", **every)
    agent, owner = make(**settings), agents.runs.evaluations
    if where == "step":
        owner = agent.engine
    function, calls = getattr(owner, where), []

    def interrupted(*arguments, **kwargs):
        calls.append(1)
        if len(calls) == {"step": 18, "evaluate": 2}[where]:  # evaluate: of iteration 10; one counts states first
            os.kill(os.getpid(), signal.SIGINT)
        return function(*arguments, **kwargs)

    monkeypatch.setattr(owner, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        agents.train(agent, 20, tmp_path / "parts", **every)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert agents.load_agent(tmp_path / "parts").iteration == agent.iteration == {"step": 9, "evaluate": 10}[where]
    monkeypatch.undo()
    agents.train(make(**settings), 20, tmp_path / "parts", resume=True, **every)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_previous_handler_of_ctrl_c_is_restored(before):
    signal.signal(signal.SIGINT, before)
    interrupt = Interrupt()
    os.kill(os.getpid(), signal.SIGINT)
    assert interrupt.requested == (before is not signal.SIG_IGN)
    interrupt.restore()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_stops_at_once():
    interrupt = Interrupt()
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        interrupt.restore()


def test_a_run_stopped_in_its_last_evaluation_is_evaluated_when_resumed(tmp_path, monkeypatch):
    every = {"eval_every": 5, "checkpoint_every": 10, "progress": False}
    agents.train(make(), 10, tmp_path / "whole", **every)
    save, evaluate, calls = runs.save_checkpoint, agents.runs.evaluations.evaluate, []

    def killed(*arguments, **kwargs):
        calls.append(1)
        if len(calls) == 3:  # of iteration 10; one counts states first
            save(tmp_path / "parts", agent, {**progress, "history": None})
            raise RuntimeError("killed")
        return evaluate(*arguments, **kwargs)

    def noted(out, agent, state):
        progress.update(state)
        save(out, agent, state)

    agent, progress = make(), {}
    monkeypatch.setattr(agents.runs.evaluations, "evaluate", killed)
    monkeypatch.setattr(runs, "save_checkpoint", noted)
    with pytest.raises(RuntimeError, match="killed"):
        agents.train(agent, 10, tmp_path / "parts", **{**every, "checkpoint_every": 5})
    monkeypatch.undo()
    agents.train(make(), 10, tmp_path / "parts", resume=True, **every)
    assert runs.read_json(tmp_path / "parts" / runs.METRICS)["iteration"] == 10


def test_speed_counts_the_iterations_of_this_run_alone(tmp_path):
    agent = make()
    agents.train(agent, 15, progress=False)
    agents.train(agent, 20, tmp_path, progress=False)
    metrics = runs.read_json(tmp_path / runs.METRICS)
    assert metrics["iterations_per_second"] * metrics["seconds"] == pytest.approx(5)


def test_a_run_with_a_network_of_the_users_own(tmp_path):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    own = agents.make_agent("tb", dag, hidden=(9,), seed=3).policy
    agent = agents.make_agent("tb", dag, policy=own)
    agents.train(agent, 3, tmp_path, progress=False)
    with pytest.raises(agents.RunError, match=r"network of the user's own, .*StateActionPolicy: .*policy="):
        agents.load_agent(tmp_path)
    again = agents.load_agent(tmp_path, policy=agents.make_agent("tb", dag, hidden=(9,)).policy)
    assert agents.exact_distribution(again).tolist() == agents.exact_distribution(agent).tolist()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_device(tmp_path, capsys):
    agents.train(make(), 3, tmp_path, progress=False)
    config = runs.read_json(tmp_path / runs.CONFIG)
    runs.write_sealed(tmp_path / runs.CONFIG, config | {"settings": config["settings"] | {"device": "cuda"}})
    with pytest.raises(agents.RunError, match="device 'cuda' cannot be used here"):
        agents.load_agent(tmp_path)
    assert agents.load_agent(tmp_path, device="cpu").iteration == 3
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", "tb", GRID, "--agent.device", "cuda", "--out", str(tmp_path / "new")])
    assert caught.value.code == 2
    assert "device 'cuda' cannot be used here" in capsys.readouterr().err


def gfn(*arguments, **kwargs):
    command = [forks.python(), "-m", "agents", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **kwargs)


def test_killed_in_the_middle_then_resumed_on_the_command_line(tmp_path):
    flags = ["train", "tb", GRID, "--env.ndim", 2, "--env.side", 4, "--agent.hidden", 16, "--iterations", 600]
    flags += ["--checkpoint-every", 20, "--eval-every", 300, "--no-progress", "--no-figures", "--out"]
    assert gfn(*flags, tmp_path / "whole").returncode == 0
    command = [forks.python(), "-m", "agents", *map(str, flags), str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint, deadline = tmp_path / "killed" / runs.CHECKPOINT, time.monotonic() + 60
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    saved = torch.load(checkpoint, weights_only=True)["agent"]["iteration"]
    assert 0 < saved < 600
    resumed = gfn(*flags, tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_run_holds_metrics_figures_and_events(tmp_path, capsys):
    result = gfn(
        *("train", "tb", GRID, "--env.ndim", 2, "--env.side", 4, "--agent.hidden", 16, "--iterations", 40),
        *("--seed", 3, "--out", tmp_path / "run", "--tensorboard"),
    )
    assert result.returncode == 0, result.stderr
    assert "it/s" in result.stderr
    assert "tv=" in result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    named = ["tv", "jsd", "l1_mean", "log_z", "log_z_error", "mean_reward_error", "iterations_per_second"]
    assert all(np.isfinite(metrics[key]) for key in [*named, "transitions_per_second"])
    assert metrics["seed"] == 3
    for figure in ("learned_against_target", "training"):
        assert (tmp_path / "run" / "figures" / f"{figure}.png").stat().st_size > 5000
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    evaluated = json.loads(gfn("evaluate", tmp_path / "run", "--json").stdout)
    assert evaluated["tv"] == metrics["tv"]
    assert cli.run(["evaluate", str(tmp_path / "run")]) == 0
    assert "total variation" in capsys.readouterr().out
    assert cli.run(["plot", str(tmp_path / "run")]) == 0
    loaded = agents.load_agent(tmp_path / "run")
    assert loaded.iteration == 40
    assert agents.evaluate(loaded)["tv"] == metrics["tv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "train"]),
        (["train"], ["agent", "environment"]),
        (["train", "tbb", GRID], ["tbb", "tb"]),
        (["train", "tb", "GFN/HyperGird-v0"], ["HyperGird", GRID]),
        (["train", "tb", GRID, "--iteratons", "5"], ["--iteratons", "--iterations"]),
        (["train", "tb", GRID, "--env.sides", "5"], ["--env.sides", "--env.side"]),
        (["train", "tb", GRID, "--iterations", "many"], ["--iterations", "many"]),
        (["train", "tb", GRID, "--iterations", "0"], ["iterations", "0"]),
        (["train", "tb", GRID, "--env.side", "1"], ["side", "1"]),
        (["train", "tb", GRID, "--env.reward", "gold"], ["gold", "standard"]),
        (["train", "tb", GRID, "--agent.backward", "both"], ["both", "learned", "uniform"]),
        (["train", "tb", GRID, "--agent.lr", "fast"], ["fast", "--agent.lr"]),
        (["train", "tb", GRID, "--agent.device", "gpu"], ["gpu"]),
        (["evaluate", "nowhere"], ["nowhere", "config.json"]),
        (["evaluate"], ["Run directory"]),
        (["plot", "nowhere"], ["nowhere"]),
        (["check", "GFN/None-v0"], ["GFN/None-v0"]),
        (["envs", "--verbose"], ["--verbose"]),
    ],
)
def test_mistakes_on_the_command_line_are_one_line_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    message = capsys.readouterr().err.strip()
    assert stop.value.code == 2
    assert len(message.splitlines()) == 1, message
    assert all(word in message for word in words), message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "--help"], ["train", "tb", GRID, "--help"]])
def test_help_teaches(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 0
    assert "train" in capsys.readouterr().out


def test_lists_name_everything(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("envs", "agents"):
        with pytest.raises(SystemExit):
            cli.main([command])
    printed = capsys.readouterr().out
    assert all(name in printed for name in [*gfn_envs.registered_ids(), *agents.AGENTS])


def test_a_run_is_not_overwritten(tmp_path):
    agents.train(make(), 5, tmp_path, progress=False)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(agents.RunError, match="already holds a run"):
        agents.train(make(), 5, tmp_path, progress=False)
    with pytest.raises(agents.RunError, match=r"batch_size 4 != 5"):
        agents.train(make(batch_size=5), 10, tmp_path, progress=False, resume=True)
    with pytest.raises(agents.RunError, match=r"side 4 != 5"):
        agents.train(make(kwargs={"ndim": 2, "side": 5}), 10, tmp_path, progress=False, resume=True)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize("ahead", [0, 7])
def test_an_agent_with_no_iteration_left_is_evaluated_into_a_new_run(tmp_path, ahead):
    agent = make()
    agents.train(agent, 5 + ahead, tmp_path / "first", progress=False)
    history = agents.train(agent, 5, tmp_path / "second", progress=False)
    assert [row["iteration"] for row in history] == [5 + ahead]
    assert history[0]["loss"] is None
    assert runs.read_history(tmp_path / "second") == history
    metrics = runs.read_json(tmp_path / "second" / runs.METRICS)
    assert metrics["tv"] == agents.evaluate(agent)["tv"]
    assert metrics["iterations_per_second"] is None
    assert agents.load_agent(tmp_path / "second").iteration == 5 + ahead
    assert len(agents.train(make(), 5, tmp_path / "second", progress=False, resume=True)) == 1
    assert plots.training_curves(history).axes


class Exploit:
    def __reduce__(self):
        return (os.system, ("touch executed",))


@pytest.mark.parametrize("damage", ["hostile", "truncated", "empty", "missing"])
def test_bad_checkpoints_are_refused_and_nothing_is_executed(tmp_path, monkeypatch, damage):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    agents.train(make(), 5, run, progress=False)
    path = run / runs.CHECKPOINT
    if damage == "hostile":
        torch.save({"agent": Exploit(), "progress": {}}, path, pickle_module=pickle)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 100 if damage == "truncated" else 0])
    with pytest.raises(agents.RunError, match=r"checkpoint\.pt"):
        agents.load_agent(run)
    assert not (tmp_path / "executed").exists()


def test_a_damaged_config_is_named(tmp_path):
    agents.train(make(), 5, tmp_path, progress=False)
    (tmp_path / runs.CONFIG).write_text("{")
    with pytest.raises(agents.RunError, match=r"config\.json is damaged"):
        agents.load_agent(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file):
        file.write(b"half of the new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        runs.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_callable_reward_needs_the_environment_to_reload(tmp_path):
    dag = gfn_envs.make_dag(GRID, ndim=1, side=4, reward=lambda cells: 1.0 + cells.sum(1))
    agent = agents.make_agent("tb", dag, hidden=(8,))
    agents.train(agent, 3, tmp_path, progress=False)
    with pytest.raises(agents.RunError, match="dag="):
        agents.load_agent(tmp_path)
    assert agents.load_agent(tmp_path, dag).iteration == 3


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        *TINY[::4],
        pytest.param(GRID, {"ndim": 4, "side": 4}, id="4-D"),
        pytest.param(GRID, {"ndim": 1, "side": 150}, id="1-D"),
        pytest.param("GFN/BitSequence-v0", {}, id="huge"),
    ],
)
def test_figures(tmp_path, env_id, kwargs):
    agent = agents.make_agent("tb", small_dag(env_id, kwargs), hidden=(8,))
    figure = plots.learned_against_target(agent, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert figure.axes
    history = [{"iteration": i, "loss": 1.0 / i, "log_z": 0.1 * i} for i in range(1, 5)]
    assert len(plots.training_curves(history, tmp_path / "b.png").axes) == 2
