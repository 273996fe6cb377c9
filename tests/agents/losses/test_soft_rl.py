"""Maximum-entropy RL on ``reward_mode="soft"`` is a GFlowNet: exactly, on every registered environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from gfn_envs.gym import Stepper
from tests.helpers import BAG, GRID, SMALL, TINY, UNEVEN_EDGES, TableDag, small_dag


def rewards_paid(dag: Any, reward_mode: str) -> np.ndarray:
    """Rewards of the Gymnasium environments on every edge, (e,)."""
    graph = state_graph(dag)
    states = graph.states[graph.source]
    after, _, reward, terminated, illegal = Stepper(dag, reward_mode).advance(
        states, dag.forward_mask(states), graph.action
    )
    assert not illegal.any()
    np.testing.assert_array_equal(after, graph.states[graph.target])
    np.testing.assert_array_equal(terminated, dag.is_terminal(after))
    return reward


@pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
def test_the_soft_optimal_policy_samples_in_proportion_to_reward(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    paid = rewards_paid(dag, "soft")
    policy = exact.soft_optimal_policy(dag, paid)
    learned = exact.terminal_distribution(dag, policy)
    np.testing.assert_allclose(learned, exact.target_distribution(dag), rtol=1e-9, atol=1e-9)
    assert exact.soft_values(dag, paid)[0] == pytest.approx(exact.log_partition(dag), abs=1e-9)
    np.testing.assert_allclose(exact.soft_edge_rewards(dag), paid, atol=1e-12)


def test_on_an_uneven_dag_by_enumeration_of_its_trajectories() -> None:
    """P(tau) is proportional to exp of its return / c: checked against every trajectory, for two coefficients."""
    dag = TableDag(UNEVEN_EDGES)
    graph = state_graph(dag)
    rng = np.random.default_rng(0)
    reward = rng.normal(size=len(graph.source))
    for coefficient in (1.0, 0.3):
        ends = np.zeros(len(graph.states))
        stack = [(0, 0.0)]
        while stack:
            state, total = stack.pop()
            edges = np.flatnonzero(graph.source == state)
            if not len(edges):
                ends[state] += np.exp(total / coefficient)
            stack += [(graph.target[e], total + reward[e]) for e in edges]
        found = exact.terminal_distribution(dag, exact.soft_optimal_policy(dag, reward, coefficient))
        np.testing.assert_allclose(found, (ends / ends.sum())[graph.terminal], rtol=1e-12)
        value = exact.soft_values(dag, reward, coefficient)[0]
        assert value == pytest.approx(coefficient * np.log(ends.sum()), rel=1e-12)


def test_without_log_pb_objects_are_weighed_by_their_number_of_paths() -> None:
    """The bias of MaxEnt RL that GFlowNets remove (Bengio et al. 2021, proposition 1): n(x) R(x)."""
    dag = small_dag(GRID, {"ndim": 3, "side": 4})
    learned = exact.terminal_distribution(dag, exact.soft_optimal_policy(dag, rewards_paid(dag, "log_reward")))
    graph = state_graph(dag)
    paths = np.zeros(len(graph.states))
    paths[0] = 1
    for source, target in zip(graph.source, graph.target, strict=True):
        paths[target] += paths[source]
    expected = paths[graph.terminal] * np.exp(exact.log_rewards(dag))
    np.testing.assert_allclose(learned, expected / expected.sum(), rtol=1e-10)
    assert exact.total_variation(learned, exact.target_distribution(dag)) > 0.1


def test_a_small_coefficient_is_greedy_and_none_is_refused() -> None:
    dag = small_dag(BAG, {"num_letters": 3, "capacity": 4, "repeats": 3})
    paid = rewards_paid(dag, "log_reward")
    learned = exact.terminal_distribution(dag, exact.soft_optimal_policy(dag, paid, 0.01))
    best = exact.log_rewards(dag) == exact.log_rewards(dag).max()
    assert learned[best].sum() == pytest.approx(1, abs=1e-9)
    with pytest.raises(ValueError, match="coefficient"):
        exact.soft_values(dag, coefficient=0.0)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_the_return_of_any_episode_is_log_pb_plus_log_reward(env_id: str, kwargs: dict[str, Any]) -> None:
    """Through gymnasium.make: the return plus the policy's own log P_F telescopes to log Z for the soft optimum."""
    env = gym.make(env_id, reward_mode="soft", **kwargs)
    dag = env.unwrapped.dag
    policy, rng = exact.soft_optimal_policy(dag), np.random.default_rng(0)
    for _ in range(5):
        _, info = env.reset()
        total, terminated = 0.0, False
        while not terminated:
            action = int(
                env.action_space.sample(mask=info["action_mask"])
                if rng.random() < 0.5
                else np.flatnonzero(info["action_mask"])[-1]
            )
            total -= float(np.log(policy(env.unwrapped.state[None])[0, action]))
            _, reward, terminated, _, info = env.step(action)
            total += reward
        assert total == pytest.approx(exact.log_partition(dag), abs=1e-9)
