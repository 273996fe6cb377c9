"""Policy gradients: identities in double precision on small DAGs, and the agents that use them."""

import itertools

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.losses import policy_gradient as pg
from agents.losses.segments import segment_sum
from agents.policies.masking import masked_log_softmax
from gfn_envs import exact
from tests.agents.losses import papers
from tests.agents.losses.enumerated import Enumerated, tensor
from tests.helpers import TINY, small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})
NAMES = ["rl-u", "rl-b", "rl-g", "rl-t"]


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_expected_gradients_are_those_of_the_kl_and_half_those_of_trajectory_balance(env_id, kwargs):
    if env_id == "GFN/HyperGrid-v0":
        kwargs = GRID[1]
    all_ = Enumerated(env_id, kwargs)
    probability = all_.path_probability().detach()
    torch.testing.assert_close(probability.sum(), tensor(1.0))
    per_edge = torch.repeat_interleave(probability, all_.offsets.diff())
    costs = all_.costs()

    residual = papers.trajectory_balance(all_.log_pf(), all_.log_pb(), all_.log_z, all_.log_reward, all_.offsets)
    torch.testing.assert_close(segment_sum(costs, all_.offsets), residual.detach())
    tb = torch.autograd.grad((probability * residual.square()).sum(), (all_.logits, all_.log_z))
    kl = torch.autograd.grad(all_.kl(), all_.logits)[0]

    returns = pg.suffix_sums(costs, all_.offsets)
    rl = torch.autograd.grad(pg.policy_loss(per_edge * all_.log_pf(), returns, 1), all_.logits)[0]
    torch.testing.assert_close(rl, kl, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(2 * rl, tb[0], rtol=1e-10, atol=1e-13)
    assert kl.abs().max() > 1e-3
    # The gradient of log Z is the mean sum of costs; that sum is the KL, but for the error of log Z.
    gap = (per_edge * costs).sum()
    torch.testing.assert_close(2 * gap, tb[1])
    torch.testing.assert_close(gap, (all_.kl() + all_.log_z - exact.log_partition(all_.dag)).detach())
    # Any function of the state may be taken off: a value network leaves the expected gradient alone.
    values = tensor(np.random.default_rng(3).normal(size=len(all_.graph.states)))[all_.graph.source[all_.edges]]
    advantages = pg.generalized_advantages(costs, values, all_.offsets, 1.0)
    based = torch.autograd.grad(pg.policy_loss(per_edge * all_.log_pf(), advantages - 7.0, 1), all_.logits)[0]
    torch.testing.assert_close(based, kl, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_at_exact_flows_there_is_no_cost_and_no_gradient_and_elsewhere_there_are(env_id, kwargs):
    all_ = Enumerated(env_id, GRID[1] if env_id == "GFN/HyperGrid-v0" else kwargs)
    dag, graph = all_.dag, all_.graph
    with torch.no_grad():
        optimal = exact.optimal_edge_log_probabilities(dag, all_.edge_log_pb.numpy())
        all_.logits[graph.source, graph.action] = tensor(optimal)
        all_.log_z.fill_(exact.log_partition(dag))

    def gradient():
        costs = all_.costs()
        per_edge = torch.repeat_interleave(all_.path_probability().detach(), all_.offsets.diff())
        returns = pg.suffix_sums(costs, all_.offsets)
        loss = pg.policy_loss(per_edge * all_.log_pf(), returns, 1)
        return segment_sum(costs, all_.offsets), torch.autograd.grad(loss, all_.logits)[0]

    sums, slope = gradient()
    assert sums.abs().max() < 1e-10
    assert slope.abs().max() < 1e-13
    # Of an edge next to never taken, or taken next to always, a change goes unnoticed.
    taken = np.zeros(len(graph.source))
    np.add.at(taken, all_.edges, np.repeat(all_.path_probability().detach().numpy(), all_.offsets.diff().numpy()))
    noticed = (taken > 1e-4) & (np.exp(optimal) < 0.99)
    assert noticed.any()
    for edge in np.flatnonzero(noticed)[::7]:
        with torch.no_grad():
            all_.logits[graph.source[edge], graph.action[edge]] += 0.5
        sums, slope = gradient()
        assert sums.abs().max() > 1e-3
        assert slope.abs().max() > 1e-8
        with torch.no_grad():
            all_.logits[graph.source[edge], graph.action[edge]] -= 0.5


def test_the_backward_problem_is_the_kl_to_the_reference():
    all_ = Enumerated("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})
    graph, dag = all_.graph, all_.dag
    mask = dag.backward_mask(graph.states)
    logits = tensor(np.random.default_rng(1).normal(size=mask.shape)).requires_grad_()
    undo = dag.backward_action(graph.states[graph.source], graph.action)
    log_pb = masked_log_softmax(logits[1:], mask[1:])[graph.target - 1, undo][all_.edges]
    log_pf = all_.log_pf().detach()
    log_path_pb = segment_sum(log_pb, all_.offsets)
    kl = (log_path_pb.exp() * (log_path_pb - segment_sum(log_pf, all_.offsets))).sum()
    expected = torch.autograd.grad(kl, logits, retain_graph=True)[0]

    costs, offsets = pg.mirrored(pg.backward_costs(log_pb, log_pf), all_.offsets)
    returns = pg.suffix_sums(costs, offsets).flip(0)
    per_edge = torch.repeat_interleave(log_path_pb.exp().detach(), all_.offsets.diff())
    gradient = torch.autograd.grad(pg.policy_loss(per_edge * log_pb, returns, 1), logits)[0]
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("lamda", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("lengths", [[1], [1, 1], [5, 1, 2, 8, 3], [64, 1, 33, 200]])
def test_advantages_equal_the_loop(lamda, lengths):
    rng = np.random.default_rng(0)
    offsets = np.cumsum([0, *lengths])
    costs, values = rng.normal(size=(2, offsets[-1]))
    expected = np.empty_like(costs)
    for begin, end in itertools.pairwise(offsets):
        advantage = following = 0.0
        for t in reversed(range(begin, end)):
            advantage = costs[t] + following - values[t] + lamda * advantage
            expected[t], following = advantage, values[t]
    given = pg.generalized_advantages(tensor(costs), tensor(values), torch.tensor(offsets), lamda)
    np.testing.assert_allclose(given, expected, rtol=1e-11, atol=1e-11)
    if lamda == 1:
        returns = np.concatenate([costs[a:b][::-1].cumsum()[::-1] for a, b in itertools.pairwise(offsets)])
        np.testing.assert_allclose(given, returns - values, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_agents_come_close_to_the_target(name):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=6)
    iterations = 60 if name == "rl-t" else 200
    agent = agents.make_agent(
        name,
        dag,
        hidden=(64, 64),
        value_hidden=(64, 64),
        lr_log_z=f"0.1,1e-3,{iterations}",
        **({} if name == "rl-t" else {"lr": f"5e-3,1e-5,{iterations}"}),
    )
    agents.train(agent, iterations, progress=False)
    metrics = agents.evaluate(agent)
    assert metrics["tv"] < 0.05
    assert metrics["log_z_error"] < 0.05


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["policy", "values"])
def test_nan_is_reported_and_leaves_the_parameters_alone(name, where):
    agent = agents.make_agent(name, small_dag(*GRID), hidden=(8,), value_hidden=(8,), batch_size=4)
    agent.update()
    with torch.no_grad():
        list(getattr(agent, where).parameters())[-1].fill_(float("nan"))
    everything = [*agent.policy.parameters(), *agent.values.parameters(), agent.log_z_parameter]
    before = [p.detach().clone() for p in everything]
    with pytest.raises(FloatingPointError, match="NaN"):
        agent.update()
    assert agent.iteration == 1
    assert all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(everything, before, strict=True))


def test_each_policy_is_stepped_by_its_own_loss():
    agent = agents.make_agent("rl-b", small_dag(*GRID), hidden=(8,), batch_size=8)
    forward, backward = (list(network.parameters()) for network in agent.policy.networks)
    batch = agent.sample_trajectories(64)
    copies = [p.detach().clone() for p in forward + backward]
    agent.step_backward(batch)
    assert all(torch.equal(p, c) for p, c in zip(forward, copies, strict=False))
    assert not all(torch.equal(p, c) for p, c in zip(backward, copies[len(forward) :], strict=True))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("rl-u", {"backward": "learned"}, "has no setting backward"),
        ("rl-b", {"backward": "uniform"}, "has no setting backward"),
        ("rl-b", {"shared": True}, "shared must be False"),
        ("rl-u", {"lamda": 1.1}, "lamda"),
        ("rl-u", {"lr_value": -1}, "lr_value"),
        ("rl-u", {"value_hidden": (0,)}, "value_hidden"),
        ("rl-b", {"lamda_backward": 1.1}, "lamda_backward"),
        ("rl-b", {"backward_loss": "tb"}, "backward_loss must be"),
        ("rl-u", {"lamda_backward": 1.0}, "has no setting lamda_backward"),
        ("rl-g", {"guide": "none"}, "guide must be"),
        ("rl-t", {"trust_region": 0}, "trust_region"),
        ("rl-t", {"damping": 0}, "damping"),
        ("rl-t", {"max_grad_norm": 1.0}, "has no setting max_grad_norm"),
        ("rl-t", {"cg_iterations": 0}, "cg_iterations"),
    ],
)
def test_bad_settings_are_refused(name, settings, message):
    with pytest.raises(TypeError if "setting" in message else ValueError, match=message):
        agents.make_agent(name, small_dag(*GRID), **settings)
