"""The numba engine: tables, log-probabilities, objectives, gradients and steps as in torch; samples of the policy."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import sys

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.engines.torch_engine import TorchEngine
from agents.log_probs import LogProbs, log_probs
from agents.losses.balance import Balance, balance_loss, sub_trajectories
from agents.policies.mlp import MLP
from agents.policies.state_action import StateActionPolicy
from agents.trajectories import concatenate
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.helpers import BAG, BITS, FRAGMENTS, GRID, SEQUENCE, SMALL_ARGUMENTS

pytest.importorskip("numba")
from agents.engines.numba import engine
from agents.engines.numba.engine import NumbaEngine
from agents.engines.numba.tables import tables


def has_partial_rewards(dag):
    try:
        return dag.partial_log_reward(dag.source(1)) is not None
    except NotImplementedError:
        return False


#: The agents that the engine supports.
NAMES = ["tb", "vargrad", "db", "subtb", "fldb", "flsubtb", "mdb", "pcl"]
#: One of each kind: features in numbers, in ones, several actions to a child, terminal states with several parents.
DAGS = [
    (GRID, {"ndim": 3, "side": 4}),
    (BAG, {"num_letters": 3, "capacity": 4, "repeats": 3}),
    (BITS, {"n": 8, "word_size": 2, "num_modes": 3, "construction": "non_autoregressive"}),
    (SEQUENCE, {"alphabet": "AB", "length": 4, "construction": "prepend_append", "min_length": 2}),
    (FRAGMENTS, SMALL_ARGUMENTS[FRAGMENTS][0]),
]
#: Every agent on every environment that it applies to.
APPLIES = [
    (name, env)
    for env in DAGS
    for name in NAMES
    if (name != "mdb" or gfn_envs.make_dag(env[0], **env[1]).can_stop_anywhere)
    and (not name.startswith("fl") or has_partial_rewards(gfn_envs.make_dag(env[0], **env[1])))
]
EVERY_DAG = [(name, kwargs) for name, many in SMALL_ARGUMENTS.items() for kwargs in many[:2]]


def make(name="tb", env=(GRID, {"ndim": 2, "side": 5}), **settings):
    settings = {"hidden": (32, 16), "engine": "numba", **settings}
    return agents.make_agent(name, gfn_envs.make_dag(env[0], **env[1]), seed=3, **settings)


def parameters(agent):
    return [p.detach().clone() for p in agent.policy.parameters()] + [
        p.detach().clone() for p in [agent.log_z_parameter] if p is not None
    ]


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
    expected, found = agent.log_probs(batch), agent.engine.evaluate(batch)
    np.testing.assert_allclose(found.log_pf, expected.log_pf.detach(), atol=2e-6)
    np.testing.assert_allclose(found.log_pb, expected.log_pb.detach(), atol=2e-6)
    if name == "db":
        np.testing.assert_allclose(found.log_flow, expected.log_flow.detach(), atol=2e-5)
    assert (agent.engine.place == -1).all()


@pytest.mark.parametrize("loss", ["squared", "huber", "log-cosh"])
@pytest.mark.parametrize("clamp_loss", [None, 1.5])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {}) for name in NAMES),
        ("subtb", {"lamda": 1.3}),
        ("subtb", {"lamda": 0.5, "weighting": "batch"}),
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
    expected = agent.balance_loss(agent.balance, LogProbs(*leaves, log_policy, own.rows), batch)
    expected.backward()
    found = agent.engine.evaluate(batch)._replace(log_pf=values[0], log_pb=values[1], log_flow=values[2])
    value, (of_log_pf, of_log_pb, of_log_flow), of_log_z = agent.engine.objective(found, batch)
    assert value == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(of_log_pf, leaves[0].grad, atol=1e-6)
    np.testing.assert_allclose(of_log_pb, leaves[1].grad, atol=1e-6)
    if agent.balance.flow == "network":
        gradient = leaves[2].grad.clone()
        gradient[batch.last] = of_log_flow[batch.last] = 0  # log R is no parameter.
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
        value, *_ = agent.engine.objective(agent.engine.evaluate(batch), batch)
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
        # Adam's first steps follow the sign of the gradient; what is 0 but for rounding may go either way.
        assert ((a - b).abs() < 2e-5).float().mean() > 0.99
        assert torch.equal(b, first) == torch.equal(a, first)


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
    batch = agent.sample_trajectories(200_000, epsilon, temperature)
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


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tb", {"network": "transformer"}, "multi-layer perceptron"),
        ("tb", {"form": "ssr"}, "multi-layer perceptron"),
        ("tb", {"shared": False}, "one network for all heads"),
        ("tb", {"hidden": ()}, "at least one hidden layer"),
        ("tb", {"backward": "tlm"}, "a P_B that has no loss of its own, got 'tlm'"),
        ("tb", {"backward": "pessimistic"}, "a P_B that has no loss of its own, got 'pessimistic'"),
    ],
)
def test_what_cannot_be_compiled_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=f"engine 'numba' needs .*{message}.*; use engine='torch'"):
        make(name, env=(SEQUENCE, {"alphabet": "AB", "length": 3}), **settings)


@pytest.mark.parametrize("name", sorted(agents.AGENTS))
def test_every_agent_is_supported_or_refused(name):
    if name in NAMES:
        assert isinstance(make(name).engine, NumbaEngine)
    else:
        with pytest.raises((ValueError, TypeError), match=r"engine 'numba' needs|has no setting engine"):
            agents.make_agent(name, gfn_envs.make_dag(GRID, ndim=2, side=4), engine="numba")


def test_a_policy_that_reads_something_else_is_refused():
    dag = gfn_envs.make_dag(SEQUENCE, alphabet="AB", length=3)
    policy = make(env=(SEQUENCE, {"alphabet": "AB", "length": 3})).policy
    with pytest.raises(ValueError, match=r"engine 'numba' needs a policy that reads dag\.encode"):
        agents.make_agent("tb", dag, policy=policy, engine="numba")


class Other(MLP):
    pass


class OtherPolicy(StateActionPolicy):
    pass


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda dag: StateActionPolicy(dag.encode, lambda s: Other([10, 4, sum(s)]), 3, 3), "multi-layer perceptron"),
        (lambda dag: OtherPolicy(dag.encode, lambda s: MLP([10, 4, sum(s)]), 3, 3), "multi-layer perceptron"),
        (lambda dag: StateActionPolicy(dag.encode, lambda s: MLP([5, 4, sum(s)]), 3, 3), r"weights of \[\(10, 4\)"),
        (lambda dag: StateActionPolicy(dag.encode, lambda s: MLP([10, 4, sum(s)]), 2, 3), r"heads of \[3, 3, 0\]"),
        (lambda dag: StateActionPolicy(dag.encode, lambda s: MLP([10, 4, sum(s)]), 3, 1), r"heads of \[3, 3, 0\]"),
        (
            lambda dag: StateActionPolicy(dag.encode, lambda s: MLP([10, 4, 9]), 3, 3),
            r"weights of \[\(10, 4\), \(6, 4\)",
        ),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(policy, message):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=5)
    with pytest.raises(ValueError, match=f"engine 'numba' needs .*{message}.*; use engine='torch'"):
        agents.make_agent("tb", dag, policy=policy(dag), engine="numba")


def test_a_policy_with_parameters_of_its_own_is_refused():
    dag = gfn_envs.make_dag(GRID, ndim=2, side=5)
    policy = StateActionPolicy(dag.encode, lambda s: MLP([10, 4, sum(s)]), 3, 3)
    agents.make_agent("tb", dag, policy=copy.deepcopy(policy), engine="torch")
    policy.extra = torch.nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="engine 'numba' needs a policy whose parameters are those of its layers"):
        agents.make_agent("tb", dag, policy=policy, engine="numba")


def test_what_adam_cannot_do_here_is_refused():
    agent = make()
    agent.optimizer.param_groups[0]["weight_decay"] = 0.1
    with pytest.raises(ValueError, match="Adam with its defaults, got weight_decay"):
        agent.update()
    agent = make()
    agent.policy.networks[0].layers[0][0].requires_grad_(False)
    with pytest.raises(ValueError, match="parameters that are all trained"):
        agent.update()
    agent = make()
    agent.optimizer = torch.optim.SGD(agent.policy.parameters())
    with pytest.raises(ValueError, match=r"the optimizer torch.optim.Adam, got SGD"):
        agent.update()


def test_tables_that_would_not_fit_are_refused_before_they_are_made(monkeypatch):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=5)
    monkeypatch.setattr(gfn_envs.exact, "state_graph", None)
    monkeypatch.setattr("agents.engines.numba.tables.ENUMERATION_BYTES", 1000)
    with pytest.raises(gfn_envs.EnumerationError, match="50 states and 3 actions: tables of its transitions"):
        tables(dag)


def test_an_environment_too_large_to_list_is_refused():
    with pytest.raises(gfn_envs.EnumerationError):
        make(env=(BITS, {}))


def test_stuck_states_are_named_when_the_tables_are_made():
    dag = gfn_envs.make_dag(GRID, ndim=1, side=3)
    full = dag.forward_mask
    dag.forward_mask = lambda states: full(states) & (states[:, :1] != 1)
    with pytest.raises(agents.errors.NoLegalActionError, match=r"state \[1, 0\] has no legal action"):
        tables(dag)


@pytest.fixture
def without_numba(monkeypatch):
    for name in [n for n in sys.modules if n.startswith("agents.engines.numba")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)


@pytest.mark.usefixtures("without_numba")
def test_without_numba_it_says_what_to_install():
    with pytest.raises(ValueError, match=r"engine 'numba' needs Numba .*gfn-envs\[fast\]"):
        make()
    make(engine="torch").update()
    agent = make(engine="auto")
    agent.update()
    assert type(agent.engine) is TorchEngine


def test_where_no_code_can_be_kept_it_says_what_to_set(monkeypatch):
    monkeypatch.delitem(sys.modules, "agents.engines.numba.engine")
    monkeypatch.delattr(sys.modules["agents.engines.numba"], "kernels")
    monkeypatch.delitem(sys.modules, "agents.engines.numba.kernels")

    def njit(**options):
        raise RuntimeError("cannot cache function")

    monkeypatch.setattr("numba.njit", njit)
    with pytest.raises(ValueError, match=r"cannot cache function.*NUMBA_CACHE_DIR"):
        make()


def test_runs_are_looked_at_where_numba_is_missing(tmp_path, request):
    agent = make()
    agents.train(agent, 3, tmp_path, progress=False)
    request.getfixturevalue("without_numba")
    loaded = agents.load_agent(tmp_path)
    assert type(loaded.engine) is TorchEngine
    assert all(map(torch.equal, parameters(agent), parameters(loaded)))


def test_runs_older_than_a_setting_are_resumed(tmp_path):
    agents.train(make(engine="torch"), 3, tmp_path, progress=False)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["settings"]["engine"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(agents.runs.directory.RunError, match="engine 'torch' != 'numba'"):
        agents.train(make(), 5, tmp_path, progress=False, resume=True)
    agents.train(make(engine="torch"), 5, tmp_path, progress=False, resume=True)
