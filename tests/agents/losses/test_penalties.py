"""Penalties on residuals against their formulas, and what clamping does to gradients."""

import numpy as np
import pytest
import torch

import agents
from agents.config import PenaltySettings
from agents.losses.penalty import penalty
from gfn_envs import exact
from tests.agents.tabular import ExactFlows, Walks, all_paths, packed, tensor
from tests.helpers import UNEVEN_EDGES, TableDag


def tangent(value, slope, bound):
    """A function and its derivative, continued by tangents beyond ``bound`` on either side."""
    inside = lambda d: np.clip(d, -bound, bound)  # noqa: E731
    return lambda d: value(inside(d)) + slope(inside(d)) * (d - inside(d)), lambda d: slope(inside(d))


def below(value, slope, bound):
    """The same for d < -bound only."""
    inside = lambda d: np.maximum(d, -bound)  # noqa: E731
    return lambda d: value(inside(d)) + slope(inside(d)) * (d - inside(d)), lambda d: slope(inside(d))


#: loss -> (value, derivative)
FORMULAS = {
    "squared": (lambda d: d**2, lambda d: 2 * d),
    "half-squared": (lambda d: d**2 / 2, lambda d: d),
    "shifted-cosh": tangent(lambda d: np.exp(d) + np.exp(-d) - 2, lambda d: np.exp(d) - np.exp(-d), 20),
    "linex": below(lambda d: np.expm1(-d) + d, lambda d: -np.expm1(-d), 20),
    "linex-half": below(lambda d: 4 * (np.expm1(-d / 2) + d / 2), lambda d: -2 * np.expm1(-d / 2), 40),
    "huber": (lambda d: np.where(abs(d) <= 1, d**2 / 2, abs(d) - 0.5), lambda d: np.clip(d, -1, 1)),
    "log-cosh": (lambda d: np.logaddexp(d, -d) - np.log(2), np.tanh),
}
RESIDUALS = np.array([-1e4, -300.0, -10.001, -9.999, -1.5, -1.0, -0.3, 0.0, 1e-4, 0.7, 1.0, 2.0, 9.999, 10.001, 1e4])


def penalized(loss, clamp, dtype=torch.float64):
    residual = torch.tensor(RESIDUALS, dtype=dtype, requires_grad=True)
    value = penalty(residual, loss, clamp)
    value.sum().backward()
    return value.detach().numpy(), residual.grad.numpy()


@pytest.mark.parametrize("loss", FORMULAS)
def test_values_and_gradients(loss):
    value, gradient = penalized(loss, None)
    np.testing.assert_allclose(value, FORMULAS[loss][0](RESIDUALS), rtol=1e-7 if loss == "shifted-cosh" else 1e-12)
    np.testing.assert_allclose(gradient, FORMULAS[loss][1](RESIDUALS), rtol=1e-12, atol=1e-15)
    single, single_gradient = penalized(loss, None, torch.float32)
    assert np.isfinite(single).all()
    np.testing.assert_allclose(single, value, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(single_gradient, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize("clamp", [0.5, 100.0])
def test_a_clamped_penalty_teaches_nothing_beyond_its_bound(loss, clamp):
    value, gradient = penalized(loss, clamp)
    free, slope = (formula(RESIDUALS) for formula in FORMULAS[loss])
    np.testing.assert_allclose(value, np.minimum(free, clamp), rtol=1e-12, atol=1e-15)
    beyond = free > clamp
    assert beyond.any()
    assert (gradient[beyond] == 0).all()
    np.testing.assert_allclose(gradient[free < clamp], slope[free < clamp], rtol=1e-12, atol=1e-15)


def test_clamping_squared_residuals_at_100_cuts_at_10():
    _, gradient = penalized("squared", 100.0)
    np.testing.assert_array_equal(gradient != 0, (abs(RESIDUALS) <= 10) & (RESIDUALS != 0))


def test_nothing_is_clamped_by_default():
    configs = [agent.config_class() for agent in agents.AGENTS.values()]
    assert all(config.clamp_loss is None for config in configs if isinstance(config, PenaltySettings))
    assert PenaltySettings().loss == "squared"


@pytest.mark.parametrize("loss", FORMULAS)
@pytest.mark.parametrize("clamp", [None, 0.2])
@pytest.mark.parametrize("name", ["db", "tb", "vargrad", "subtb", "fm", "fldb", "flsubtb"])
def test_agents_penalize_as_configured(name, loss, clamp):
    """One trajectory of one edge has one residual: all agents agree on it but VarGrad, whose is 0."""
    dag = TableDag([(0, 0, 1), (0, 1, 2)])
    agent = ExactFlows(dag).agent(name, loss=loss, clamp_loss=clamp)
    with torch.no_grad():
        # log F(s0), or log F of the edge, or log Z.
        agent.policy.flow_table[0] += 0.7
        if agent.log_z_parameter is not None:
            agent.log_z_parameter += 0.7
        if name == "fm":
            agent.policy.forward_table += 0.7
    value = agent.loss(packed(dag, [Walks(dag).through(0)])).item()
    expected = FORMULAS[loss][0](0.7) if clamp is None else min(FORMULAS[loss][0](0.7), clamp)
    if name == "vargrad":  # Its own term for log Z is left.
        expected = 0.7**2
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["square", "Huber", "", None])
def test_unknown_losses_are_refused(loss):
    with pytest.raises(ValueError, match=r"loss must be 'squared'.*'huber'.*'linex-half', got"):
        PenaltySettings(loss=loss)
    with pytest.raises(ValueError, match=r"loss must be 'squared', 'half-squared'.* or 'linex-half', got"):
        penalty(torch.zeros(1), loss)


#: loss -> sum over trajectories of a divergence between p = P_F and q = P_B R / Z, as tensors.
DIVERGENCES = {
    "squared": lambda p, q: 2 * (p * (p / q).log()).sum(),
    "half-squared": lambda p, q: (p * (p / q).log()).sum(),
    "linex": lambda p, q: (q * (q / p).log()).sum(),
    "linex-half": lambda p, q: 4 - 4 * (p * q).sqrt().sum(),
    "shifted-cosh": lambda p, q: (q * (q / p).log()).sum() + (p * p / q).sum() / 2,
}


@pytest.mark.parametrize("loss", DIVERGENCES)
def test_on_trajectories_of_the_policy_the_gradient_is_that_of_the_divergence(loss):
    """Hu et al. 2025, theorem 4.1, over all trajectories of a DAG."""
    dag = TableDag(UNEVEN_EDGES)
    agent = ExactFlows(dag).agent("tb", loss=loss)
    with torch.no_grad():
        agent.policy.forward_table += tensor(np.random.default_rng(0).normal(size=(dag.num_states, dag.num_actions)))
    paths = all_paths(dag)
    found, batch = agent.log_probs(packed(dag, paths)), packed(dag, paths)
    per_path = lambda edges: torch.stack([part.sum() for part in edges.split(batch.lengths.tolist())])  # noqa: E731
    p, q = (
        per_path(found.log_pf).exp(),
        (per_path(found.log_pb) + tensor(batch.log_reward) - agent.log_z).exp().detach(),
    )
    table = agent.policy.forward_table
    (expected,) = torch.autograd.grad(DIVERGENCES[loss](p, q), table, retain_graph=True)
    residual = p.log() - q.log()
    (actual,) = torch.autograd.grad((p.detach() * agent.penalty(residual)).sum(), table)
    assert expected.abs().max() > 0.01
    np.testing.assert_allclose(actual, expected, atol=1e-12)
    assert agent.log_z == pytest.approx(exact.log_partition(dag))


@pytest.mark.parametrize("clamp", [0.0, -1.0, float("nan")])
def test_bounds_that_are_not_positive_are_refused(clamp):
    with pytest.raises(ValueError, match="clamp_loss must be > 0"):
        PenaltySettings(clamp_loss=clamp)


@pytest.mark.parametrize("loss", FORMULAS)
def test_the_bound_holds_for_infinite_residuals_too_and_hides_no_nan(loss):
    residual = torch.tensor([0.5, 1e30, float("inf"), -float("inf")], requires_grad=True)
    value = penalty(residual, loss, 3.0)
    value.sum().backward()
    assert value.tolist() == [penalty(residual[:1], loss).item(), 3.0, 3.0, 3.0]
    assert residual.grad[0] > 0
    assert residual.grad[1:].tolist() == [0, 0, 0]
    assert penalty(torch.tensor([float("nan")]), loss, 3.0).isnan()


def test_a_clamped_agent_learns_nothing_from_a_residual_beyond_the_bound():
    dag = TableDag(UNEVEN_EDGES)
    for log_z, learns in ((9.0, True), (50.0, False)):
        agent = ExactFlows(dag).agent("tb", clamp_loss=100.0)
        with torch.no_grad():
            agent.log_z_parameter += log_z
        agent.loss(agent.sample_trajectories(8)).backward()
        assert bool(agent.log_z_parameter.grad) == learns
        assert bool(agent.policy.forward_table.grad.any()) == learns
