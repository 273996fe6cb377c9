"""Identities of the objectives, in double precision, on DAGs whose flows are known exactly."""

import numpy as np
import pytest
import torch

from agents.losses import balance as objectives
from agents.rollout import sample_forward
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.helpers import TINY, small_dag


def tensor(array):
    return torch.tensor(np.array(array), dtype=torch.float64)


class Flows:
    """Exact log F, log P_F and log P_B of every state and edge, and a batch of trajectories to look them up on."""

    def __init__(self, env_id, kwargs, seed=0, n=12):
        dag = small_dag(env_id, kwargs)
        rng = np.random.default_rng(seed)
        self.dag, self.graph = dag, state_graph(dag)
        # An arbitrary backward policy.
        weight = rng.normal(size=len(self.graph.target))
        total = np.full(len(self.graph.states), -np.inf)
        np.logaddexp.at(total, self.graph.target, weight)
        self.edge_log_pb = weight - total[self.graph.target]
        self.state_log_flow = exact.log_flows(dag, self.edge_log_pb)
        self.edge_log_pf = exact.optimal_edge_log_probabilities(dag, self.edge_log_pb)
        uniform = lambda states: np.zeros((len(states), dag.num_actions), np.float32)  # noqa: E731
        self.batch = batch = sample_forward(dag, uniform, n, rng)
        key = {(int(s), int(a)): e for e, (s, a) in enumerate(zip(self.graph.source, self.graph.action, strict=True))}
        index = dag.state_index(batch.states)
        self.edges = np.array([key[s, a] for s, a in zip(index[batch.sources], batch.actions.tolist(), strict=True)])
        self.states = index
        self.log_pf = tensor(self.edge_log_pf[self.edges]).requires_grad_()
        self.log_pb = tensor(self.edge_log_pb[self.edges]).requires_grad_()
        self.log_flow = tensor(self.state_log_flow[index]).requires_grad_()
        self.log_reward = tensor(batch.log_reward)
        self.offsets, self.edge_offsets = torch.tensor(batch.offsets), torch.tensor(batch.edge_offsets)
        self.log_z = tensor(self.state_log_flow[0])

    def residual(self, name, log_pf=None):
        log_pf = self.log_pf if log_pf is None else log_pf
        if name == "tb":
            return objectives.trajectory_balance(log_pf, self.log_pb, self.log_z, self.log_reward, self.edge_offsets)
        if name == "vargrad":
            return objectives.log_partition_variance(log_pf, self.log_pb, self.log_reward, self.edge_offsets)
        source, target = self.log_flow[self.batch.sources], self.log_flow[self.batch.targets]
        if name == "db":
            return objectives.detailed_balance(log_pf, self.log_pb, source, target)
        weighting = name.split("-")[1]
        return objectives.subtrajectory_balance(log_pf, self.log_pb, self.log_flow, self.offsets, 0.9, weighting)


NAMES = ["tb", "vargrad", "db", "subtb-trajectory", "subtb-batch"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_zero_at_exact_flows_and_not_after_any_perturbation(name, env_id, kwargs):
    flows = Flows(env_id, kwargs)
    assert flows.residual(name).abs().max() < 1e-10
    for edge in range(flows.batch.num_edges):
        bump = torch.zeros_like(flows.log_pf)
        bump[edge] = 0.1
        assert flows.residual(name, flows.log_pf + bump).abs().max() > 1e-6


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_flow_matching_is_zero_at_exact_flows(env_id, kwargs):
    flows = Flows(env_id, kwargs)
    graph = flows.graph
    edge_flow = flows.state_log_flow[graph.source] + flows.edge_log_pf
    inflow, outflow = np.full((2, len(graph.states)), -np.inf)
    np.logaddexp.at(inflow, graph.target, edge_flow)
    np.logaddexp.at(outflow, graph.source, edge_flow)
    outflow[graph.terminal] = flows.dag.log_reward(graph.states[graph.terminal])
    bumped = inflow.copy()
    np.logaddexp.at(bumped, graph.target[3:4], edge_flow[3:4])
    for eps in (0.0, 1e-3):
        assert objectives.flow_matching(tensor(inflow[1:]), tensor(outflow[1:]), eps).abs().max() < 1e-10
        assert objectives.flow_matching(tensor(bumped[1:]), tensor(outflow[1:]), eps).abs().max() > 1e-4


def naive_subtrajectory_balance(log_pf, log_pb, log_flow, offsets, lamda, weighting):
    """Three loops, as the paper defines it."""
    losses, weights = [], []
    for t, (begin, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
        loss, weight = 0.0, 0.0
        for i in range(begin, end):
            for j in range(i + 1, end):
                edges = slice(i - t, j - t)
                residual = log_flow[i] + log_pf[edges].sum() - log_flow[j] - log_pb[edges].sum()
                loss, weight = loss + lamda ** (j - i) * residual**2, weight + lamda ** (j - i)
        losses.append(loss)
        weights.append(weight)
    if weighting == "batch":
        return sum(losses) / sum(weights)
    return sum(loss / weight for loss, weight in zip(losses, weights, strict=True)) / len(losses)


def noisy(flows, seed=1):
    rng = np.random.default_rng(seed)
    terminal = torch.zeros(len(flows.states), dtype=torch.bool)
    terminal[flows.batch.last] = True
    log_pf = (flows.log_pf + tensor(rng.normal(size=len(flows.log_pf)))).detach().requires_grad_()
    log_pb = (flows.log_pb + tensor(rng.normal(size=len(flows.log_pf)))).detach().requires_grad_()
    noise = tensor(rng.normal(size=len(flows.states))).masked_fill(terminal, 0.0)
    return log_pf, log_pb, (flows.log_flow + noise).detach().requires_grad_()


def gradients(loss, inputs):
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("weighting", ["trajectory", "batch"])
@pytest.mark.parametrize("lamda", [0.1, 0.9, 1.0, 1.9])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_subtb_equals_the_triple_loop(weighting, lamda, env_id, kwargs):
    flows = Flows(env_id, kwargs)
    inputs = noisy(flows)
    fast = objectives.subtrajectory_balance(*inputs, flows.offsets, lamda, weighting)
    slow = naive_subtrajectory_balance(*inputs, flows.offsets, lamda, weighting)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    for a, b in zip(gradients(fast, inputs), gradients(slow, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_subtb_interpolates_between_db_and_tb(env_id, kwargs):
    flows = Flows(env_id, kwargs)
    log_pf, log_pb, log_flow = inputs = noisy(flows)
    db = objectives.detailed_balance(log_pf, log_pb, log_flow[flows.batch.sources], log_flow[flows.batch.targets])
    small = objectives.subtrajectory_balance(*inputs, flows.offsets, 1e-12, "batch")
    log_z = log_flow[flows.offsets[:-1]]
    tb = objectives.trajectory_balance(log_pf, log_pb, log_z, flows.log_reward, flows.edge_offsets)
    large = objectives.subtrajectory_balance(*inputs, flows.offsets, 1e12, "trajectory")
    for subtb, limit in ((small, db.square().mean()), (large, tb.square().mean())):
        torch.testing.assert_close(subtb, limit, rtol=1e-9, atol=1e-12)
        terminal = torch.zeros(len(flows.states), dtype=torch.bool)
        terminal[flows.batch.last] = True
        for a, b in zip(gradients(subtb, inputs), gradients(limit, inputs), strict=True):
            # log R is not a parameter, and trajectory balance takes it apart from log F.
            keep = ~terminal if len(a) == len(terminal) else slice(None)
            torch.testing.assert_close(a[keep], b[keep], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_vargrad_has_the_gradient_of_tb_at_the_best_log_z(env_id, kwargs):
    flows = Flows(env_id, kwargs)
    log_pf, log_pb, _ = noisy(flows)
    score = objectives.segment_sum(log_pf - log_pb, flows.edge_offsets) - flows.log_reward
    best = -score.mean().detach()
    tb = objectives.trajectory_balance(log_pf, log_pb, best, flows.log_reward, flows.edge_offsets).square().mean()
    vargrad = objectives.log_partition_variance(log_pf, log_pb, flows.log_reward, flows.edge_offsets).square().mean()
    torch.testing.assert_close(tb, vargrad)
    for a, b in zip(gradients(tb, (log_pf, log_pb)), gradients(vargrad, (log_pf, log_pb)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_modified_detailed_balance_is_zero_at_exact_flows():
    flows = Flows("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
    dag, graph = flows.dag, flows.graph
    stop = graph.action == dag.num_actions - 1
    log_stop, log_reward = np.zeros((2, len(graph.states)))
    log_stop[graph.source[stop]] = flows.edge_log_pf[stop]
    log_reward[graph.source[stop]] = dag.log_reward(graph.states[graph.target[stop]])
    go = ~stop
    arguments = [
        tensor(values)
        for values in (
            flows.edge_log_pf[go],
            flows.edge_log_pb[go],
            log_reward[graph.source[go]],
            log_reward[graph.target[go]],
            log_stop[graph.source[go]],
            log_stop[graph.target[go]],
        )
    ]
    assert objectives.modified_detailed_balance(*arguments).abs().max() < 1e-10
    arguments[0][5] += 0.1
    assert objectives.modified_detailed_balance(*arguments).abs().max() == pytest.approx(0.1)


@pytest.mark.parametrize("lamda", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_lambda(lamda):
    flows = Flows("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
    with pytest.raises(ValueError, match="lambda"):
        objectives.subtrajectory_balance(flows.log_pf, flows.log_pb, flows.log_flow, flows.offsets, lamda)
