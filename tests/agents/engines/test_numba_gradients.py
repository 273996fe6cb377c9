"""The numba engine: tables, log-probabilities, objectives, gradients and steps as in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gfn_envs
from agents.log_probs import LogProbs, log_probs
from agents.losses.balance import Balance, balance_loss, sub_trajectories
from agents.trajectories import concatenate
from gfn_envs.enumeration import state_graph
from tests.helpers import GRID

pytest.importorskip("numba")
from agents.engines.numba.tables import tables
from tests.agents.engines.numba_cases import APPLIES, DAGS, EVERY_DAG, NAMES, make, parameters


@pytest.mark.parametrize(("env_id", "kwargs"), EVERY_DAG)
def test_tables_say_what_the_dag_says(env_id, kwargs):
    dag = gfn_envs.make_dag(env_id, **kwargs)
    table, states = tables(dag), state_graph(dag).states
    assert np.array_equal(table.child >= 0, dag.forward_mask(states))
    assert np.array_equal(table.ends, dag.is_terminal(states))
    assert np.array_equal(table.backward_mask, dag.backward_mask(states))
    assert np.array_equal(table.num_parents, dag.backward_mask(states).sum(1))
    row, children, actions = dag.children(states)
    assert np.array_equal(states[table.child[row, actions]], children)
    assert np.array_equal(table.backward_action[row, actions], dag.backward_action(states[row], actions))
    encoded = np.zeros((len(states), dag.num_features), np.float32)
    np.add.at(encoded, (np.arange(len(states))[:, None], table.feature), table.value)
    assert np.array_equal(encoded, dag.encode(states))


@pytest.mark.parametrize("env", DAGS)
def test_trajectories_are_those_of_the_dag(env):
    agent = make(env=env)
    batch = agent.sample_trajectories(50)
    dag = agent.dag
    assert np.array_equal(batch.states[batch.offsets[:-1]], dag.source(50))
    assert dag.is_terminal(batch.terminal_states).all()
    sources, targets = batch.states[batch.sources], batch.states[batch.targets]
    assert np.array_equal(dag.step(sources, batch.actions), targets)
    assert np.array_equal(dag.backward_action(sources, batch.actions), batch.backward_actions)
    assert np.array_equal(dag.log_reward(batch.terminal_states), batch.log_reward)
    assert np.array_equal(dag.state_index(batch.states), agent.engine.index(batch))


@pytest.mark.parametrize("env", DAGS)
@pytest.mark.parametrize("backward", ["learned", "uniform", "maxent"])
@pytest.mark.parametrize(("name", "hidden"), [("tb", (32, 16)), ("db", (7,)), ("db", (8, 8, 8))])
def test_log_probabilities_and_flows_are_those_of_the_policy(env, backward, name, hidden):
    agent = make(name, env, hidden=hidden, backward=backward)
    batch = agent.sample_trajectories(40)
    expected, found = agent.log_probs(batch), agent.engine.evaluate(*agent.engine.parts(batch))
    np.testing.assert_allclose(found.log_pf, expected.log_pf.detach(), atol=2e-6)
    np.testing.assert_allclose(found.log_pb, expected.log_pb.detach(), atol=2e-6)
    if name == "db":
        np.testing.assert_allclose(found.log_flow, expected.log_flow.detach(), atol=2e-5)
    assert all((scratch.place == -1).all() for scratch in agent.engine.scratches)


@pytest.mark.parametrize("loss", ["squared", "huber", "log-cosh"])
@pytest.mark.parametrize("clamp_loss", [None, 1.5])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in NAMES),
        ("subtb", {"lamda": 1.3}),
        ("subtb", {"lamda": 0.5, "weighting": "batch"}),
        ("subtb", {"lamda": 1.3, "longest": 2}),
        ("subtb", {"lr_log_z": 0.01}),
        ("db", {"lr_log_z": 0.01}),
        ("mdb", {"target_every": 0}),
        ("pcl", {"steps": 2}),
    ],
)
def test_objectives_and_their_gradients_are_those_of_torch(name, loss, clamp_loss, settings):
    agent = make(name, loss=loss, clamp_loss=clamp_loss, **settings)
    log_z = agent.log_z_parameter
    if log_z is not None:
        with torch.no_grad():
            log_z.fill_(0.7)
    batch, rng = agent.sample_trajectories(9), np.random.default_rng(0)
    log_flow = rng.normal(size=len(batch.states))
    log_flow[batch.last] = batch.log_reward
    values = rng.normal(size=batch.num_edges) - 1, rng.normal(size=batch.num_edges) - 1, log_flow
    leaves = [torch.tensor(v, requires_grad=True) for v in values]
    own = agent.log_probs(batch)
    log_policy = own.log_policy.detach().double().requires_grad_()
    expected = agent.balance_loss(agent.balance, LogProbs(*leaves, log_policy, own.rows, own.legal), batch)
    expected.backward()
    (part,) = agent.engine.parts_to_learn(batch)
    found = agent.engine.evaluate(part)._replace(log_pf=values[0], log_pb=values[1], log_flow=values[2])
    value, (of_log_pf, of_log_pb, of_log_flow), of_log_z = agent.engine.objective(found, part)
    assert value == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(of_log_pf, leaves[0].grad, atol=1e-6)
    np.testing.assert_allclose(of_log_pb, leaves[1].grad, atol=1e-6)
    if agent.balance.flow == "network":
        gradient = leaves[2].grad.clone()
        gradient[batch.last] = of_log_flow[batch.last] = 0  # log R is not a parameter.
        if log_z is not None:
            assert not of_log_flow[batch.offsets[:-1]].any()
        np.testing.assert_allclose(of_log_flow, gradient, atol=1e-6)
    elif agent.balance.flow == "stop":  # log F is log R - log P_F(stop|s).
        gradient = np.zeros(len(log_policy))
        np.add.at(gradient, own.rows, -of_log_flow[batch.sources].astype(np.float64))
        np.testing.assert_allclose(gradient, log_policy.grad[:, -1], atol=1e-6)
        assert np.abs(gradient).max() > 0.01
        assert not of_log_flow[batch.last].any()
    else:
        assert len(of_log_flow) == 0
        assert leaves[2].grad is None
    of_torch = None if log_z is None else log_z.grad
    assert of_log_z == pytest.approx(0.0 if of_torch is None else of_torch.item(), abs=1e-5)


@pytest.mark.parametrize("weighting", ["trajectory", "batch"])
def test_weights_of_subtb_neither_overflow_nor_vanish(weighting):
    for lamda in (1e-6, 1e6):
        agent = make("subtb", env=(GRID, {"ndim": 2, "side": 60}), lamda=lamda, weighting=weighting)
        short = agent.sample_trajectories(2)
        with torch.no_grad():
            agent.policy.networks[0].layers[-1][1][2] = -20.0  # It hardly ever stops before the last corner.
        batch = concatenate(agent.sample_trajectories(3), short)
        assert batch.lengths.min() < 30  # Beside lambda^60, which overflows, lambda^30 vanishes.
        assert batch.lengths.max() > 60
        found = log_probs(agent.dag, agent.policy, batch)
        balance = Balance(sub_trajectories(lamda, weighting), flow="network")
        expected, _ = balance_loss(found.log_pf, found.log_pb, found.log_flow, batch.offsets, balance)
        (part,) = agent.engine.parts_to_learn(batch)
        value, *_ = agent.engine.objective(agent.engine.evaluate(part), part)
        assert value == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(("name", "env"), APPLIES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_grad_norm": 0.3, "backward": "uniform", "hidden": (5,)},
        {"backward": "maxent", "loss": "huber"},
    ],
)
def test_gradient_steps_are_those_of_torch(env, name, settings):
    if name == "pcl":  # Its P_B is uniform.
        settings = {key: value for key, value in settings.items() if key != "backward"}
    compiled, plain = make(name, env, **settings), make(name, env, **settings, engine="torch")
    for batch in [compiled.sample_trajectories(60), plain.sample_trajectories(6), compiled.sample_trajectories(1)]:
        if name == "vargrad" and len(batch) == 1:
            continue
        assert compiled.engine.step(batch) == pytest.approx(plain.engine.step(batch), rel=1e-4)
        compiled.iteration += 1
        plain.iteration += 1
    for a, b, first in zip(*map(parameters, (compiled, plain, make(name, env, **settings))), strict=True):
        # Adam's first steps follow the sign of the gradient; a gradient that is 0 up to rounding may have either sign.
        assert ((a - b).abs() < 2e-5).float().mean() > 0.99
        assert torch.equal(b, first) == torch.equal(a, first)
