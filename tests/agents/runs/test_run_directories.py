"""Run directories: nothing is overwritten, nothing is left of what never began, checkpoints are finite."""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.cli import main as cli
from agents.runs import directory as runs
from agents.runs import evaluations
from gfn_envs.envs.strings import qm9_str
from tests.helpers import small_dag

GRID = "GFN/HyperGrid-v0"
FLAGS = ["--env.ndim", "2", "--env.side", "4", "--agent.hidden", "16", "--no-progress", "--no-figures"]


def make(**settings):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    return agents.make_agent("tb", dag, seed=1, **{"hidden": (16,), "batch_size": 4, **settings})


def train(agent, iterations, out, **options):
    return agents.train(agent, iterations, out, **{"progress": False, **options})


def content(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


# ---------------------------------------------------------------------- nothing is overwritten


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("kept", [runs.HISTORY, runs.METRICS, runs.CHECKPOINT])
def test_files_of_a_run_without_its_config_are_not_overwritten(tmp_path, kept, resume):
    train(make(), 5, tmp_path)
    for path in list(tmp_path.iterdir()):
        if path.name != kept:
            path.unlink()
    before = content(tmp_path)
    with pytest.raises(agents.RunError, match=rf"{kept} but no config\.json"):
        train(make(), 5, tmp_path, resume=resume)
    assert content(tmp_path) == before


def test_a_run_without_its_checkpoint_does_not_restart(tmp_path):
    train(make(), 5, tmp_path)
    (tmp_path / runs.CHECKPOINT).unlink()
    before = content(tmp_path)
    with pytest.raises(agents.RunError, match=r"iteration 5 .*checkpoint\.pt"):
        train(make(), 10, tmp_path, resume=True)
    assert content(tmp_path) == before


def metrics(out):
    """The rows of a run, but for what depends on the clock."""
    return [{k: v for k, v in row.items() if "second" not in k} for row in runs.read_history(out)]


@pytest.mark.parametrize("log_every", [1, 2, 10])
@pytest.mark.parametrize("stop", [1, 2, 3, 7])
def test_a_run_killed_before_its_first_regular_checkpoint_continues(tmp_path, stop, log_every):
    every = {"log_every": log_every, "eval_every": 10}
    train(make(), 10, tmp_path / "whole", **every)
    agent = make()
    update = agent.update

    def failing_update():
        if agent.iteration == stop:
            raise RuntimeError("power cut")
        return update()

    agent.update = failing_update
    with pytest.raises(RuntimeError, match="power cut"):
        train(agent, 10, tmp_path / "killed", **every)
    train(make(), 10, tmp_path / "killed", resume=True, **every)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")


def test_a_run_killed_between_its_first_row_and_its_first_checkpoint_restarts(tmp_path):
    train(make(), 1, tmp_path / "whole")
    train(make(), 1, tmp_path / "killed")
    for name in (runs.CHECKPOINT, runs.METRICS):
        (tmp_path / "killed" / name).unlink()
    train(make(), 1, tmp_path / "killed", resume=True)
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "whole")


def test_only_the_last_line_of_a_history_may_be_cut_short(tmp_path):
    train(make(), 4, tmp_path, log_every=1)
    path, rows = tmp_path / runs.HISTORY, runs.read_history(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:20]]))
    assert runs.read_history(tmp_path) == rows[:-1]
    path.write_text("\n".join([lines[0], lines[1][:20], *lines[2:]]))
    before = content(tmp_path)
    with pytest.raises(agents.RunError, match=r"metrics\.jsonl, line 2 is damaged"):
        train(make(), 8, tmp_path, resume=True)
    assert content(tmp_path) == before


def test_a_config_stays_where_its_checkpoint_cannot_be_loaded(tmp_path):
    train(make(), 5, tmp_path)
    (tmp_path / runs.CHECKPOINT).write_bytes(b"damaged")
    before = content(tmp_path)
    with pytest.raises(agents.RunError, match=r"checkpoint\.pt cannot be loaded"):
        train(make(), 99, tmp_path, resume=True)
    assert content(tmp_path) == before


@pytest.mark.parametrize("progress", [{"x": 1}, [], None])
def test_a_checkpoint_of_another_loop_is_refused(tmp_path, progress):
    train(make(), 5, tmp_path)
    runs.save_checkpoint(tmp_path, make(), progress)
    before = content(tmp_path)
    with pytest.raises(agents.RunError, match=r"checkpoint\.pt .*progress"):
        train(make(), 10, tmp_path, resume=True)
    assert content(tmp_path) == before


def test_a_resumed_run_says_how_many_iterations_it_is_to_have(tmp_path):
    train(make(), 5, tmp_path)
    train(make(), 8, tmp_path, resume=True)
    assert runs.read_json(tmp_path / runs.CONFIG)["iterations"] == 8
    train(make(), 6, tmp_path, resume=True)
    assert runs.read_json(tmp_path / runs.CONFIG)["iterations"] == 6
    assert runs.read_json(tmp_path / runs.METRICS)["iteration"] == 8


# ---------------------------------------------------------------------- nothing is left of what never began


def test_a_run_whose_data_are_missing_leaves_nothing(tmp_path, capsys, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("GFN_ENVS_DATA", str(tmp_path / "empty"))
    monkeypatch.setattr(gfn_envs.data.registry, "cache_dir", lambda: tmp_path / "cache")
    qm9_str._published.cache_clear()  # Another test may have read them.
    command = ["train", "tb", "GFN/QM9Str-v0", *FLAGS[4:], "--iterations", 2, "--out", tmp_path / "run"]
    code, printed = gfn(capsys, *command, "--tensorboard")
    assert code == 2
    assert len(printed.err.strip().splitlines()) == 1
    assert "qm9" in printed.err
    assert content(tmp_path) == {"empty": False}


def test_an_iteration_that_fails_at_first_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluations, "is_enumerable", lambda *_: False)
    agent = make()
    monkeypatch.setattr(type(agent.dag), "log_reward", missing_data)
    with pytest.raises(gfn_envs.data.registry.DatasetError):
        train(agent, 5, tmp_path / "run", tensorboard=True)
    assert not content(tmp_path)


def missing_data(self, states):
    raise gfn_envs.data.registry.DatasetError("the data are missing")


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_file_is_not_a_run_directory(tmp_path, capsys, name):
    (tmp_path / "file").write_text("mine")
    code, printed = gfn(capsys, "train", "tb", GRID, *FLAGS, "--iterations", 2, "--out", tmp_path / name)
    assert code == 2
    assert len(printed.err.strip().splitlines()) == 1
    assert str(tmp_path / name) in printed.err
    assert content(tmp_path) == {"file": b"mine"}


# ---------------------------------------------------------------------- checkpoints are finite


def test_a_learning_rate_that_makes_weights_infinite_leaves_the_last_good_checkpoint(tmp_path):
    agent = make(lr="0.001,1e39,1")  # of iterations 0 and 1
    with pytest.raises(FloatingPointError, match=r"iteration 2.*not saved"):
        train(agent, 10, tmp_path, checkpoint_every=1, eval_every=10)
    assert not all(torch.isfinite(weight).all() for weight in agent.policy.parameters())
    loaded = agents.load_agent(tmp_path)
    assert loaded.iteration == 1
    assert np.isfinite(agents.evaluate(loaded)["tv"])


@pytest.mark.parametrize("where", ["policy", "log_z_parameter"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_run_goes_on_from_the_checkpoint_before_its_weights_were_spoiled(tmp_path, where, value):
    every = {"log_every": 3, "eval_every": 20, "checkpoint_every": 5}
    train(make(), 20, tmp_path / "whole", **every)
    agent = make()
    update = agent.update

    def spoiling_update():
        info = update()
        if agent.iteration == 10:
            spoiled = agent.log_z_parameter if where == "log_z_parameter" else next(agent.policy.parameters())
            spoiled.data.view(-1)[0] = value
        return info

    agent.update = spoiling_update
    with pytest.raises(FloatingPointError, match="iteration 10"):
        train(agent, 20, tmp_path / "parts", **every)
    assert torch.load(tmp_path / "parts" / runs.CHECKPOINT, weights_only=True)["agent"]["iteration"] == 5
    train(make(), 20, tmp_path / "parts", resume=True, **every)
    whole, parts = (runs.read_json(tmp_path / name / runs.METRICS) for name in ("whole", "parts"))
    assert parts["tv"] == whole["tv"]
    assert [row["iteration"] for row in runs.read_history(tmp_path / "parts")] == [3, 6, 9, 12, 15, 18, 20]


def test_all_networks_of_an_agent_are_checked(tmp_path):
    agent = agents.make_agent("sac", small_dag(GRID, {"ndim": 2, "side": 4}), hidden=(8,))
    next(agent.critics.parameters()).data.view(-1)[0] = float("nan")
    with pytest.raises(FloatingPointError, match="not saved"):
        runs.save_checkpoint(tmp_path, agent, {})
    assert not content(tmp_path)
