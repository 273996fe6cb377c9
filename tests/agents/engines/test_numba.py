"""The numba engine: samples of the policy, learning, checkpoints and bad batches."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest
import torch

import agents
from gfn_envs import exact
from gfn_envs.reward_errors import RewardError
from tests.helpers import GRID

pytest.importorskip("numba")
from agents.engines.numba import engine
from agents.engines.numba.kernels import KEPT
from agents.rollout import Exploration
from agents.runs.files import write_sealed
from agents.threads import working_threads
from tests.agents.engines.numba_cases import DAGS, NAMES, make, parameters


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.4, 1.0), (0.0, 0.5)])
def test_samples_follow_the_policy(epsilon, temperature):
    agent = make(env=(GRID, {"ndim": 2, "side": 4}))
    with torch.no_grad():
        for p in agent.policy.parameters():
            p *= 3  # so that actions differ in probability

    def behavior(states):
        mask = agent.dag.forward_mask(states)
        p = agent.probabilities(states) ** (1 / temperature)
        return (1 - epsilon) * p / p.sum(1, keepdims=True) + epsilon * mask / mask.sum(1, keepdims=True)

    expected = exact.terminal_distribution(agent.dag, behavior)
    batch = agent.sample_trajectories(200_000, Exploration(epsilon, temperature))
    found = np.bincount(agent.dag.terminal_index(batch.terminal_states), minlength=len(expected)) / 200_000
    assert np.abs(found - expected).sum() / 2 < 0.01
    assert expected.max() > 2 / len(expected)


@pytest.mark.parametrize("name", NAMES)
def test_compiled_agents_learn(name):
    agent = make(name, env=(GRID, {"ndim": 2, "side": 6}), hidden=(64, 64), lr="5e-3,1e-4,1500", epsilon="0.2,0,800")
    for _ in range(1500):
        agent.update()
    assert agents.evaluate(agent)["tv"] < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_they_go_on_from_a_checkpoint_a_copy_and_a_pickle_to_the_bit(name, tmp_path):
    agent = make(name, replay="prioritized", local_search=1, epsilon=0.1)
    for _ in range(5):
        agent.update()
    restored = make(name, replay="prioritized", local_search=1, epsilon=0.1)
    restored.update()
    restored.load_state_dict(copy.deepcopy(agent.state_dict()))
    others = [restored, copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))]
    for _ in range(5):
        expected = agent.update()
        assert all(other.update() == expected for other in others)
    for other in others:
        assert all(map(torch.equal, parameters(agent), parameters(other)))


def test_copies_keep_no_views_of_memory_that_is_not_theirs():
    agent = make()
    agent.update()
    assert agent.engine.views.known
    assert not copy.deepcopy(agent).engine.views.known


def test_a_checkpoint_serves_agents_that_are_not_compiled():
    compiled, plain = make(), make(engine="torch")
    compiled.update()
    plain.load_state_dict(compiled.state_dict())
    plain.update()
    compiled.load_state_dict(plain.state_dict())
    before = parameters(compiled)
    compiled.update()
    assert not all(map(torch.equal, before, parameters(compiled)))


def test_replay_joins_batches_without_an_index():
    agent = make("subtb", replay="fifo", replay_mix="joint")
    assert all(np.isfinite(agent.update()["loss"]) for _ in range(5))


def test_one_seed_one_result():
    first, second = make("db"), make("db")
    assert [first.update() for _ in range(5)] == [second.update() for _ in range(5)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_named(value):
    agent = make()
    with torch.no_grad():
        agent.policy.networks[0].layers[-1][1].fill_(value)
    with pytest.raises(FloatingPointError, match=r"NaN or infinite logits at state \[0, 0, 0\]"):
        agent.update()


def test_trajectories_longer_than_the_environment_says_are_refused():
    agent = make()
    agent.dag.max_length = 1
    with pytest.raises(agents.errors.NoLegalActionError, match="longer than max_length = 1"):
        agent.sample(10)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: {"actions": (b.actions + 1) % 3},
        lambda b: {"actions": b.actions - 3},
        lambda b: {"actions": b.actions + 10**6},
        lambda b: {"backward_actions": b.backward_actions + 10**6},
        lambda b: {"backward_actions": b.backward_actions[1:]},
        lambda b: {"log_reward": b.log_reward[:2]},
        lambda b: {"offsets": b.offsets[:-1], "log_reward": b.log_reward[1:]},
        lambda b: {"offsets": b.offsets + 1},
        lambda b: {"states": np.concatenate([b.states, b.states[-1:]])},
    ],
)
@pytest.mark.parametrize("sampled_by", [True, False])
def test_trajectories_that_do_not_fit_together_are_refused(change, sampled_by):
    agent = make("db")
    batch = make("db", engine="torch").sample_trajectories(6) if not sampled_by else agent.sample_trajectories(6)
    agent.engine.step(batch)
    with pytest.raises(ValueError, match="do not fit together"):
        agent.engine.step(dataclasses.replace(batch, **change(batch)))


def test_trajectories_of_another_environment_are_refused():
    other = make(env=(GRID, {"ndim": 2, "side": 50}))
    with torch.no_grad():
        other.policy.networks[0].layers[-1][1][2] = -20.0
    with pytest.raises(KeyError, match="not a reachable state"):
        make().engine.step(other.sample_trajectories(20))


def test_large_batches_are_sampled_in_pieces(monkeypatch):
    monkeypatch.setattr(engine, "NUMBERS", 50)
    agent = make()
    batch = agent.sample_trajectories(23)  # Two objects at a time.
    assert len(batch) == 23
    assert np.array_equal(agent.dag.step(batch.states[batch.sources], batch.actions), batch.states[batch.targets])
    assert np.isfinite(agent.engine.step(batch))


def test_a_loss_that_is_no_number_changes_nothing():
    agent = make(epsilon=0.0)
    batch = agent.sample_trajectories(4)
    batch.log_reward[0] = np.nan
    before, state = parameters(agent), copy.deepcopy(agent.state_dict()["optimizer"]["state"])
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        agent.engine.step(batch)
    assert all(map(torch.equal, before, parameters(agent)))
    assert agent.state_dict()["optimizer"]["state"] == state


def test_a_state_with_a_logit_of_minus_infinity_never_takes_that_action():
    agent = make()
    with torch.no_grad():
        agent.policy.networks[0].layers[-1][1][0] = -np.inf
    batch = agent.sample_trajectories(100)
    assert set(batch.actions) == {1, 2}


def test_runs_older_than_a_setting_are_resumed(tmp_path):
    agents.train(make(engine="torch"), 3, tmp_path, progress=False)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["settings"]["engine"]
    write_sealed(tmp_path / "config.json", {name: value for name, value in config.items() if name != "sha256"})
    with pytest.raises(agents.runs.directory.RunError, match="engine 'torch' != 'numba'"):
        agents.train(make(), 5, tmp_path, progress=False, resume=True)
    agents.train(make(engine="torch"), 5, tmp_path, progress=False, resume=True)


def log_ratio_of_torch(agent, batch):
    found = agent.log_probs(batch)
    return np.add.reduceat((found.log_pf - found.log_pb).detach().numpy(), batch.edge_offsets[:-1])


@pytest.mark.parametrize("env", DAGS, ids=lambda env: env[0])
def test_hidden_layers_of_a_rollout_serve_its_gradient_until_the_weights_change(env):
    agent = make(env=env)
    batch = agent.sample_trajectories(50, Exploration(epsilon=0.2))
    (kept,) = agent.engine.kept
    inner = ~agent.engine.tables.ends[agent.engine.index(batch)]
    assert set(kept.states) == set(agent.engine.index(batch)[inner])
    assert len(kept.states) == len(set(kept.states))
    for _ in range(2):
        np.testing.assert_allclose(agent.engine.log_ratio(batch), log_ratio_of_torch(agent, batch), atol=1e-4)
    with torch.no_grad():
        for p in agent.policy.parameters():
            p.data += 0.05  # Unseen by torch's own count of changes.
    np.testing.assert_allclose(agent.engine.log_ratio(batch), log_ratio_of_torch(agent, batch), atol=1e-4)
    agent.engine.step(batch)
    assert agent.engine.kept == []


def test_rollouts_through_more_states_than_are_kept():
    agent = make(env=(GRID, {"ndim": 4, "side": 16}), hidden=(8,))
    with working_threads(1):
        batch = agent.sample_trajectories(5000, Exploration(epsilon=1.0, delay_stop=1.0))
    assert len(np.unique(batch.states, axis=0)) > KEPT
    assert not any(len(kept.states) for kept in agent.engine.kept)
    assert all((scratch.place == -1).all() for scratch in agent.engine.scratches)
    np.testing.assert_allclose(agent.engine.log_ratio(batch), log_ratio_of_torch(agent, batch), atol=1e-3)


def losses(agent, updates):
    return [agent.update()["loss"] for _ in range(updates)]


@pytest.mark.parametrize("on_error", ["raise", 0.5])
def test_rewards_of_stopping_that_fail_are_handled(on_error):
    """Modified detailed balance evaluates the reward of stopping in every state of a trajectory."""
    failing = []

    def score(nodes, parents):
        if failing:
            raise AssertionError
        return 0.1 * parents.sum(1)

    env = ("GFN/BayesNet-v0", {"num_nodes": 4, "score": score, "on_error": on_error})
    agent = make("mdb", env, batch_size=4)
    agent.update()
    failing.append(True)  # Of graphs that are new from now on.
    if on_error == "raise":
        with pytest.raises(RewardError, match=r"BayesNet.*AssertionError"):
            losses(agent, 30)
    else:
        assert np.isfinite(losses(agent, 30)).all()
