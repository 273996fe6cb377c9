"""Runs that version 0.1 saved load, evaluate as they did, and continue."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import agents
from agents.runs import directory as runs
from agents.runs.compare import group_runs, read_run
from agents.runs.legacy import DEFAULTS, NEWER, present_settings

SAVED = Path(__file__).parent / "saved_by_0_1"
NAMES = sorted(path.name for path in SAVED.iterdir() if path.is_dir())
#: Exact metrics of a policy, and those of an agent that samples without one.
METRICS = ("tv", "kl", "mean_reward", "log_z", "empirical_tv")


def config_of(name):
    return json.loads((SAVED / name / "config.json").read_text())


def final_metrics(name):
    return json.loads((SAVED / name / "metrics.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_agent_has_the_metrics_that_were_saved(name):
    agent = agents.load_agent(SAVED / name)
    assert agent.iteration == 6
    assert agent.name == config_of(name)["agent"]
    found, saved = agents.evaluate(agent, 10), final_metrics(name)
    assert [key for key in METRICS if found.get(key) is None] == [key for key in METRICS if saved.get(key) is None]
    expected = {key: saved[key] for key in METRICS if saved.get(key) is not None}
    assert expected
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_run_continues(name, tmp_path):
    shutil.copytree(SAVED / name, tmp_path / "run")
    config = runs.read_config(tmp_path / "run")
    dag = agents.load_agent(tmp_path / "run").dag
    agent = agents.make_agent(config["agent"], dag, config["seed"], **config["settings"])
    history = agents.train(agent, 9, tmp_path / "run", progress=False, resume=True)
    assert agent.iteration == 9
    assert [row["iteration"] for row in history][:2] == [3, 6]
    assert history[-1]["iteration"] == 9
    assert history[-1]["transitions"] > final_metrics(name)["transitions"]
    assert np.isfinite(history[-1]["loss"])
    again = agents.load_agent(tmp_path / "run")
    assert again.iteration == 9
    assert runs.settings_of(again.config) == runs.settings_of(agent.config)
    assert read_run(tmp_path / "run").finished


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_adam_are_restored(name):
    agent = agents.load_agent(SAVED / name)
    steps = [float(state["step"]) for state in agent.optimizer.state.values() if "step" in state]
    assert all(step >= 1 for step in steps)
    if any(parameter.requires_grad for parameter in agent.policy.parameters()) and agent.name not in ("random", "mcmc"):
        assert steps


def test_compiled_became_an_engine():
    assert runs.read_config(SAVED / "vargrad_compiled")["settings"]["engine"] == "numba"
    assert runs.read_config(SAVED / "tb")["settings"]["engine"] == "torch"
    assert "compiled" not in runs.read_config(SAVED / "ppo")["settings"]


def test_another_setting_is_named(tmp_path):
    shutil.copytree(SAVED / "tb", tmp_path / "run")
    config = runs.read_config(SAVED / "tb")
    agent = agents.make_agent("tb", agents.load_agent(SAVED / "tb").dag, 1, **{**config["settings"], "lr": 0.5})
    with pytest.raises(runs.RunError, match=r"lr '0.001' != '0.5'"):
        agents.train(agent, 9, tmp_path / "run", progress=False, resume=True)


def test_settings_without_a_use_are_dropped_only_with_their_old_defaults():
    assert present_settings("random", {**DEFAULTS, "batch_size": 4, "device": "cpu"}) == {
        "batch_size": 4,
        "device": "cpu",
    }
    assert present_settings("random", {"lr": "0.5"}) == {"lr": "0.5"}
    assert present_settings("gtb", {"backward": "learned"}) == NEWER
    assert present_settings("gtb", {"backward": "uniform"}) == {"backward": "uniform", **NEWER}
    own = {"beta": None, "track_log_z": True}
    assert present_settings("gtb", own) == {**NEWER, **own}
    assert present_settings("an agent of my own", {"compiled": False}) == {"compiled": False}


def test_a_setting_that_no_longer_exists_is_an_error_if_it_was_set(tmp_path):
    shutil.copytree(SAVED / "random", tmp_path / "run")
    config = config_of("random")
    config["settings"]["lr"] = "0.5"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(runs.RunError, match="'random' has no setting lr"):
        agents.load_agent(tmp_path / "run")


def test_saved_runs_are_compared():
    groups = group_runs(read_run(SAVED / name) for name in ("tb", "tb_replay_local_search", "subtb"))
    assert len(groups) == 3
