"""Trust region steps against explicit matrices and exact divergences."""

import itertools

import numpy as np
import pytest
import torch

from agents.losses import policy_gradient as pg
from agents.losses import trust_region
from agents.policies.masking import masked_log_softmax
from agents.policies.mlp import MLP
from gfn_envs import exact
from tests.agents.losses.enumerated import Enumerated, tensor

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})


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
    product = trust_region.fisher_product(table(), weights, parameters)
    size = sum(parameter.numel() for parameter in parameters)
    found = torch.stack([product(row) for row in torch.eye(size, dtype=torch.float64)])
    # The Hessian of the KL, and the Fisher matrix itself: the expected square of the score.
    gradients = torch.autograd.grad(pg.kl_divergence(old, table(), weights), parameters, create_graph=True)
    gradient = torch.cat([each.reshape(-1) for each in gradients])
    hessian = torch.stack([trust_region.flat_gradient(entry, parameters) for entry in gradient])
    fisher = torch.zeros_like(hessian)
    for state, action in itertools.product(range(6), range(3)):
        if old[state, action] > -1e3:
            score = trust_region.flat_gradient(table()[state, action], parameters)
            fisher += weights[state] * old[state, action].exp() * torch.outer(score, score)
    torch.testing.assert_close(found, fisher, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found, hessian, rtol=1e-9, atol=1e-12)
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
        trust_region.fisher_product(all_.table()[inner], visits, [all_.logits]),
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
        parameters,
        surrogate,
        lambda: pg.kl_divergence(old, table(), weights),
        trust_region.fisher_product(table(), weights, parameters),
        radius=1e-2,
        damping=1e-1,
        backtracks=4,
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
    fisher = trust_region.fisher_product(table(), weights, parameters)
    score = lambda: table()[[0, 2, 3], 0].sum()  # noqa: E731
    assert not trust_region.trust_region_step(parameters, score, kl, fisher, 1e-2, 1e-1).accepted
    assert all(torch.equal(a, b) for a, b in zip(parameters, before, strict=True))
