"""The library and examples/tb_in_one_file.py, which share no code, compute the same trajectory balance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import agents
import gfn_envs
from agents import Trajectories
from examples import tb_in_one_file as one_file

SETTINGS = {"hidden": (64, 64), "batch_size": 16, "lr": 1e-3, "lr_log_z": 0.1, "backward": "uniform"}
SEEDS, ITERATIONS = range(4), 400


def library_agent(seed: int, ndim: int = 2, side: int = 8) -> agents.Agent:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=side)
    return agents.make_agent("tb", dag, seed=seed, engine="torch", **SETTINGS)


@pytest.mark.parametrize("side", [2, 8, 11, 21])
def test_same_rewards(side: int) -> None:
    grid, dag = one_file.HyperGrid(3, side), gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=3, side=side)
    np.testing.assert_allclose(grid.log_reward(grid.cells), np.log(dag.reward(grid.cells.numpy())), atol=1e-6)


def sequential(agent: agents.Agent) -> nn.Sequential:
    """The agent's network with the same weights, as a plain ``nn.Sequential``."""
    layers = agent.policy.networks[0].layers
    modules: list[nn.Module] = []
    for i, (weight, bias) in enumerate(layers):
        # The library stores all weights but the last layer's as (in, out).
        rows = weight if i == len(layers) - 1 else weight.t()
        linear = nn.Linear(rows.shape[1], rows.shape[0])
        with torch.no_grad():
            linear.weight.copy_(rows)
            linear.bias.copy_(bias)
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


def padded(trajectories: Trajectories, ndim: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cells (T + 1, n, ndim), actions (T, n) and active steps (T, n) of packed trajectories."""
    n, longest = len(trajectories), int(trajectories.lengths.max())
    cells = torch.zeros(longest + 1, n, ndim, dtype=torch.long)
    actions, active = torch.full((longest, n), ndim), torch.zeros(longest, n, dtype=torch.bool)
    for i in range(n):
        one = trajectories.part(i, i + 1)
        states, steps = torch.from_numpy(one.states[:, :ndim].astype(np.int64)), one.num_edges
        cells[:steps, i], cells[steps:, i] = states[:-1], states[-1]
        actions[:steps, i], active[:steps, i] = torch.from_numpy(one.actions), True
    return cells, actions, active


@pytest.mark.parametrize(("ndim", "side"), [(2, 8), (3, 5)])
def test_same_weights_and_trajectories_give_the_same_loss_and_gradient(ndim: int, side: int) -> None:
    agent = library_agent(5, ndim, side)
    with torch.no_grad():
        agent.log_z_parameter.fill_(1.7)
    grid, policy = one_file.HyperGrid(ndim, side), sequential(agent)
    log_z = nn.Parameter(torch.tensor(1.7))
    trajectories = agent.sample_trajectories(64)
    assert trajectories.lengths.min() < trajectories.lengths.max()
    loss = one_file.trajectory_balance(policy, log_z, grid, *padded(trajectories, ndim))
    ours = agent.loss(trajectories)
    assert ours.item() == pytest.approx(loss.item(), rel=1e-5)
    loss.backward()
    ours.backward()
    assert agent.log_z_parameter.grad.item() == pytest.approx(log_z.grad.item(), rel=1e-5)
    weight, _ = agent.policy.networks[0].layers[0]
    torch.testing.assert_close(weight.grad, policy[0].weight.grad.t(), rtol=1e-4, atol=1e-5)


def test_same_terminal_distribution() -> None:
    agent = library_agent(2)
    expected = one_file.terminal_distribution(sequential(agent), one_file.HyperGrid(2, 8)).numpy()
    cells = agent.dag.terminal_states()[:, :2].astype(np.int64)
    np.testing.assert_allclose(agents.exact_distribution(agent), expected[cells @ [8, 1]], atol=1e-7)


def test_same_settings_reach_the_same_total_variation() -> None:
    theirs = [one_file.main(2, 8, ITERATIONS, 16, 1e-3, 0.1, 64, seed) for seed in SEEDS]
    ours = []
    for seed in SEEDS:
        agent = library_agent(seed)
        for _ in range(ITERATIONS):
            agent.update()
        ours.append(agents.evaluate(agent)["tv"])
    # Half-way: an untrained policy has 0.7, and after 2,000 iterations the total variation is below 0.001.
    assert 0.02 < np.mean(theirs) < 0.2
    error = np.sqrt((np.var(ours, ddof=1) + np.var(theirs, ddof=1)) / len(SEEDS))
    assert abs(np.mean(ours) - np.mean(theirs)) < 3 * error
