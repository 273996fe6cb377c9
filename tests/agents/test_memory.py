"""Much memory is announced, and calls are split if possible."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import agents
import gfn_envs
from agents import agent as agent_module
from agents import memory
from agents.evaluation import estimates
from agents.evaluation import evaluate as evaluation
from agents.replay.objects import ReplayBuffer
from agents.replay.transitions import PrioritizedTransitions
from gfn_envs import row_cache
from gfn_envs.row_cache import RowCache


def grid(ndim=2, side=6):
    return gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=side)


def small_agent(**settings):
    return agents.make_agent("tb", grid(), hidden=(8,), **settings)


TAKERS = {
    "a replay buffer of 500 objects": lambda: ReplayBuffer(grid(), 500),
    "a replay buffer of 400 transitions": lambda: PrioritizedTransitions(grid(), 400),
    "a training batch of 16 trajectories with up to 11 steps": lambda: agents.train(small_agent(), 1, progress=False),
}


@pytest.mark.parametrize("what", TAKERS)
def test_what_takes_much_memory_says_so_first(what, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING, "agents.memory"):
        TAKERS[what]()
        assert not caplog.records
        monkeypatch.setattr(memory, "MUCH", 2**14)
        TAKERS[what]()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{what}: up to ")


def test_an_unusual_default_is_reported(caplog):
    """Rows of 11,025 spins: the default buffer of 100,000 objects takes more than 2 GiB."""
    dag = gfn_envs.make_dag("GFN/Ising-v0", side=105)
    with caplog.at_level(logging.WARNING, "agents.memory"):
        ReplayBuffer(dag)
    assert caplog.records[0].getMessage() == "a replay buffer of 100,000 objects: up to 2.23 GB"


def test_samples_of_an_evaluation_are_drawn_in_parts(monkeypatch):
    agent = small_agent()
    whole = evaluation.sampled_metrics(agent, 300, seed=1)
    sizes, sample = [], agent.sample_trajectories
    monkeypatch.setattr(agent, "sample_trajectories", lambda n, **kw: sizes.append(n) or sample(n, **kw))
    monkeypatch.setattr(estimates, "trajectories_per_part", lambda agent: 70)
    parts = evaluation.sampled_metrics(agent, 300, seed=1)
    assert sizes == [70, 70, 70, 70, 20]
    assert parts["elbo"] == pytest.approx(whole["elbo"], abs=5 * (whole["elbo_se"] + parts["elbo_se"]))
    assert parts["elbo_se"] == pytest.approx(whole["elbo_se"], rel=0.3)
    assert agents.full_evaluation(agent, 300)["distinct_objects"] > 10


def test_objects_are_sampled_in_parts_if_trajectories_are_long(monkeypatch):
    agent, sizes = small_agent(), []
    sample = agent.sample_trajectories
    monkeypatch.setattr(agent, "sample_trajectories", lambda n, **kw: sizes.append(n) or sample(n, **kw))
    monkeypatch.setattr(agent_module, "trajectories_per_part", lambda agent: 40)
    assert agent.sample(100, np.random.default_rng(0)).shape == (100, agent.dag.state_width)
    assert sizes == [40, 40, 20]
    assert agent.sample(0).shape == (0, agent.dag.state_width)


def test_parts_are_small_if_trajectories_are_long():
    assert memory.trajectories_per_part(small_agent()) > 10**5
    ising = agents.make_agent("random", gfn_envs.make_dag("GFN/Ising-v0", side=100))
    assert memory.trajectories_per_part(ising) == 2


def test_a_causal_transformer_evaluates_each_token_of_a_trajectory_once():
    """240 words of a bit. A network of all tokens would evaluate 240 states of 240 tokens."""
    dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=240, word_size=1)
    causal = agents.make_agent("tb", dag, network="transformer", width=64, layers=3, heads=8)
    assert memory.numbers_per_trajectory(causal) < 1.1 * memory.numbers_per_state(causal)
    assert 20 < memory.trajectories_per_call(causal) < 40
    assert memory.trajectories_per_part(causal) == 2**27 // (2 * 3 * 64 * 241)
    small = {"network": "transformer", "width": 8, "heads": 1}
    children = agents.make_agent("tb", dag, form="ssr", **small)  # Relative edge flows evaluate children of each state.
    dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=240, word_size=1, construction="non_autoregressive")
    for agent in (children, agents.make_agent("tb", dag, **small)):
        assert memory.trajectories_per_call(agent) == 1


@pytest.mark.parametrize("settings", [{}, {"form": "ssr"}, {"network": "transformer", "width": 8, "heads": 2}])
def test_networks_evaluate_as_many_states_as_memory_allows(settings, monkeypatch):
    agent = small_agent(**settings)
    expected = evaluation.exact_distribution(agent)
    calls, probabilities = [], agent.probabilities
    monkeypatch.setattr(agent, "probabilities", lambda states: calls.append(len(states)) or probabilities(states))
    monkeypatch.setattr(memory, "CALL_NUMBERS", 5 * memory.numbers_per_state(agent))
    np.testing.assert_allclose(evaluation.exact_distribution(agent), expected, rtol=1e-5)
    assert max(calls) == 5
    per_state = memory.numbers_per_state(agent)
    assert per_state >= agent.dag.num_actions * (agent.dag.num_actions if settings.get("form") == "ssr" else 1)


def test_a_cache_of_wide_rows_keeps_fewer_of_them(monkeypatch):
    cache = RowCache(lambda rows: rows[:, 0].astype(np.float64), max_rows=50)
    rows = np.arange(60)[:, None] * np.ones((1, 100), np.int64)
    monkeypatch.setattr(row_cache, "MAX_BYTES", 10 * (800 + row_cache.ENTRY_BYTES))
    np.testing.assert_array_equal(cache(rows), np.arange(60))
    assert len(cache._known) == 10
    monkeypatch.undo()
    cache(rows)
    assert len(cache._known) == 50
