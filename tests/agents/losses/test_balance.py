"""Identities of the objectives, in double precision, on DAGs whose flows are known exactly."""

import numpy as np
import pytest
import torch

from agents.losses.balance import (
    COMPLETE,
    EDGES,
    EDGES_BEFORE_STOP,
    Balance,
    Pairs,
    balance_loss,
    paths,
    select,
    sub_trajectories,
)
from agents.losses.flow_matching import flow_matching
from agents.losses.segments import segment_sum
from agents.rollout import sample_forward
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.agents.losses import papers
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

    def loss(self, name, log_pf=None):
        """The loss of agents/losses/balance.py."""
        log_pf = self.log_pf if log_pf is None else log_pf
        return balance_loss(log_pf, self.log_pb, self.flow(name), self.batch.offsets, BALANCES[name])[0]

    def flow(self, name):
        if name not in ("tb", "vargrad"):
            return self.log_flow
        flow = torch.zeros_like(self.log_flow).index_copy(0, torch.tensor(self.batch.last), self.log_reward)
        first = self.offsets[:-1]
        return flow.index_copy(0, first, self.log_z.expand(len(first))) if name == "tb" else flow

    def printed(self, name, log_pf, log_pb, log_flow):
        """The loss as the paper prints it."""
        batch = self.batch
        if name == "tb":
            log_z = log_flow[self.offsets[:-1]]
            return papers.trajectory_balance(log_pf, log_pb, log_z, self.log_reward, self.edge_offsets).square().mean()
        if name == "vargrad":
            residual = papers.log_partition_variance(log_pf, log_pb, self.log_reward, self.edge_offsets)
            return residual.square().mean()
        if name == "db":
            residual = papers.detailed_balance(log_pf, log_pb, log_flow[batch.sources], log_flow[batch.targets])
            per_trajectory = torch.segment_reduce(residual.square(), "mean", offsets=self.edge_offsets)
            return per_trajectory.mean()
        if name.startswith("pcl"):
            residuals = []
            for t, (begin, end) in enumerate(zip(batch.offsets[:-1], batch.offsets[1:], strict=True)):
                for i in range(begin, end - 1):
                    j = min(i + (int(name[4:]) if name[4:] else end), end - 1)
                    edges = slice(i - t, j - t)
                    residuals.append(log_flow[i] - log_flow[j] + (log_pf - log_pb)[edges].sum())
            return torch.stack(residuals).square().mean()
        return papers.subtrajectory_balance(log_pf, log_pb, log_flow, self.offsets, 0.9, name.split("-")[1])


BALANCES = {
    "tb": Balance(COMPLETE, flow="log_z"),
    "vargrad": Balance(COMPLETE, flow="none", centered=True),
    "db": Balance(EDGES, flow="network"),
    "subtb-trajectory": Balance(sub_trajectories(0.9), flow="network"),
    "subtb-batch": Balance(sub_trajectories(0.9, "batch"), flow="network"),
    "pcl-": Balance(paths(None), flow="network"),
    "pcl-2": Balance(paths(2), flow="network"),
}


NAMES = list(BALANCES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_zero_at_exact_flows_and_not_after_any_perturbation(name, env_id, kwargs):
    flows = Flows(env_id, kwargs)
    assert flows.loss(name).item() < 1e-20
    for edge in range(flows.batch.num_edges):
        bump = torch.zeros_like(flows.log_pf)
        bump[edge] = 0.1
        assert flows.loss(name, flows.log_pf + bump).item() > 1e-12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_losses_and_gradients_are_those_of_the_papers(name, env_id, kwargs):
    flows = Flows(env_id, kwargs)
    log_pf, log_pb, log_flow = inputs = noisy(flows)
    if name == "tb":  # One log Z for all trajectories, and log R at their ends.
        log_flow = torch.zeros_like(log_flow).index_copy(0, torch.tensor(flows.batch.last), flows.log_reward)
        log_flow = log_flow.index_fill(0, flows.offsets[:-1], 0.3).requires_grad_()
        inputs = log_pf, log_pb, log_flow
    given = flows.flow(name) if name == "vargrad" else log_flow
    found = balance_loss(log_pf, log_pb, given, flows.batch.offsets, BALANCES[name])[0]
    expected = flows.printed(name, log_pf, log_pb, log_flow)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)
    used = inputs[:2] if name == "vargrad" else inputs
    terminal = torch.zeros(len(flows.states), dtype=torch.bool)
    terminal[flows.batch.last] = True
    for a, b in zip(gradients(found, used), gradients(expected, used), strict=True):
        # log R is not a parameter.
        keep = ~terminal if len(a) == len(terminal) else slice(None)
        torch.testing.assert_close(a[keep], b[keep], rtol=1e-8, atol=1e-12)


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
    largest = edge_flow.argmax(keepdims=True)
    np.logaddexp.at(bumped, graph.target[largest], edge_flow[largest])
    for eps in (0.0, 1e-3):
        assert flow_matching(tensor(inflow[1:]), tensor(outflow[1:]), eps).abs().max() < 1e-10
        assert flow_matching(tensor(bumped[1:]), tensor(outflow[1:]), eps).abs().max() > 1e-4


def noisy(flows, seed=1):
    rng = np.random.default_rng(seed)
    terminal = torch.zeros(len(flows.states), dtype=torch.bool)
    terminal[flows.batch.last] = True
    log_pf = (flows.log_pf + tensor(rng.normal(size=len(flows.log_pf)))).detach().requires_grad_()
    log_pb = (flows.log_pb + tensor(rng.normal(size=len(flows.log_pf)))).detach().requires_grad_()
    noise = tensor(rng.normal(size=len(flows.states))).masked_fill(terminal, 0.0)
    return log_pf, log_pb, (flows.log_flow + noise).detach().requires_grad_()


def subtb(log_pf, log_pb, log_flow, flows, lamda, weighting, longest=None):
    balance = Balance(sub_trajectories(lamda, weighting, longest), flow="network")
    return balance_loss(log_pf, log_pb, log_flow, flows.batch.offsets, balance)[0]


def gradients(loss, inputs):
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("weighting", ["trajectory", "batch"])
@pytest.mark.parametrize("lamda", [0.1, 0.9, 1.0, 1.9])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_subtb_equals_the_triple_loop(weighting, lamda, env_id, kwargs):
    flows = Flows(env_id, kwargs)
    inputs = noisy(flows)
    fast = subtb(*inputs, flows, lamda, weighting)
    slow = papers.subtrajectory_balance(*inputs, flows.offsets, lamda, weighting)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=0)
    for a, b in zip(gradients(fast, inputs), gradients(slow, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighting", ["trajectory", "batch"])
@pytest.mark.parametrize("lamda", [0.9, 1.9])
@pytest.mark.parametrize("longest", [1, 2, 4, 1000])
def test_subtb_of_short_parts_equals_the_triple_loop(longest, lamda, weighting):
    flows = Flows("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}, n=4)
    inputs = noisy(flows)
    assert flows.batch.lengths.max() > 4
    short = subtb(*inputs, flows, lamda, weighting, longest)
    expected = papers.subtrajectory_balance(*inputs, flows.offsets, lamda, weighting, longest)
    torch.testing.assert_close(short, expected, rtol=1e-10, atol=0)
    for a, b in zip(gradients(short, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
    exact_flows = flows.log_pf, flows.log_pb, flows.log_flow
    assert subtb(*exact_flows, flows, lamda, weighting, longest).item() < 1e-20


def test_parts_of_no_steps_are_refused():
    with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
        sub_trajectories(0.9, longest=0)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_subtb_interpolates_between_db_and_tb(env_id, kwargs):
    flows = Flows(env_id, kwargs)
    log_pf, log_pb, log_flow = inputs = noisy(flows)
    db = papers.detailed_balance(log_pf, log_pb, log_flow[flows.batch.sources], log_flow[flows.batch.targets])
    low = subtb(*inputs, flows, 1e-12, "batch")
    log_z = log_flow[flows.offsets[:-1]]
    tb = papers.trajectory_balance(log_pf, log_pb, log_z, flows.log_reward, flows.edge_offsets)
    high = subtb(*inputs, flows, 1e12, "trajectory")
    for found, limit in ((low, db.square().mean()), (high, tb.square().mean())):
        torch.testing.assert_close(found, limit, rtol=1e-9, atol=1e-12)
        terminal = torch.zeros(len(flows.states), dtype=torch.bool)
        terminal[flows.batch.last] = True
        for a, b in zip(gradients(found, inputs), gradients(limit, inputs), strict=True):
            # log R is not a parameter, and trajectory balance takes it apart from log F.
            keep = ~terminal if len(a) == len(terminal) else slice(None)
            torch.testing.assert_close(a[keep], b[keep], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_vargrad_has_the_gradient_of_tb_at_the_best_log_z(env_id, kwargs):
    flows = Flows(env_id, kwargs)
    log_pf, log_pb, _ = noisy(flows)
    score = segment_sum(log_pf - log_pb, flows.edge_offsets) - flows.log_reward
    best = -score.mean().detach()
    tb = papers.trajectory_balance(log_pf, log_pb, best, flows.log_reward, flows.edge_offsets).square().mean()
    vargrad = papers.log_partition_variance(log_pf, log_pb, flows.log_reward, flows.edge_offsets).square().mean()
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
    assert papers.modified_detailed_balance(*arguments).abs().max() < 1e-10
    arguments[0][5] += 0.1
    assert papers.modified_detailed_balance(*arguments).abs().max() == pytest.approx(0.1)


@pytest.mark.parametrize("lamda", [0.0, -1.0, float("inf"), float("nan")])
def test_bad_lambda(lamda):
    flows = Flows("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
    with pytest.raises(ValueError, match="lambda"):
        subtb(flows.log_pf, flows.log_pb, flows.log_flow, flows, lamda, "trajectory")


def test_edges_that_stop_are_left_out_and_a_batch_without_pairs_has_no_loss():
    offsets = np.array([0, 2, 5])
    first, last, weight, _ = select(EDGES_BEFORE_STOP, offsets)
    assert (first.tolist(), last.tolist(), weight.tolist()) == ([2], [3], [1.0])
    zeros = torch.zeros(1), torch.zeros(1), torch.zeros(2, requires_grad=True)
    loss, _ = balance_loss(*zeros, offsets[:2], Balance(EDGES_BEFORE_STOP, flow="stop"))
    loss.backward()
    assert loss.item() == 0


@pytest.mark.parametrize(
    ("short", "general"),
    [
        (COMPLETE, Pairs(from_source=True, shortest=1000)),
        (EDGES, Pairs(decay=1e-30)),
        (EDGES_BEFORE_STOP, Pairs(decay=1e-30, terminal=False, over="batch")),
        (Pairs(longest=1, terminal=False), Pairs(decay=1e-30, terminal=False)),
    ],
)
def test_rules_computed_in_fewer_operations_agree_with_the_general_ones(short, general):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 20)
    offsets = np.concatenate([[0], (lengths + 1).cumsum()])
    log_pf, log_pb = torch.from_numpy(rng.normal(size=(2, lengths.sum())))
    log_flow = torch.from_numpy(rng.normal(size=offsets[-1]))
    values = [balance_loss(log_pf, log_pb, log_flow, offsets, Balance(rule, "network"))[0] for rule in (short, general)]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-12)


@pytest.mark.parametrize(
    "pairs", [COMPLETE, EDGES, sub_trajectories(0.9), paths(2)], ids=["all", "edges", "parts", "2"]
)
def test_flows_of_second_states_can_come_from_elsewhere(pairs):
    """If they are larger by 1, so are they in every residual; the weights add up to 1."""
    offsets = np.array([0, 3, 8, 10])
    log_pf, log_pb = tensor(np.arange(7.0)), tensor(np.arange(7.0) ** 2)
    log_flow = tensor(np.arange(10.0) / 7)
    own, other = (
        balance_loss(log_pf, log_pb, log_flow, offsets, Balance(pairs, "network"), torch.clone, end_flow)[0]
        for end_flow in (None, log_flow + 1)
    )
    assert float(own - other) == pytest.approx(1)
