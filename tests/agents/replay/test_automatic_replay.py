"""The default of ``replay``: a buffer if rewards are expensive, none otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agents
import gfn_envs
from agents.cli.naming import default_directory
from agents.config import ReplaySettings
from agents.report.facts import Fact, settings_facts
from agents.runs import directory as runs
from agents.runs.compare import group_runs, read_run

WITH_REPLAY = [name for name, agent in agents.AGENTS.items() if issubclass(agent.config_class, ReplaySettings)]


def grid(expensive: bool, **arguments: Any) -> gfn_envs.Dag:
    return gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3, expensive_reward=expensive, **arguments)


def scheme_of(name: str, dag: gfn_envs.Dag, **settings: Any) -> str:
    agent: Any = agents.make_agent(name, dag, hidden=(4,), **settings)
    assert (agent.replay is None) == (agent.config.replay == "none")
    return str(agent.config.replay)


@pytest.mark.parametrize("name", ["tb", "vargrad", "mdb", "gtb", "pcl"])
def test_objects_with_expensive_rewards_are_replayed_unless_the_user_says_otherwise(name: str) -> None:
    assert scheme_of(name, grid(False)) == "none"
    assert scheme_of(name, grid(True)) == scheme_of(name, grid(True), replay="auto") == "prioritized"
    assert scheme_of(name, grid(True), replay="none") == "none"
    assert scheme_of(name, grid(False), replay="fifo") == scheme_of(name, grid(True), replay="fifo") == "fifo"
    assert name in WITH_REPLAY


def test_oracles_are_expensive() -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3)
    gfn_envs.Oracle.of(dag)
    assert scheme_of("tb", dag) == "prioritized"


def test_agents_that_compare_trajectories_with_the_same_condition_do_not_replay() -> None:
    dag = grid(True, conditions="temperature:1,2")
    assert scheme_of("vargrad", dag) == "none"
    assert scheme_of("tb", dag) == "prioritized"


def test_a_buffer_that_is_not_used_may_have_any_batch_size() -> None:
    agents.make_agent("vargrad", grid(False), hidden=(4,), replay_batch_size=1)
    with pytest.raises(ValueError, match="replay_batch_size of at least 2"):
        agents.make_agent("vargrad", grid(True), hidden=(4,), replay_batch_size=1)


def test_the_default_scheme_is_no_part_of_the_name_of_a_run() -> None:
    for expensive, name in [(False, "tb-HyperGrid-v0-s0"), (True, "tb-HyperGrid-v0-24af65-s0")]:
        arguments = {"expensive_reward": expensive}
        agents_of = [agents.make_agent("tb", grid(expensive), **settings) for settings in ({}, {"replay": "auto"})]
        names = {default_directory(agent, "GFN/HyperGrid-v0", arguments).name for agent in agents_of}
        assert names == {name}


def test_a_run_records_the_scheme_in_use(tmp_path: Path) -> None:
    agent = agents.make_agent("tb", grid(True), hidden=(4,), batch_size=4, engine="torch")
    agents.train(agent, 3, tmp_path, progress=False)
    assert runs.read_config(tmp_path)["settings"]["replay"] == "prioritized"
    (group,) = group_runs([read_run(tmp_path)])
    assert Fact("replay", "prioritized", is_default=True) in settings_facts(group)
    again = agents.load_agent(tmp_path)
    assert again.config == agent.config
    assert again.update() == agent.update()
