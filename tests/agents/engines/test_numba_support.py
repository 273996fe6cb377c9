"""The agents that the numba engine supports, and its errors for others."""

from __future__ import annotations

import copy
import sys

import pytest
import torch

import agents
import gfn_envs
from agents.engines.torch_engine import TorchEngine
from agents.policies.mlp import MLP
from agents.policies.state_action import StateActionPolicy
from tests.helpers import BITS, GRID, SEQUENCE

pytest.importorskip("numba")
from agents.engines.numba.engine import NumbaEngine
from agents.engines.numba.stepwise import StepwiseEngine
from agents.engines.numba.tables import tables
from tests.agents.engines.numba_cases import NAMES, make, parameters


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tb", {"network": "transformer"}, "multi-layer perceptron"),
        ("tb", {"form": "ssr"}, "multi-layer perceptron"),
        ("tb", {"shared": False}, "one network for all heads"),
        ("tb", {"hidden": ()}, "at least one hidden layer"),
        ("tb", {"backward": "tlm"}, "a P_B without a separate loss, got 'tlm'"),
        ("tb", {"backward": "pessimistic"}, "a P_B without a separate loss, got 'pessimistic'"),
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
    with pytest.raises(ValueError, match=r"the optimizer torch.optim.Adam or Muon, got SGD"):
        agent.update()


def test_tables_that_would_not_fit_are_refused_before_they_are_made(monkeypatch):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=5)
    monkeypatch.setattr(gfn_envs.exact, "state_graph", None)
    monkeypatch.setattr("agents.engines.numba.tables.ENUMERATION_BYTES", 1000)
    with pytest.raises(gfn_envs.EnumerationError, match="50 states and 3 actions: tables of its transitions"):
        tables(dag)


def test_an_environment_too_large_to_list_needs_no_tables():
    assert isinstance(make(env=(BITS, {})).engine, StepwiseEngine)


def test_stuck_states_are_named_when_the_tables_are_made():
    dag = gfn_envs.make_dag(GRID, ndim=1, side=3)
    full = dag.forward_mask
    dag.forward_mask = lambda states: full(states) & (states[:, :1] != 1)
    with pytest.raises(agents.errors.NoLegalActionError, match=r"state \[1, 0\] has no legal action"):
        tables(dag)


@pytest.fixture
def not_imported(monkeypatch):
    for name in [n for n in sys.modules if n.startswith(("agents.engines.numba", "agents.jit"))]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def without_numba(monkeypatch, not_imported):
    monkeypatch.setitem(sys.modules, "numba", None)


@pytest.mark.usefixtures("without_numba")
def test_without_numba_it_says_what_to_install():
    with pytest.raises(ValueError, match=r"engine 'numba' needs Numba .*numba"):
        make()
    make(engine="torch").update()
    agent = make(engine="auto")
    agent.update()
    assert type(agent.engine) is TorchEngine


@pytest.mark.usefixtures("not_imported")
def test_where_no_code_can_be_kept_it_says_what_to_set(monkeypatch):
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


@pytest.mark.parametrize(
    ("optimizer", "engine"),
    [
        ("adam(betas=(0.9, 0.99), eps=1e-6)", "numba"),
        ("muon(momentum=0.9)", "numba"),
        ("adam(weight_decay=0.1)", "torch"),
        ("adamw", "torch"),
    ],
)
def test_adam_with_other_betas_is_compiled(optimizer, engine):
    agent = make(optimizer=optimizer, engine="auto")
    assert agent.engine.name == engine
    twin = make(optimizer=optimizer, engine="torch")
    for _ in range(3):
        batch = agent.sample_trajectories(16)
        assert agent.engine.step(batch) == pytest.approx(twin.engine.step(batch), rel=1e-4)
