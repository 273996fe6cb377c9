"""Training with conditions: learned targets, resumed runs, replayed conditions, narrowed ranges."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.conditional import conditional_metrics
from agents.evaluation.evaluate import exact_distribution
from gfn_envs import exact
from tests.helpers import BAG, GRID, small_dag

SMALL = {"ndim": 2, "side": 3}


def agent_on_grid(name: str = "tb", **settings: Any) -> Any:
    dag = gfn_envs.make_dag(GRID, **SMALL, conditions="temperature:0.5,4")
    return agents.make_agent(name, dag, **{"hidden": (32,), "batch_size": 16, "lr": 5e-3, **settings})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tb", {}),
        pytest.param("subtb", {"condition_by": "film"}, marks=pytest.mark.slow),
        pytest.param("vargrad", {}, marks=pytest.mark.slow),
    ],
)
def test_it_learns_conditions_it_has_not_seen(name: str, settings: dict[str, Any]) -> None:
    agent = agent_on_grid(name, **settings)
    before = conditional_metrics(agent, 10)
    for _ in range(300):
        agent.update()
    after = conditional_metrics(agent, 10)
    assert after["mean_tv"] < 0.12 < before["mean_tv"]
    assert after["mean_log_z_error"] < 0.15
    assert after["worst_tv"] == max(after["tv"])
    assert len(after["conditions"]) == 10


def test_metrics_are_those_of_each_condition() -> None:
    agent = agent_on_grid()
    found = conditional_metrics(agent, [[1.0], [3.0]])
    for k, beta in enumerate((1.0, 3.0)):
        at = agent.at([beta])
        assert found["tv"][k] == exact.total_variation(exact_distribution(at), exact.target_distribution(at.dag))
        assert found["log_z_error"][k] == abs(at.log_z - exact.log_partition(at.dag))
    sampled = conditional_metrics(agent, "grid", num_samples=20, exact_states=10)
    assert len(sampled["elbo"]) == 20
    assert "tv" not in sampled


def test_samples_at_a_condition_follow_the_exact_distribution() -> None:
    at = agent_on_grid().at({"beta": 2.0})
    objects = at.sample(4000, np.random.default_rng(0))
    counts = np.bincount(at.dag.terminal_index(objects), minlength=9) / 4000
    np.testing.assert_allclose(counts, exact_distribution(at), atol=0.03)


def test_a_resumed_agent_continues_bit_for_bit() -> None:
    settings: dict[str, Any] = {"replay": "fifo", "local_search": 1, "condition_range": "0.2,1,6", "seed": 4}
    settings |= {"condition_by": "film", "relabel": True}
    agent = agent_on_grid(**settings)
    for _ in range(3):
        agent.update()
    again = agent_on_grid(**settings)
    again.load_state_dict(copy.deepcopy(agent.state_dict()))
    others = [again, copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))]
    for _ in range(3):
        found = agent.update()
        assert all(other.update() == found for other in others)
    for other in others:
        for one, two in zip(agent.modules.parameters(), other.modules.parameters(), strict=True):
            assert torch.equal(one, two)


def test_the_replay_buffer_keeps_conditions() -> None:
    agent = agent_on_grid(replay="fifo", replay_batch_size=8)
    for _ in range(4):
        agent.update()
    objects, log_reward = agent.replay.sample(8, np.random.default_rng(0))
    beta = agent.dag.conditions_of(objects)[:, 0]
    expected = beta * small_dag(GRID, SMALL).log_reward(agent.dag.states_of(objects))
    np.testing.assert_allclose(log_reward, expected, rtol=1e-12)
    assert len(np.unique(beta)) > 4


def test_replayed_objects_follow_the_reward_of_new_conditions() -> None:
    """With all objects in the buffer, those replayed for c are samples of the target of c."""
    dag = gfn_envs.make_dag(GRID, **SMALL, conditions="temperature:values=1,3")
    agent: Any = agents.make_agent("tb", dag, hidden=(8,), replay="uniform", relabel=True)
    objects = dag.base.terminal_states()
    found_at = agent.dag.conditions.sample(len(objects), np.random.default_rng(1))
    agent.replay.add(dag.join(objects, found_at), np.zeros(len(objects)))
    assert len(agent.replay) == 9
    rows, log_reward = agent.replay.sample(6000, np.random.default_rng(0))
    np.testing.assert_allclose(log_reward, dag.log_reward(rows), rtol=1e-12)
    beta, drawn = dag.conditions_of(rows)[:, 0], dag.states_of(rows)
    for condition in (1, 3):
        of_it = dag.base.terminal_index(drawn[beta == condition])
        counts = np.bincount(of_it, minlength=9) / len(of_it)
        np.testing.assert_allclose(counts, exact.target_distribution(dag.at([condition])), atol=0.03)


def test_replayed_conditions_come_from_the_part_of_the_range_that_training_uses() -> None:
    agent = agent_on_grid(condition_range="0.2", replay="fifo", relabel=True, replay_batch_size=50)
    agent.update()
    batch = agent.replayed_batch(agent.replay)
    assert len(batch) == 50
    assert agent.conditions_of(batch).max() <= 0.5 + 0.2 * 3.5
    assert agent.dag.share == 1


def test_training_draws_from_a_growing_part_of_the_range() -> None:
    agent = agent_on_grid(condition_range="0,1,4", batch_size=64)
    widest = []
    for _ in range(5):
        agent.update()
        widest.append(agent.conditions_of(agent.last_batch).max())
    assert widest[0] == 0.5
    assert widest[2] <= 0.5 + 3.5 / 2
    assert widest[4] > 3.5
    assert agent.conditions_of(agent.sample_trajectories(64)).max() > 3.5


def test_the_same_condition_for_several_trajectories() -> None:
    agent = agent_on_grid("vargrad", per_condition=8)
    agent.update()
    conditions = agent.conditions_of(agent.last_batch)[:, 0].reshape(2, 8)
    assert (conditions == conditions[:, :1]).all()
    assert conditions[0, 0] != conditions[1, 0]


def test_wide_rewards_are_tempered_but_not_their_trend_over_conditions() -> None:
    """log R is -1000 everywhere, so beta log R differs by thousands of nats between conditions, and not within one."""

    def flat(cells: np.ndarray) -> np.ndarray:
        return np.exp(-600 - (cells == 0).all(1) * 0.5)

    def steep(cells: np.ndarray) -> np.ndarray:
        return np.exp(-40.0 * cells.sum(1))

    for reward, tempers in ((flat, False), (steep, True)):
        dag = gfn_envs.make_dag(GRID, **SMALL, reward=reward)
        agent: Any = agents.make_agent("tb", dag, conditions="temperature:0.5,8", batch_size=64, hidden=(16,))
        agent.update()
        assert (agent.beta < 1) == tempers
        relabels: Any = agents.make_agent("tb", agent.dag, batch_size=64, hidden=(16,), replay="fifo", relabel=True)
        relabels.update()
        assert relabels.beta == 1
    assert abs(agent.log_z_at([4.0])[0]) < 200


def test_agents_on_one_environment_draw_conditions_each_in_its_way() -> None:
    dag: Any = gfn_envs.make_dag(GRID, **SMALL, conditions="temperature:0.5,4")
    several, single = (agents.make_agent(name, dag, hidden=(8,), batch_size=8) for name in ("vargrad", "tb"))
    for agent, number in ((several, 2), (single, 8), (several, 2)):
        agent.update()
        assert len(np.unique(agent.conditions_of(agent.last_batch))) == number
    assert len(np.unique(dag.conditions_of(dag.start(8, np.random.default_rng(0))))) == 8


def test_objects_with_different_paths() -> None:
    dag = small_dag(BAG, {"num_letters": 3, "capacity": 4, "repeats": 2})
    agent: Any = agents.make_agent("db", dag, conditions="temperature:values=1,2", hidden=(8,), backward="maxent")
    agent.update()
    assert conditional_metrics(agent)["conditions"] == [[1.0], [2.0]]


@pytest.mark.parametrize("by", ["concat", "film"])
def test_state_flows_start_at_the_trend_of_rewards_over_conditions(by: str) -> None:
    """log R = -100 beta everywhere, and log Z(beta) = log 9 - 100 beta."""
    dag = gfn_envs.make_dag(GRID, **SMALL, reward=lambda cells: np.full(len(cells), np.exp(-100.0)))
    agent: Any = agents.make_agent("subtb", dag, conditions="temperature:0.5,8", condition_by=by, lr=1e-4)
    agent.update()
    betas = np.array([[0.5], [4.0], [8.0]])
    np.testing.assert_allclose(agent.log_z_at(betas), -100 * betas[:, 0], atol=6)


@pytest.mark.parametrize("name", ["sac", "tb", "soft-dqn", "ppo"])
def test_metrics_of_every_condition(name: str) -> None:
    """Also of agents with further networks, such as critics."""
    agent = agent_on_grid(name)
    agent.update()
    assert np.isfinite(conditional_metrics(agent, 3)["mean_tv"])
    fixed = agent.at([2.0])
    if name == "sac":
        rows = agent.dag.join(fixed.dag.source(1), np.float32([[2.0]]))
        q = [critic(rows).forward_logits for critic in agent.critics]
        legal = torch.from_numpy(agent.dag.forward_mask(rows))
        expected = torch.minimum(*q).masked_fill(~legal, -torch.inf).logsumexp(1).item()
        assert fixed.log_z == pytest.approx(expected, abs=1e-5)
