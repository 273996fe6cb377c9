"""Copies, pickles and agents made at the same time in threads: every agent of the registry."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

import agents
from benchmarks.robustness.small_runs import leaves
from tests.helpers import BAYES_NET, BITS, FRAGMENTS, GRID, SEQUENCE, TINY_ARGUMENTS, agent_or_skip, small_dag

CASES = [GRID, BITS, SEQUENCE, BAYES_NET, FRAGMENTS]


def make(name: str, env_id: str, seed: int = 1, **settings: Any) -> Any:
    dag = small_dag(env_id, TINY_ARGUMENTS[env_id][-1])
    return agent_or_skip(name, dag, seed=seed, hidden=(8,), batch_size=4, **settings)


@pytest.mark.parametrize("env_id", CASES)
@pytest.mark.parametrize("name", agents.AGENTS)
def test_copies_and_pickles_go_on_to_the_bit(name: str, env_id: str) -> None:
    agent = make(name, env_id)
    for _ in range(2):
        copies = [copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))]
        before = leaves(agent.state_dict())
        assert [leaves(other.state_dict()) == before for other in copies] == [True, True]
        expected = agent.update()
        assert [other.update() for other in copies] == [expected, expected]
        after = leaves(agent.state_dict())
        assert [leaves(other.state_dict()) == after for other in copies] == [True, True]


@pytest.mark.parametrize("name", agents.AGENTS)
def test_agents_made_in_threads_are_those_made_alone(name: str) -> None:
    """Neither other threads nor the global random streams change the weights of a seed."""
    make(name, GRID)
    alone = [leaves(make(name, GRID, seed).state_dict()) for seed in range(8)]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: leaves(make(name, GRID, seed).state_dict()), range(8)))
    assert together == alone
    assert torch.equal(torch.get_rng_state(), before)


def test_one_agent_at_a_time_uses_the_global_random_streams() -> None:
    pytest.importorskip("sb3_contrib")
    first, second = make("sb3-dqn", GRID), make("sb3-dqn", GRID)
    entered = threading.Event()

    def enter() -> None:
        with second.seeded():
            entered.set()

    with first.seeded():
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.2)
    thread.join(10)
    assert entered.is_set()


def test_every_agent_is_copied_at_least_once() -> None:
    for name in agents.AGENTS:
        known = {field.name for field in dataclasses.fields(agents.AGENTS[name].config_class)}
        settings = {key: value for key, value in {"hidden": (8,), "batch_size": 4}.items() if key in known}
        made = agents.make_agent(name, small_dag(BAYES_NET, TINY_ARGUMENTS[BAYES_NET][0]), **settings)
        assert isinstance(copy.deepcopy(made), agents.AGENTS[name])
