"""Training with target R^beta, and log Z that follows the batch."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.tempering import (
    GROWTH,
    SMALLEST_GROWTH,
    SPEED,
    START,
    WIDE,
    WIDE_EXPENSIVE,
    first_beta,
    next_beta,
    spread,
)
from gfn_envs.envs.bayes_net.random_network import sample_network


def steep(seed=0):
    """A posterior over the graphs of four nodes whose log R spans hundreds of nats."""
    rng = np.random.default_rng(seed)
    return gfn_envs.make_dag("GFN/BayesNet-v0", data=sample_network(4, 500, 1.0, rng)[1])


def test_rewards_are_tempered_only_if_they_are_wide():
    assert first_beta(np.array([0.0, WIDE, 2 * WIDE, WIDE])) == 1
    wide = np.array([0.0, 1000.0])
    assert first_beta(wide) * spread(wide) == pytest.approx(START)
    assert first_beta(wide, expensive=True) == first_beta(wide)
    assert first_beta(np.zeros(0)) == 1
    assert first_beta(np.array([-221.0] + [-20.0] * 15)) == 1


def test_the_spread_is_the_standard_deviation_of_normal_rewards():
    assert spread(np.random.default_rng(0).normal(5, 3, 100_000)) == pytest.approx(3, rel=0.02)


def test_expensive_rewards_are_tempered_only_if_they_are_very_wide():
    log_reward = np.array([0.0, 0.0, 1.0, 1.0]) * 2 * WIDE_EXPENSIVE
    assert first_beta(log_reward, expensive=True) == 1
    assert first_beta(log_reward) == pytest.approx(START / WIDE_EXPENSIVE)
    for expensive in (False, True):
        dag = gfn_envs.make_dag("GFN/Ising-v0", side=4, sigma=0.5, expensive_reward=expensive)
        assert (agents.make_agent("tb", dag, seed=0).update().get("beta", 1.0) == 1) == expensive


def test_beta_rises_at_constant_speed_waits_for_the_policy_and_ends_at_one():
    log_reward = np.array([0.0, 100.0, 200.0, 300.0])
    there, lost = 0.01 * log_reward, 0.01 * log_reward - np.array([50.0, 0, 0, 0])
    rise = next_beta(0.01, log_reward, there) - 0.01
    assert rise * log_reward.std() == pytest.approx(SPEED)
    assert next_beta(0.01, log_reward, lost) - 0.01 == pytest.approx(rise / 16, rel=1e-6)
    assert next_beta(0.5, 1e4 * log_reward, lost) == pytest.approx(0.5 * (1 + SMALLEST_GROWTH))
    assert next_beta(0.5, np.full(4, 7.0), np.zeros(4)) == pytest.approx(0.5 * (1 + GROWTH))
    assert next_beta(0.9999, log_reward * 1e-3, there) == 1
    assert next_beta(0.5, np.zeros(0), np.zeros(0)) == 0.5


@pytest.mark.parametrize(
    ("name", "beta", "low", "high"), [("tb", None, 0, 0.15), ("tb", 1, 0.3, 1), ("db", None, 0, 0.3)]
)
def test_the_defaults_find_all_modes_of_a_factor_graph(name, beta, low, high):
    """Four assignments in which neighbors differ by 3 are 7 nats above the others."""
    agent = agents.make_agent(name, gfn_envs.make_dag("GFN/FactorGraph-v0", num_variables=4), seed=0, beta=beta)
    for _ in range(1000):
        agent.update()
    assert low <= agents.evaluate(agent)["tv"] < high


@pytest.mark.parametrize("mixing", [0.5, 0.8])
def test_right_flows_are_not_shifted(mixing):
    """Where the flows balance, the last transitions have no gap, whatever log P_F, log P_B and alpha are."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    agent = agents.make_agent("db", dag, seed=0, engine="torch", mixing=mixing)
    batch = agent.sample_trajectories(8)
    gaps = agent.flow_gaps(batch)
    found = agent.log_probs(batch)
    last = batch.edge_offsets[1:] - 1
    residual = (found.log_flow[batch.last - 1] + found.log_pf[last] - found.log_pb[last]).detach().double().numpy()
    residual += np.log(mixing / (1 - mixing))
    np.testing.assert_allclose(gaps, batch.log_reward - residual, atol=1e-5)


@pytest.mark.parametrize("engine", ["torch", "numba"])
@pytest.mark.parametrize("name", ["tb", "subtb", "fldb", "mdb", "db", "vargrad"])
def test_a_step_at_beta_equals_a_step_on_the_powered_reward(name, engine):
    """At beta = 1/2 the loss is that of an environment whose log rewards are halved."""
    dag, halved = steep(), steep()
    for method in ("log_reward", "partial_log_reward"):
        whole = getattr(dag, method)
        setattr(halved, method, functools.partial(lambda whole, states: 0.5 * whole(states), whole))
    settings = {"engine": engine} | ({"track_log_z": False} if name in ("tb", "vargrad", "db", "subtb") else {})
    tempered = agents.make_agent(name, dag, seed=1, beta="0.5,1,1000000000", **settings)
    plain = agents.make_agent(name, halved, seed=1, beta=1, **settings)
    for _ in range(3):
        # float32 weights, and a beta that rises by 1e-9.
        assert tempered.update()["loss"] == pytest.approx(plain.update()["loss"], rel=1e-4)


def test_the_defaults_learn_a_steep_posterior():
    # The rate falls, because at a constant one TV varies from 0.02 to 0.5 within a few hundred iterations.
    agent = agents.make_agent("tb", steep(), seed=0, lr="5e-3,1e-5,3000")
    for _ in range(3000):
        agent.update()
    assert agent.beta == 1
    assert agents.evaluate(agent)["tv"] < 0.1
    plain = agents.make_agent("tb", steep(), seed=0, lr="5e-3,1e-5,3000", beta=1, track_log_z=False)
    for _ in range(3000):
        plain.update()
    assert agents.evaluate(plain)["tv"] > 0.5


@pytest.mark.parametrize("name", ["tb", "rl-u", "mdb"])
def test_updates_report_beta_until_it_is_one(name):
    agent = agents.make_agent(name, steep(), seed=0)
    betas = [agent.update()["beta"] for _ in range(5)]
    assert betas == sorted(betas)
    assert betas[0] < 0.1
    # Metrics and rewards stay those of R.
    batch = agent.last_batch
    np.testing.assert_allclose(batch.log_reward, agent.dag.log_reward(batch.terminal_states))
    assert "beta" not in agents.make_agent(name, steep(), seed=0, beta=1).update()


def test_a_resumed_agent_has_its_beta():
    agent, other = (agents.make_agent("tb", steep(), seed=0) for _ in range(2))
    for _ in range(20):
        agent.update()
    other.load_state_dict(agent.state_dict())
    assert other.beta == agent.beta < 1
    assert [agent.update() for _ in range(5)] == [other.update() for _ in range(5)]


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_log_z_jumps_to_the_batch_if_it_is_far_off(engine):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    agent = agents.make_agent("tb", dag, seed=0, engine=engine, init_log_z=500.0, lr_log_z=0.0, batch_size=256)
    agent.update()
    assert abs(agent.log_z) < 10
    followed = agent.log_z
    with torch.no_grad():
        agent.log_z_parameter += 0.5
    agent.update()
    assert agent.log_z == pytest.approx(followed + 0.5)
    fixed = agents.make_agent("tb", dag, seed=0, engine=engine, init_log_z=500.0, lr_log_z=0.0, track_log_z=False)
    fixed.update()
    assert fixed.log_z == 500


@pytest.mark.parametrize("network", ["mlp", "transformer", "graph"])
@pytest.mark.parametrize("form", ["sa", "ssr"])
@pytest.mark.parametrize("shared", [True, False])
def test_log_flows_start_at_the_estimate_of_the_first_batch(network, form, shared):
    if form == "ssr" and not shared:
        pytest.skip("relative edge flows have one trunk")
    dag = steep()
    settings = {"network": network, "form": form, "shared": shared, "beta": 1, "lr": 0.0, "engine": "torch"}
    agent, fixed = (agents.make_agent("db", dag, seed=0, track_log_z=t, **settings) for t in (True, False))
    states = np.concatenate([dag.source(1), dag.step(dag.source(1), np.array([0]))])
    before = agent.policy(states).log_flow.detach()
    agent.update()
    fixed.update()
    moved = (agent.policy(states).log_flow.detach() - before).tolist()
    assert moved[0] > 50
    assert moved[0] == pytest.approx(moved[1], rel=1e-5)
    assert torch.equal(fixed.policy(states).log_flow.detach(), before)


@pytest.mark.parametrize("conditions", [None, "temperature:1,2"])
def test_a_batch_is_evaluated_once_for_beta_and_log_z(conditions, monkeypatch):
    agent = agents.make_agent("tb", steep(), seed=0, engine="torch", hidden=(8,), conditions=conditions)
    agent.update()
    evaluate, calls = agent.engine.log_ratio, []
    monkeypatch.setattr(agent.engine, "log_ratio", lambda batch: calls.append(batch) or evaluate(batch))
    agent.update()
    assert agent.beta < 1
    assert len(calls) == 1


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_log_ratios_are_sums_over_trajectories(engine):
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=5), seed=3, engine=engine)
    batch = agent.sample_trajectories(9)
    found = agent.log_probs(batch)
    per_edge = (found.log_pf - found.log_pb).detach().double().numpy()
    sums = [per_edge[a:b].sum() for a, b in zip(batch.edge_offsets[:-1], batch.edge_offsets[1:], strict=True)]
    np.testing.assert_allclose(agent.engine.log_ratio(batch), sums, rtol=1e-5)


def test_the_compiled_engine_notices_other_steps_with_the_same_states():
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=5), seed=3, engine="numba")
    batch = agent.sample_trajectories(9)
    agent.engine.step(dataclasses.replace(batch, log_reward=batch.log_reward / 2))
    with pytest.raises(ValueError, match="inconsistent"):
        agent.engine.step(dataclasses.replace(batch, actions=batch.actions[::-1].copy()))


@pytest.mark.parametrize("beta", ["0.5", "0,1,10", "0.5,2,10", "-1,1,5", "2,1,5"])
def test_bad_beta(beta):
    with pytest.raises(ValueError, match="beta"):
        agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=5), beta=beta)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("db", {}), ("subtb", {}), ("fldb", {}), ("flsubtb", {}), ("subtb", {"lr_log_z": 0.0}), ("db", {"shared": False})],
    ids=str,
)
def test_far_flows_of_long_constructions_are_fitted(name, settings):
    """R is about 1 for all strings of one length, so log F falls by log 20 per letter: 48 nats in all."""
    given = {"distances": np.full((16, 16), 5.0), "temperature": 1e6, "construction": "append"}
    dag = gfn_envs.make_dag("GFN/InverseFolding-v0", **given)
    fitted, fixed = (
        agents.make_agent(name, dag, seed=0, beta=1, lr=0.0, track_log_z=t, engine="torch", **settings)
        for t in (True, False)
    )
    errors = []
    for agent in (fitted, fixed):
        agent.update()
        batch = agent.last_batch
        with torch.no_grad():
            found = agent.log_probs(batch)
            flows = agent.log_flow(agent.balance, found, batch)[0].double().numpy().reshape(len(batch), -1)
            steps = (found.log_pb - found.log_pf).double().numpy().reshape(len(batch), -1)
        rest = steps[:, ::-1].cumsum(1)[:, ::-1] + batch.log_reward[:, None]
        errors.append((rest - flows[:, :-1]).std())
    assert errors[1] > 10
    assert errors[0] < errors[1] / 3
    if not settings:
        assert fitted.log_z == pytest.approx(16 * np.log(20), abs=3)


def test_flows_are_not_fitted_to_trajectories_of_several_lengths(monkeypatch):
    agent = agents.make_agent("db", steep(), seed=0, beta=1)
    monkeypatch.setattr(agent.policy, "change_flow", lambda *_: pytest.fail("fitted"))
    batch = agent.sample_trajectories(16)
    assert np.ptp(batch.lengths)
    assert not agent.fit_far_flows(batch)
