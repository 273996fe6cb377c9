"""Policy gradients: identities in double precision on small DAGs, trust regions, and the agents that use them."""

import itertools

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.errors import UnsupportedError
from agents.gflownets.policy_gradient.guides import find_guide
from agents.losses import policy_gradient as pg
from agents.losses import trust_region
from agents.losses.segments import segment_sum
from agents.policies.masking import masked_log_softmax
from agents.policies.mlp import MLP
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.agents.losses import papers
from tests.helpers import TINY, small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})
NAMES = ["rl-u", "rl-b", "rl-g", "rl-t"]


def tensor(array):
    return torch.tensor(np.array(array), dtype=torch.float64)


class Enumerated:
    """Every trajectory of a small DAG, with a table of logits for P_F and an arbitrary P_B."""

    def __init__(self, env_id, kwargs, seed=0):
        self.dag = dag = small_dag(env_id, kwargs)
        self.graph = graph = state_graph(dag)
        rng = np.random.default_rng(seed)
        out = [np.flatnonzero(graph.source == s) for s in range(len(graph.states))]
        paths, unfinished = [], [[e] for e in out[0]]
        while unfinished:
            path = unfinished.pop()
            following = out[graph.target[path[-1]]]
            paths += [] if len(following) else [path]
            unfinished += [[*path, e] for e in following]
        self.paths, self.edges = paths, np.concatenate(paths)
        self.offsets = torch.tensor(np.cumsum([0] + [len(path) for path in paths]))
        weight = rng.normal(size=len(graph.source))
        total = np.full(len(graph.states), -np.inf)
        np.logaddexp.at(total, graph.target, weight)
        self.edge_log_pb = tensor(weight - total[graph.target])
        self.logits = tensor(rng.normal(size=(len(graph.states), dag.num_actions))).requires_grad_()
        self.log_z = tensor(0.3).requires_grad_()
        ends = graph.states[graph.target[[path[-1] for path in paths]]]
        self.log_reward = tensor(dag.log_reward(ends))
        self.mask = dag.forward_mask(graph.states)

    def table(self):
        return masked_log_softmax(self.logits, self.mask)

    def log_pf(self):
        """log P_F of the edges of all trajectories."""
        return self.table()[self.graph.source, self.graph.action][self.edges]

    def log_pb(self):
        return self.edge_log_pb[self.edges]

    def costs(self):
        return pg.forward_costs(self.log_pf(), self.log_pb(), self.log_reward, self.log_z, self.offsets)

    def path_probability(self):
        return segment_sum(self.log_pf(), self.offsets).exp()

    def kl(self):
        """KL(P_F || P_B R / Z), exactly, differentiable."""
        log_pf = segment_sum(self.log_pf(), self.offsets)
        log_pb = segment_sum(self.log_pb(), self.offsets)
        log_target = log_pb + self.log_reward - exact.log_partition(self.dag)
        return (log_pf.exp() * (log_pf - log_target)).sum()


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


def test_conjugate_gradient_solves_a_known_system():
    rng = np.random.default_rng(0)
    root, solution = tensor(rng.normal(size=(12, 12))), tensor(rng.normal(size=12))
    matrix = root @ root.T + torch.eye(12, dtype=torch.float64)
    given = trust_region.conjugate_gradient(lambda v: matrix @ v, matrix @ solution, iterations=40)
    torch.testing.assert_close(given, solution, rtol=1e-8, atol=1e-8)
    # With k distinct eigenvalues, k iterations are enough.
    spread = torch.tensor([1.0, 1.0, 5.0, 5.0, 9.0, 9.0], dtype=torch.float64)
    torch.testing.assert_close(
        trust_region.conjugate_gradient(lambda v: spread * v, 2 * spread, 3), torch.full_like(spread, 2)
    )
    assert torch.equal(trust_region.conjugate_gradient(lambda v: spread * v, 0 * spread), 0 * spread)


def tiny_network(seed=0):
    """A double-precision MLP with ten parameters or so, features of 6 states, and a mask with illegal actions."""
    torch.manual_seed(seed)
    network, features = MLP([2, 3, 3]).double(), torch.randn(6, 2, dtype=torch.float64)
    mask = np.ones((6, 3), dtype=bool)
    mask[[1, 4], [0, 2]] = False
    return network, lambda: masked_log_softmax(network(features), mask)


def test_fisher_vector_product_is_that_of_the_explicit_hessian():
    network, table = tiny_network()
    parameters = list(network.parameters())
    old, weights = table().detach(), tensor([0.1, 0.3, 0.1, 0.2, 0.2, 0.1])
    product = trust_region.hessian_product(pg.kl_divergence(old, table(), weights), parameters)
    size = sum(parameter.numel() for parameter in parameters)
    hessian = torch.stack([product(row) for row in torch.eye(size, dtype=torch.float64)])
    # The Fisher matrix itself: the expected square of the score.
    fisher = torch.zeros_like(hessian)
    for state, action in itertools.product(range(6), range(3)):
        if old[state, action] > -1e3:
            score = trust_region.flat_gradient(table()[state, action], parameters)
            fisher += weights[state] * old[state, action].exp() * torch.outer(score, score)
    torch.testing.assert_close(hessian, fisher, rtol=1e-9, atol=1e-12)
    assert fisher.abs().max() > 1e-3


def exact_trust_region_step(all_, radius):
    """A TRPO step of P_F with exact advantages and exact visits."""
    graph = all_.graph
    old = all_.table().detach()
    probability = old[graph.source, graph.action].exp().numpy()
    reach = exact.state_probabilities(all_.dag, probability)
    # Expected costs from each state on, level by level.
    costs = old[graph.source, graph.action].numpy() - all_.edge_log_pb.numpy()
    value = np.zeros(len(graph.states))
    value[graph.terminal] = -all_.dag.log_reward(graph.states[graph.terminal])
    advantage = np.empty(len(costs))
    for level in reversed(range(graph.num_levels)):
        edges = slice(graph.edge_offsets[level], graph.edge_offsets[level + 1])
        cost_to_go = costs[edges] + value[graph.target[edges]]
        np.add.at(value, graph.source[edges], probability[edges] * cost_to_go)
        advantage[edges] = cost_to_go - value[graph.source[edges]]
    edge_weight = tensor(reach[graph.source] * probability)
    length = edge_weight.sum()
    inner = np.flatnonzero(all_.mask.any(1))
    visits = tensor(reach[inner]) / length
    row, actions = np.searchsorted(inner, graph.source), torch.tensor(graph.action)
    # The mean over edges of `surrogate` becomes an expectation if each advantage is weighed by its edge.
    weighted = tensor(advantage) * edge_weight / length * len(advantage)
    return trust_region.trust_region_step(
        [all_.logits],
        lambda: pg.surrogate(all_.table()[inner], old[inner], torch.tensor(row), actions, weighted, visits),
        lambda: pg.kl_divergence(old[inner], all_.table()[inner], visits),
        radius,
        damping=1e-8,
        iterations=50,
    )


@pytest.mark.parametrize("radius", [1e-3, 1e-2, 1e-1])
def test_trust_region_steps_lower_the_exact_kl_every_time(radius):
    all_ = Enumerated(*GRID)
    kl = all_.kl().item()
    for _ in range(20):
        result = exact_trust_region_step(all_, radius)
        before, kl = kl, all_.kl().item()
        if before < 1e-12:  # The optimum, to rounding.
            break
        assert result.accepted
        assert 0 < result.kl <= radius
        assert kl < before
    assert kl < (0.6 if radius == 1e-3 else 1e-12)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_failed_line_search_restores_the_parameters_to_the_bit(value):
    network, table = tiny_network()
    parameters = list(network.parameters())
    old, weights = table().detach(), tensor([1 / 6] * 6)
    before, seen = [parameter.detach().clone() for parameter in parameters], []

    def surrogate():
        """Has a gradient, and never falls when one follows it."""
        seen.append(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
        score = table()[[0, 2, 3], 0].sum()
        return score if len(seen) == 1 else score * 0 + 1e9 + value

    result = trust_region.trust_region_step(
        parameters, surrogate, lambda: pg.kl_divergence(old, table(), weights), 1e-2, 1e-1, backtracks=4
    )
    assert result == trust_region.TrustRegionResult(False, 0.0, 0.0, 0)
    assert all(torch.equal(a, b) for a, b in zip(parameters, before, strict=True))
    # It did look at five other places.
    assert len({tuple(place.tolist()) for place in seen}) == 6


def test_a_trust_region_too_small_for_any_step_is_respected():
    network, table = tiny_network()
    parameters = list(network.parameters())
    old, weights = table().detach(), tensor([1 / 6] * 6)
    # A KL that is never small: nothing is accepted.
    kl = lambda: pg.kl_divergence(old, table(), weights) + 1.0  # noqa: E731
    before = [parameter.detach().clone() for parameter in parameters]
    assert not trust_region.trust_region_step(parameters, lambda: table()[[0, 2, 3], 0].sum(), kl, 1e-2, 1e-1).accepted
    assert all(torch.equal(a, b) for a, b in zip(parameters, before, strict=True))


def test_stopping_is_capped_where_rewards_are_low():
    log_p = tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]).clamp(min=1e-300).log()
    given = pg.capped_stop(log_p, torch.tensor([True, False, False]), np.log(1e-5)).exp()
    expected = tensor([[0.5, 0.25, 1e-5], [0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(given, expected / expected.sum(1, keepdim=True))


def test_guide_of_hypergrid_edge_by_edge():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16)
    batch = agent.sample_trajectories(16)
    given = agent.log_reference(batch, None)
    sources = batch.states[batch.sources]
    probability = agent.probabilities(sources)
    for edge, (state, action) in enumerate(zip(sources, batch.actions, strict=True)):
        p = probability[edge].copy()
        if dag.reward(state[None, :-1])[0] <= 0.1:
            p[-1] = min(p[-1], 1e-5)
        assert given[edge].item() == pytest.approx(np.log(p[action] / p.sum()), abs=1e-4)
    assert not given.requires_grad


STRINGS = ("GFN/TFBind8-v0", {"length": 3, "table": [1.0 + i % 7 for i in range(64)], "construction": "fill"})


@pytest.mark.parametrize("sums", [True, False])
def test_guide_of_strings_edge_by_edge(sums):
    """Niu et al. 2024: over the children that lead to x, by mean rewards of all objects seen."""
    dag = small_dag(*STRINGS)
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16)
    for _ in range(2):
        agent.update()
    if not sums:
        agent.parts.sums = None
    batch = agent.sample_trajectories(12)
    agent.seen.add(batch.terminal_states, batch.log_reward)
    agent.parts.add(batch.terminal_states, batch.log_reward)
    given = agent.log_reference(batch, torch.zeros(batch.num_edges))
    reward = np.exp(agent.seen.log_reward)
    ends = np.repeat(batch.terminal_states, batch.lengths, axis=0)
    for edge, (state, action, end) in enumerate(zip(batch.states[batch.sources], batch.actions, ends, strict=True)):
        _, children, actions = dag.children(state[None])
        inside = dag.contains(children, end[None])[:, 0]
        scores = [reward[dag.contains(child[None], agent.seen.objects)[0]].mean() for child in children[inside]]
        expected = scores[actions[inside].tolist().index(action)] / sum(scores)
        assert given[edge].item() == pytest.approx(np.log(expected), abs=1e-5)
    assert agents.make_agent("rl-g", dag, guide="agreement").guide is not agent.guide


def test_guide_of_bayesian_networks_edge_by_edge():
    dag = small_dag("GFN/BayesNet-v0", {"num_nodes": 3, "num_samples": 20})
    threshold = 2.0
    agent = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=16, guide_threshold=threshold)
    batch = agent.sample_trajectories(30)
    given = agent.log_reference(batch, None)
    sources = batch.states[batch.sources]
    probability, low = agent.probabilities(sources), 0
    for edge, (state, action) in enumerate(zip(sources, batch.actions, strict=True)):
        p = probability[edge].copy()
        if dag.log_reward(dag.step(state[None], np.array([dag.num_actions - 1])))[0] <= threshold and p[:-1].any():
            p[-1], low = min(p[-1], 1e-10), low + 1
        assert given[edge].item() == pytest.approx(np.log(p[action] / p.sum()), abs=1e-4)
    assert 0 < low < batch.num_edges
    info = agents.make_agent("rl-g", dag, hidden=(16,), batch_size=8, backward_loss="squared").update()
    assert info["backward_loss"] > 0


def test_the_squared_loss_of_p_b_is_trajectory_balance_with_the_reference():
    agent = agents.make_agent("rl-b", small_dag(*GRID), hidden=(8,), batch_size=8, backward_loss="squared", lr=0.0)
    batch = agent.sample_trajectories(8)
    state = agent.rng.bit_generator.state
    value = agent.step_backward(batch)["backward_loss"]
    agent.rng.bit_generator.state = state
    mirrored = agent.sample_backward(batch.terminal_states, batch.log_reward)
    found = agent.log_probs(mirrored)
    residual = papers.trajectory_balance(
        found.log_pf, found.log_pb, agent.log_z_parameter, torch.from_numpy(mirrored.log_reward),
        torch.from_numpy(mirrored.edge_offsets),
    )  # fmt: skip
    assert value == pytest.approx(residual.square().mean().item(), rel=1e-5)


def test_rl_g_resumes_with_its_guide():
    dag = small_dag(*STRINGS)
    agent, other = (agents.make_agent("rl-g", dag, hidden=(8,), batch_size=4, seed=seed) for seed in (0, 1))
    agent.update()
    other.load_state_dict(agent.state_dict())
    assert other.update() == agent.update()
    old = {key: value for key, value in agent.state_dict().items() if key != "parts"}
    other.load_state_dict(old)
    assert other.update() == agent.update()


class BagWithoutContainment(gfn_envs.Bag):
    contains = gfn_envs.Dag.contains


def test_environments_without_a_guide_are_refused():
    with pytest.raises(UnsupportedError, match=r"BagWithoutContainment.* has none.*HyperGrid"):
        find_guide(BagWithoutContainment())
    with pytest.raises(UnsupportedError, match=r"HyperGrid.*sparse.* has none.*R0"):
        find_guide(gfn_envs.make_dag("GFN/HyperGrid-v0", reward="sparse"))
    for reward in ("standard", "hard", "cosine", "deceptive", "bitwise_xor"):
        find_guide(gfn_envs.make_dag("GFN/HyperGrid-v0", reward=reward))


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
