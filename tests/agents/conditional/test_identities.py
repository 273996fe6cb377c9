"""Exact identities of conditional agents: zero loss at exact flows, one condition as none, and the best log Z."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import Trajectories, rollout
from agents.distributed.engine import check as distributed_check
from agents.errors import UnsupportedError
from agents.policies import Heads, Policy
from agents.registry import GFLOWNETS
from agents.trajectories import concatenate
from gfn_envs import exact
from gfn_envs.conditions import Conditioned, Preferences, conditioned
from tests.agents.tabular import BALANCE, ExactFlows
from tests.helpers import TINY, small_dag

GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3)
BETAS = np.array([[0.5], [2.0], [8.0]], dtype=np.float32)
#: Objectives that are balances: the agents that learn flows or log Z by squares of residuals.
ZERO_AT_FLOWS = [name for name in BALANCE if name not in ("gtb", "cb")]
LEARNS = {*ZERO_AT_FLOWS, "a2c-er", "munchausen-dqn", "pcl", "ppo", "reinforce", "sac", "soft-dqn", "trust-pcl"}


def with_conditions(dag: Conditioned, batch: Trajectories, conditions: np.ndarray) -> Trajectories:
    """A batch of the environment as rows: trajectory i has condition i."""
    each = np.repeat(conditions, batch.lengths + 1, axis=0)
    states = np.concatenate([dag.join(batch.states[i : i + 1], each[i : i + 1]) for i in range(len(each))])
    return dataclasses.replace(batch, states=states, log_reward=dag.log_reward(states[batch.last]))


def random_batch(dag: Conditioned, conditions: np.ndarray, seed: int = 0) -> Trajectories:
    """One trajectory of uniformly random actions per condition."""
    uniform: Any = lambda states: np.zeros((len(states), dag.num_actions), np.float32)  # noqa: E731
    batch = rollout.sample_forward(dag.base, uniform, len(conditions), np.random.default_rng(seed))
    return with_conditions(dag, batch, conditions)


class OnePerCondition(Policy):
    """A policy on states for each of a few conditions."""

    def __init__(self, dag: Conditioned, conditions: np.ndarray, policies: list[Policy]):
        super().__init__()
        self.dag, self.conditions, self.policies = dag, conditions, torch.nn.ModuleList(policies)
        self.learns_backward, self.learns_flow = policies[0].learns_backward, policies[0].learns_flow

    def forward(self, states: np.ndarray) -> Heads:
        which = (self.dag.conditions_of(states)[:, None] == self.conditions[None]).all(2).argmax(1)
        found = [self.policies[k](self.dag.states_of(states[i : i + 1])) for i, k in enumerate(which)]
        parts = zip(*found, strict=True)
        return Heads(*(None if part[0] is None else torch.cat(part) for part in parts))

    def head(self, head: str) -> Any:
        return lambda states: getattr(self(states), f"{head}_logits")


@pytest.mark.parametrize("name", ZERO_AT_FLOWS)
def test_the_loss_is_zero_at_exact_conditional_flows(name: str) -> None:
    dag = conditioned(GRID, "temperature:0.5,8")
    flows = [ExactFlows(dag.at(beta), seed=k) for k, beta in enumerate(BETAS)]
    policy = OnePerCondition(dag, BETAS, [each.table(name) for each in flows])
    settings: dict[str, Any] = {"backward": "learned"} if name != "fm" else {}
    agent: Any = agents.make_agent(name, dag, policy=policy, **settings)
    if agent.log_z_parameter is not None:
        exact_log_z = dict(zip(BETAS[:, 0].tolist(), [each.log_z for each in flows], strict=True))
        agent._log_z = lambda c: torch.tensor([exact_log_z[beta] for beta in c[:, 0].tolist()], dtype=torch.float64)
    conditions = BETAS[np.arange(12) % 3]
    batch = random_batch(dag, conditions)
    with torch.no_grad():
        assert float(agent.loss(batch)) < 1e-20
        if name == "mdb":  # It takes every reward from the rows.
            return
        wrong = with_conditions(dag, random_batch_of_states(batch, dag), BETAS[(np.arange(12) + 1) % 3])
        assert float(agent.loss(dataclasses.replace(wrong, log_reward=batch.log_reward))) > 1e-3
    for each, beta in zip(flows, BETAS, strict=True):
        learned = exact.terminal_distribution(GRID, agent.at(beta).probabilities)
        if name != "fm":
            np.testing.assert_allclose(learned, exact.target_distribution(dag.at(beta)), atol=1e-6)
        if agent.at(beta).log_z is not None and name != "mdb":
            assert agent.at(beta).log_z == pytest.approx(each.log_z, abs=1e-5)


def random_batch_of_states(batch: Trajectories, dag: Conditioned) -> Trajectories:
    """A batch of rows without their conditions."""
    return dataclasses.replace(batch, states=dag.states_of(batch.states))


@pytest.mark.parametrize("name", ["tb", "subtb", "db", "vargrad", "fldb", "mdb", "fm", "soft-dqn", "ppo"])
def test_one_condition_is_the_unconditional_agent(name: str) -> None:
    """With the only condition beta = 2, the networks see nothing new, and R^2 is learned as an agent on R^2 does."""
    cubed = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=squared)
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=reward)
    settings: dict[str, Any] = {"seed": 3, "batch_size": 8, "hidden": (16,)}
    if name in GFLOWNETS and name != "fm":
        settings["engine"] = "torch"
    plain = agents.make_agent(name, cubed, **settings)
    agent: Any = agents.make_agent(name, dag, conditions="temperature:2", **settings)
    for _ in range(6):
        one, other = plain.update(), agent.update()
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-4, abs=1e-6)
    at = agent.at([2])
    states = np.concatenate(list(dag.levels()))
    inner = states[~dag.is_terminal(states)]
    np.testing.assert_allclose(at.probabilities(inner), plain.probabilities(inner), rtol=1e-3, atol=1e-5)
    if plain.log_z is not None:
        assert at.log_z == pytest.approx(plain.log_z, rel=1e-4, abs=1e-5)


def reward(cells: np.ndarray) -> np.ndarray:
    return 0.5 + (cells**2).sum(1) / 4


def squared(cells: np.ndarray) -> np.ndarray:
    return reward(cells) ** 2


def test_vargrad_subtracts_the_mean_of_each_condition() -> None:
    dag = conditioned(GRID, "temperature:0.5,8")
    agent: Any = agents.make_agent("vargrad", dag, seed=1)
    batch = random_batch(dag, np.repeat(BETAS, 4, axis=0))
    with torch.no_grad():
        loss = float(agent.loss(batch))
        parts = [batch.part(4 * k, 4 * k + 4) for k in range(3)]
        alone = [float(agent.loss(part)) for part in parts]
        assert loss == pytest.approx(np.mean(alone), rel=1e-5)
        found = agent.log_probs(parts[0])
        ratio = (found.log_pb - found.log_pf).double().numpy()
        values = np.add.reduceat(ratio, parts[0].edge_offsets[:-1]) + parts[0].log_reward
        learned = agent.log_z_of(parts[0]).double().numpy()
        expected = np.square(values - values.mean()).mean() + np.square(learned - values.mean()).mean()
        assert alone[0] == pytest.approx(expected, rel=1e-4)
        mixed = concatenate(*(parts[k].part(i, i + 1) for i in range(4) for k in range(3)))
        assert float(agent.loss(mixed)) == pytest.approx(loss, rel=1e-5)


def test_the_view_at_a_condition_is_the_agent_on_rows() -> None:
    dag = conditioned(GRID, Preferences({"a": lambda s: s[:, 0] / 2, "b": lambda s: s[:, 1] / 2}, exponent=4))
    for settings in ({}, {"condition_by": "film"}, {"network": "transformer", "width": 16, "heads": 2, "layers": 1}):
        agent: Any = agents.make_agent("subtb", dag, seed=2, **settings)
        condition = np.array([[0.25, 0.75]], dtype=np.float32)
        at = agent.at(condition)
        states = np.concatenate(list(GRID.levels()))
        inner = states[~GRID.is_terminal(states)]
        np.testing.assert_array_equal(at.probabilities(inner), agent.probabilities(dag.join(inner, condition)))
        assert abs(at.probabilities(inner) - agent.at([1, 0]).probabilities(inner)).max() > 1e-4
        for parameter in agent.modules["log_z"].parameters():
            parameter.data += 0.1
        expected = float(agent.policy(dag.join(GRID.source(1), condition)).log_flow.detach())
        expected += float(agent.modules["log_z"](condition).detach())
        np.testing.assert_allclose(agent.log_z_at(condition), expected, rtol=1e-6)


def test_flow_gaps_are_those_of_the_agent_at_each_condition() -> None:
    """They set the flows while rewards are tempered, so they see log Z(c) as a part of the flows."""
    dag = conditioned(GRID, "temperature:0.5,8")
    agent: Any = agents.make_agent("subtb", dag, seed=2)
    for parameter in agent.modules["log_z"].parameters():
        parameter.data += 0.1
    batch = random_batch(dag, BETAS)
    for k, beta in enumerate(BETAS):
        part = batch.part(k, k + 1)
        alone = agent.at(beta).flow_gaps(dataclasses.replace(part, states=dag.states_of(part.states)))
        np.testing.assert_allclose(agent.flow_gaps(batch)[k], alone[0], rtol=1e-5)


def test_film_embeds_each_state_and_condition_once() -> None:
    """Gradients see distinct states and conditions, rollouts see rows; both give the same logits, also after a step."""
    agent: Any = agents.make_agent("subtb", GRID, conditions="temperature:0.5,8", condition_by="film", hidden=(16, 16))
    inner = np.concatenate(list(GRID.levels()))[[0, 1, 2, 3, 4]]
    inner = inner[~GRID.is_terminal(inner)]
    rows = np.concatenate([agent.dag.join(inner, beta[None]) for beta in BETAS])
    rows = np.concatenate([rows, rows[::2]])
    embedded: list[int] = []
    (network,) = agent.policy.networks
    for part in (network.embedding, network.modulation):
        part.register_forward_hook(lambda _, given, out: embedded.append(len(out)))
    with torch.inference_mode():
        rollout_logits = agent.policy.head("forward")
        for _ in range(2):
            expected = agent.policy(rows).forward_logits
            assert embedded[-2:] == [3, len(inner)] or embedded[-2:] == [len(inner), 3]
            np.testing.assert_allclose(rollout_logits(rows), expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(rollout_logits(rows[4:7]), expected[4:7], rtol=1e-5, atol=1e-6)
            for parameter in agent.policy.parameters():
                parameter.add_(0.1)


def test_a_line_is_fitted_to_log_z() -> None:
    agent: Any = agents.make_agent("tb", GRID, conditions="temperature:0.5,8")
    betas = np.linspace(0.5, 8, 50, dtype=np.float32)[:, None]
    with torch.no_grad():
        agent.log_z_parameter += agent.modules["log_z"].fit(betas, 3 - 40.0 * betas[:, 0])
        np.testing.assert_allclose(agent.log_z_at(betas), 3 - 40 * betas[:, 0], rtol=0.05, atol=3)


def test_no_line_is_fitted_to_noise() -> None:
    agent: Any = agents.make_agent("tb", GRID, conditions=Preferences({f"f{i}": len for i in range(3)}))
    log_z, rng = agent.modules["log_z"], np.random.default_rng(0)
    for n in (2, 4, 16):
        gaps = rng.standard_normal(n) ** 3 * 100
        assert log_z.fit(agent.dag.conditions.sample(n, rng), gaps) == pytest.approx(gaps.mean())
    assert not log_z.slope.any()


@pytest.mark.parametrize("name", sorted(agents.AGENTS))
def test_every_agent_learns_with_conditions_or_says_why_not(name: str) -> None:
    config = agents.AGENTS[name].config_class
    known = {field.name for field in dataclasses.fields(config)}
    quick = {"hidden": (8,), "batch_size": 8, "num_steps": 8, "epochs": 1, "minibatches": 1, "gradient_steps": 1}
    settings = {k: v for k, v in quick.items() if k in known}
    try:
        agent: Any = agents.make_agent(name, GRID, conditions="temperature:0.5,8", **settings)
    except UnsupportedError:
        assert name not in LEARNS
        return
    info = agent.update()
    assert info["log_z"] is None
    assert np.isfinite(info["mean_log_reward"])
    np.testing.assert_allclose(agent.at([3]).probabilities(GRID.source(1)).sum(), 1)
    assert len(np.unique(agent.conditions_of(agent.last_batch))) > 1


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_every_environment(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    agent: Any = agents.make_agent("tb", dag, conditions="temperature:0.5,8", batch_size=4, hidden=(8,))
    agent.update()
    objects = agent.sample(3)
    assert dag.is_terminal(agent.dag.states_of(objects)).all()


def test_settings_that_contradict_conditions() -> None:
    def make(name: str = "tb", **settings: Any) -> Any:
        return agents.make_agent(name, GRID, conditions="temperature:0.5,8", **settings)

    for settings, message in [
        ({"engine": "numba"}, "engine 'numba' does not learn with conditions"),
        ({"condition_by": "concat", "network": "transformer"}, "'concat' needs network 'mlp'"),
        ({"condition_by": "film", "form": "ssr"}, "needs the policy form 'sa'"),
        ({"name": "vargrad", "per_condition": 1}, "per_condition must be at least 2"),
        ({"name": "vargrad", "replay": "fifo"}, "replay must be 'none'"),
        ({"relabel": True}, "relabel needs a replay buffer .* replay is 'none'"),
        ({"relabel": True, "replay": "loss"}, "relabel needs a replay buffer .* replay is 'loss'"),
        ({"relabel": True, "name": "fm"}, "relabel needs a replay buffer"),
        ({"relabel": True, "replay": "fifo", "replay_of": "trajectories"}, "replay_of must be 'objects'"),
        ({"condition_range": "0,2,10"}, r"condition_range must lie in \[0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(**settings)
    with pytest.raises(ValueError, match=r"the condition 9 is out of range: beta in \[0.5, 8\]"):
        make().at({"beta": 9})
    with pytest.raises(UnsupportedError, match="several processes needs an environment without conditions"):
        distributed_check(make(), 2)
    with pytest.raises(TypeError, match="has no setting condition_by"):
        agents.make_agent("tb", GRID, condition_by="film")
