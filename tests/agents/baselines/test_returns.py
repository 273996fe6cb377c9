"""Agents that learn from returns: rewards, corrected returns and behavior policies, against explicit values."""

import numpy as np
import pytest
import torch

import agents
from agents.baselines.a2c_er import corrected_returns
from agents.baselines.actor_critic import edge_rewards
from agents.baselines.ppo import clipped_objective
from agents.losses import policy_gradient as pg
from gfn_envs.gym import Stepper
from tests.helpers import GRID, TINY, agent_or_skip, small_dag


@pytest.mark.parametrize("reward_mode", ["reward", "log_reward", "soft"])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_rewards_are_those_of_the_gymnasium_environment(reward_mode, env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    batch = agent_or_skip("random", dag).sample_trajectories(10)
    states = batch.states[batch.sources]
    paid = Stepper(dag, reward_mode).advance(states, dag.forward_mask(states), batch.actions)[2]
    np.testing.assert_array_equal(edge_rewards(dag, batch, reward_mode), paid)


def test_the_clipped_objective_by_hand():
    ratio, gain = torch.tensor([0.5, 1.1, 2.0, 0.5, 2.0]), torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0])
    found = clipped_objective(ratio.log(), torch.zeros(5), gain, 0.2)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.1, 1.2, -0.8, -2.0]))


@pytest.mark.parametrize("lamda", [0.0, 0.7, 1.0])
def test_corrected_returns_one_step_at_a_time(lamda):
    rng = np.random.default_rng(0)
    offsets = np.array([0, 3, 4, 9])
    rewards, values, weights = rng.normal(size=(3, 9))
    weights = np.minimum(np.exp(weights), 1.0)
    expected = np.zeros(9)
    for first, last in ((0, 2), (3, 3), (4, 8)):
        for t in range(last, first - 1, -1):
            after, better = (0.0, 0.0) if t == last else (values[t + 1], expected[t + 1])
            expected[t] = values[t] + weights[t] * (rewards[t] + after - values[t] + lamda * (better - after))
    np.testing.assert_allclose(corrected_returns(rewards, values, weights, offsets, lamda), expected, atol=1e-12)
    advantages = pg.generalized_advantages(*map(torch.from_numpy, (rewards, values, offsets)), lamda)
    on_policy = corrected_returns(rewards, values, np.ones(9), offsets, lamda)
    np.testing.assert_allclose(on_policy, advantages.numpy() + values, atol=1e-12)


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.5, 1.0), (0.3, 2.0), (1.0, 1.0)])
def test_a2c_er_knows_how_likely_its_actions_were(epsilon, temperature):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("a2c-er", dag, hidden=(8,), epsilon=epsilon, temperature=temperature)
    batch = agent.sample_batch()
    states, found = batch.states[batch.sources], agent.log_behavior(batch).numpy()
    with torch.no_grad():
        logits = agent.policy(states).forward_logits.numpy() / temperature
    for state, action, logit, value in zip(states, batch.actions, logits, found, strict=True):
        legal = dag.forward_mask(state[None])[0]
        p = np.exp(logit) * legal / (np.exp(logit) * legal).sum()
        assert np.exp(value) == pytest.approx((1 - epsilon) * p[action] + epsilon / legal.sum(), rel=1e-5)
