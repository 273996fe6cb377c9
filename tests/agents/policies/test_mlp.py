"""Multi-layer perceptrons: leaky ReLU in both policy forms, and lists of ones as inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.policies.mlp import MLP, RIDGE

DAG = gfn_envs.make_dag("GFN/Bag-v0", num_letters=3, capacity=4, repeats=3)


@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_the_network_is_torchs(slope):
    torch.manual_seed(0)
    network, x = MLP([5, 7, 4, 3], slope), torch.randn(9, 5)
    layers = []
    for i, (weight, bias) in enumerate(network.layers):
        layer = torch.nn.Linear(*(weight.shape if i < 2 else weight.shape[::-1]))
        layer.weight.data, layer.bias.data = weight.data if i == 2 else weight.data.t(), bias.data
        layers += [layer, torch.nn.LeakyReLU(slope)]
    expected = torch.nn.Sequential(*layers[:-1])(x)
    torch.testing.assert_close(network(x), expected)
    with torch.inference_mode():
        torch.testing.assert_close(network.columns(1, 3)(x), expected[:, 1:])
        few = network.numpy_columns(1, 3)(x.numpy())
    np.testing.assert_allclose(few, expected[:, 1:].detach(), rtol=1e-5, atol=1e-6)


def test_lists_of_ones_are_features():
    """Outputs, columns of outputs and gradients are those of vectors of zeros and ones."""
    torch.manual_seed(0)
    network, lists = MLP([9, 6, 4]), torch.tensor([[0, 3, 8], [2, -1, -1], [-1, -1, -1], [-1, 7, 1]])
    x = torch.zeros(4, 10).scatter_(1, lists.where(lists >= 0, 9), 1.0)[:, :9]
    outputs, gradients = [], []
    for inputs in (x, lists):
        outputs.append(network(inputs))
        gradients.append(torch.autograd.grad(outputs[-1].square().sum(), list(network.parameters())))
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)
    with torch.inference_mode():
        torch.testing.assert_close(network.columns(1, 3)(lists), outputs[0][:, 1:3])


@pytest.mark.parametrize("name", ["tb", "db"])
def test_agents_read_lists_if_most_features_are_zero(name):
    """The same training as with features, up to rounding."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=13)
    lists, features = (agents.make_agent(name, dag, seed=0, hidden=(16,), engine="torch") for _ in range(2))
    assert lists.policy.inputs == dag.active_features
    features.policy.inputs = dag.encode
    for _ in range(3):
        a, b = lists.update()["loss"], features.update()["loss"]
        assert a == pytest.approx(b, rel=1e-4)


def test_features_of_a_subclass_are_its_own():
    """A subclass that overrides encode alone, and an instance with its own encode, are not read by lists."""

    class Doubled(gfn_envs.HyperGrid):
        def encode(self, states):
            return 2 * super().encode(states)

    class Renamed(gfn_envs.HyperGrid):
        pass

    patched = Renamed(ndim=2, side=13)
    assert agents.make_agent("tb", patched, hidden=(4,)).policy.inputs == patched.active_features
    patched.encode = lambda states: np.zeros((len(states), 26), dtype=np.float32)
    for dag in (Doubled(ndim=2, side=13), patched):
        assert agents.make_agent("tb", dag, hidden=(4,), engine="torch").policy.inputs == dag.encode


@pytest.mark.parametrize("form", ["sa", "ssr"])
def test_rollouts_and_losses_use_the_same_activation(form):
    agent = agents.make_agent("tb", DAG, seed=0, activation="leaky_relu", form=form, hidden=(16,), engine="torch")
    relu = agents.make_agent("tb", DAG, seed=0, form=form, hidden=(16,), engine="torch")
    with torch.no_grad():
        for a, b in zip(agent.policy.parameters(), relu.policy.parameters(), strict=True):
            b.copy_(a)
    states = np.concatenate(list(DAG.levels()))[:30]
    with torch.inference_mode():
        logits = agent.policy(states).forward_logits.numpy()
        np.testing.assert_allclose(agent.policy.logits("forward")(states), logits, rtol=1e-4, atol=1e-5)
        assert np.abs(relu.policy(states).forward_logits.numpy() - logits).max() > 1e-4
    agent.update()


def test_where_it_does_not_apply():
    with pytest.raises(ValueError, match="engine 'numba' needs activation 'relu'"):
        agents.make_agent("tb", DAG, activation="leaky_relu", engine="numba")
    with pytest.raises(ValueError, match="activation leaky_relu needs network 'mlp'"):
        agents.make_agent("tb", DAG, activation="leaky_relu", network="transformer")
    assert agents.make_agent("tb", DAG, activation="leaky_relu").engine.name == "torch"


def test_the_last_output_changes_by_a_ridge_regression():
    """The minimum of its criterion: gradients of squared errors and penalty cancel."""
    torch.manual_seed(0)
    network, x, change = MLP([5, 7, 3]).double(), torch.randn(20, 5).double(), np.linspace(-30, 50, 20)
    before = network(x).detach()
    weight = network.layers[-1][0][-1].detach().clone()
    network.add_to_last_output(x, change)
    moved = (network(x) - before).detach()
    torch.testing.assert_close(moved[:, :-1], torch.zeros(20, 2).double())
    slope = (network.layers[-1][0][-1] - weight).detach().requires_grad_()
    hidden, offset = network.hidden(x).detach(), (moved[:, -1] - network.hidden(x) @ slope).mean().detach()
    errors = hidden @ slope + offset - torch.from_numpy(change)
    (errors.square().sum() + RIDGE * slope.square().sum()).backward()
    torch.testing.assert_close(slope.grad, torch.zeros(7).double(), atol=1e-8, rtol=0)
    assert errors.sum().item() == pytest.approx(0, abs=1e-8)
