"""The compiled engine without tables of all states: steps as in torch, samples from the policy, memory, errors."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

import agents
import gfn_envs
from agents.engines.torch_engine import TorchEngine
from agents.errors import NoLegalActionError
from agents.rollout import Exploration
from gfn_envs.reward_errors import RewardError
from tests.helpers import FRAGMENTS, GRID, ISING, SMALL_ARGUMENTS

pytest.importorskip("numba")
from agents.engines.numba import stepwise
from agents.engines.numba.engine import NumbaEngine
from agents.engines.numba.stepwise import StepwiseEngine
from tests.agents.engines.numba_cases import APPLIES, DAGS, make, parameters


def stepped(name="tb", env=(GRID, {"ndim": 2, "side": 5}), **settings):
    """An agent with this engine, although its environment is small."""
    agent = make(name, env, **{"engine": "torch", **settings})
    agent._engine = StepwiseEngine(agent)
    return agent


def agree(one, other):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("name", "env"), APPLIES)
@pytest.mark.parametrize("backward", ["uniform", "learned", "maxent"])
def test_steps_are_those_of_torch(name, env, backward):
    """On batches that this engine sampled, whose hidden layers it kept, and on others."""
    settings = {} if name == "pcl" else {"backward": backward}
    agent, other = (stepped(name, env, batch_size=7, **settings) for _ in range(2))
    other._engine = TorchEngine(other)
    for source in (agent, other, agent):
        batch = source.sample_trajectories(9, rng=np.random.default_rng(0))
        losses = agent.engine.step(batch), other.engine.step(batch)
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        agree(agent, other)
        np.testing.assert_allclose(agent.engine.log_ratio(batch), other.engine.log_ratio(batch), atol=1e-4)


@pytest.mark.parametrize("lists", [True, False])
def test_first_layers_of_lists_and_of_all_features(lists):
    dag = gfn_envs.make_dag("GFN/Sequence-v0", alphabet="ABCDEFGHIJKLMNOPQRST", length=4)
    pair = [agents.make_agent("db", dag, seed=0, hidden=(16, 8), engine="torch") for _ in range(2)]
    for agent in pair:
        agent.policy.inputs = dag.active_features if lists else dag.encode
    pair[0]._engine = StepwiseEngine(pair[0])
    assert pair[0].engine.listed == lists
    batch = pair[0].sample_trajectories(20)
    assert pair[0].engine.step(batch) == pytest.approx(pair[1].engine.step(batch), rel=1e-5)
    agree(*pair)


@pytest.mark.parametrize("env", DAGS)
@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.3, 1.0), (0.0, 2.0)])
def test_samples_follow_the_policy(env, epsilon, temperature):
    """The first actions, by a chi-squared test, and consistent trajectories."""
    agent, dag, n = stepped(env=env), gfn_envs.make_dag(env[0], **env[1]), 4000
    with torch.no_grad():
        agent.policy.networks[0].last_bias.add_(torch.randn(len(agent.policy.networks[0].last_bias)))
    batch = agent.engine.sample(n, np.random.default_rng(0), Exploration(epsilon, temperature))
    legal = dag.forward_mask(dag.source(1))[0]
    with torch.inference_mode():
        logits = agent.forward_logits()(dag.source(1))[0].astype(float) / temperature
    p = np.where(legal, np.exp(logits - logits[legal].max()), 0)
    p = (1 - epsilon) * p / p.sum() + epsilon * legal / legal.sum()
    counts = np.bincount(batch.actions[batch.edge_offsets[:-1]], minlength=dag.num_actions)
    assert not counts[~legal].any()
    assert stats.chisquare(counts[legal], n * p[legal]).pvalue > 1e-4
    sources, targets = batch.states[batch.sources], batch.states[batch.targets]
    assert np.array_equal(dag.step(sources, batch.actions), targets)
    assert np.array_equal(dag.backward_action(sources, batch.actions), batch.backward_actions)
    assert dag.is_terminal(batch.terminal_states).all()
    assert not dag.is_terminal(sources).any()
    assert np.array_equal(dag.log_reward(batch.terminal_states), batch.log_reward)


def test_trajectories_stop_late_if_they_must():
    batch = stepped().engine.sample(2000, np.random.default_rng(0), Exploration(delay_stop=1.0))
    plain = stepped().engine.sample(2000, np.random.default_rng(0))
    assert np.diff(batch.offsets).mean() > np.diff(plain.offsets).mean() + 0.5


def test_new_weights_make_known_layers_useless():
    agent = stepped("subtb")
    other = copy.deepcopy(agent)
    other._engine = TorchEngine(other)
    batch = agent.sample_trajectories(30)
    for one in (agent, other):
        with torch.no_grad():
            one.policy.networks[0].layers[0][0].mul_(1.5)
    assert not len(agent.engine.parts(batch)[0].kept.states)
    assert agent.engine.step(batch) == pytest.approx(other.engine.step(batch), rel=1e-5)
    agree(agent, other)


@pytest.mark.parametrize("limit", ["MOST_KEPT", "PIECE"])
def test_large_batches_are_forgotten_or_sampled_in_pieces(monkeypatch, limit):
    agent, other = stepped("db", batch_size=64), stepped("db", batch_size=64)
    monkeypatch.setattr(stepwise, limit, 4000)
    batch = agent.sample_trajectories(64)
    assert agent.engine.sampled is None or limit == "PIECE"
    other._engine = TorchEngine(other)
    assert agent.engine.step(batch) == pytest.approx(other.engine.step(batch), rel=1e-5)
    agree(agent, other)


@pytest.mark.parametrize("name", ["tb", "db", "mdb"])
def test_parts_give_the_result_of_the_whole(monkeypatch, name):
    whole, parted = stepped(name, batch_size=32), stepped(name, batch_size=32)
    monkeypatch.setattr(parted.engine, "bounds", lambda n: [(0, n // 3), (n // 3, n)])
    for _ in range(3):
        batch = parted.sample_trajectories(32, rng=np.random.default_rng(1))
        assert len(parted.engine.parts(batch)) == 2
        assert whole.engine.step(batch) == pytest.approx(parted.engine.step(batch), rel=1e-5)
        agree(whole, parted)


def test_rollouts_do_not_depend_on_parts(monkeypatch):
    whole, parted = stepped(), stepped()
    monkeypatch.setattr(parted.engine, "bounds", lambda n: [(0, n // 3), (n // 3, n)])
    one, other = (agent.sample_trajectories(32, rng=np.random.default_rng(1)) for agent in (whole, parted))
    assert np.array_equal(one.states, other.states)
    assert np.array_equal(one.actions, other.actions)


@pytest.mark.parametrize("name", ["tb", "db", "subtb", "fldb"])
def test_training_reaches_the_target(name):
    agent = stepped(name, (ISING, {"side": 2}), batch_size=32, lr=3e-3)
    for _ in range(1000):
        agent.update()
    assert agents.evaluate(agent)["tv"] < 0.05


def test_checkpoints_continue_exactly():
    agent, other = (agents.make_agent("subtb", gfn_envs.make_dag(ISING, side=6), seed=1, hidden=(16, 16)) for _ in "ab")
    assert isinstance(agent.engine, StepwiseEngine)
    for _ in range(3):
        agent.update()
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for _ in range(3):
        assert agent.update() == other.update()
    agree(agent, other)


def test_nan_logits_and_dead_ends():
    agent = stepped()
    with torch.no_grad():
        agent.policy.networks[0].last_bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=r"NaN or infinite logits at state \[0, 0"):
        agent.sample_trajectories(4)
    agent = stepped()
    agent.dag.forward_mask = lambda states: np.zeros((len(states), agent.dag.num_actions), dtype=bool)
    with pytest.raises(NoLegalActionError, match=r"state \[0, 0.*has no legal action"):
        agent.sample_trajectories(4)


@pytest.mark.parametrize("what", ["actions", "backward_actions", "log_reward"])
def test_inconsistent_batches(what):
    agent = stepped()
    batch = stepped().sample_trajectories(4)
    wrong = {"actions": 99, "backward_actions": -1}
    value = batch.log_reward[:-1] if what == "log_reward" else np.full_like(getattr(batch, what), wrong[what])
    broken = dataclasses.replace(batch, **{what: value})
    with pytest.raises(ValueError, match="inconsistent batch"):
        agent.engine.step(broken)


def test_the_engine_is_automatic_for_large_environments():
    def engine(env, name="tb", kwargs=None, **settings):
        return type(agents.make_agent(name, gfn_envs.make_dag(env, **(kwargs or {})), **settings).engine)

    assert engine(ISING, kwargs={"side": 10}) is StepwiseEngine
    assert engine(ISING, kwargs={"side": 10}, engine="numba") is StepwiseEngine
    assert engine(ISING, kwargs={"side": 3}) is NumbaEngine
    assert engine(FRAGMENTS, "subtb") is StepwiseEngine
    assert engine(ISING, kwargs={"side": 10}, shared=False) is TorchEngine
    assert engine("GFN/AMP-v0", network="transformer") is TorchEngine
    assert engine("GFN/GFP-v0") is TorchEngine  # 4,741 actions
    conditional = {**SMALL_ARGUMENTS[GRID][0], "ndim": 6, "side": 12, "conditions": "temperature:1,4"}
    with pytest.raises(ValueError, match=r"no further networks|without conditions"):
        StepwiseEngine(agents.make_agent("tb", gfn_envs.make_dag(GRID, **conditional)))


@pytest.mark.parametrize("engine", [StepwiseEngine, NumbaEngine])
@pytest.mark.parametrize("what", ["a rollout that raises", "a step with other weights"])
def test_layers_that_were_overwritten_are_not_used(engine, what):
    """A batch that was sampled earlier is evaluated again with the weights that sampled it."""
    agent = stepped("subtb", batch_size=16)
    agent._engine = engine(agent)
    batch, dag = agent.sample_trajectories(16, rng=np.random.default_rng(0)), agent.dag
    if what == "a rollout that raises":
        dag.log_reward = lambda states: np.full(len(states), np.nan)
        with pytest.raises(RewardError):
            agent.sample_trajectories(16, rng=np.random.default_rng(1))
        del dag.log_reward
    else:
        weight = agent.policy.networks[0].layers[0][0]
        before = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(3)
            agent.engine.log_ratio(batch)
            weight.copy_(before)
    np.testing.assert_allclose(agent.engine.log_ratio(batch), TorchEngine(agent).log_ratio(batch), atol=1e-4)
