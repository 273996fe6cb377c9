"""Penalties on residuals against their formulas, and what clamping does to gradients."""

import numpy as np
import pytest
import torch

import agents
from agents.config import PenaltySettings
from agents.losses.penalty import penalty
from tests.agents.tabular import ExactFlows, Walks, packed
from tests.helpers import UNEVEN_EDGES, TableDag

#: loss -> (value, derivative)
FORMULAS = {
    "squared": (lambda d: d**2, lambda d: 2 * d),
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
    np.testing.assert_allclose(value, FORMULAS[loss][0](RESIDUALS), rtol=1e-12, atol=1e-15)
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
    with pytest.raises(ValueError, match=r"loss must be 'squared'.*'huber'.*'log-cosh', got"):
        PenaltySettings(loss=loss)
    with pytest.raises(ValueError, match="loss must be 'squared', 'huber' or 'log-cosh'"):
        penalty(torch.zeros(1), loss)


@pytest.mark.parametrize("clamp", [0.0, -1.0, float("nan")])
def test_bounds_that_are_not_positive_are_refused(clamp):
    with pytest.raises(ValueError, match="clamp_loss must be > 0"):
        PenaltySettings(clamp_loss=clamp)


@pytest.mark.parametrize("loss", ["squared", "huber", "log-cosh"])
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
