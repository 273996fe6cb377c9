"""Muon: its orthogonalization, its steps beside torch's, and the same steps in both engines."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from agents.engines.muon import SMALLEST, Muon, is_matrix, orthogonalized
from tests.agents.engines.numba_cases import make, parameters


@pytest.mark.parametrize("shape", [(16, 16), (40, 17), (17, 40)])
def test_singular_values_become_about_one(shape):
    matrix = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    found = orthogonalized(matrix)
    inner = u.T @ found @ v.T
    assert np.abs(inner - np.diag(np.diag(inner))).max() < 1e-4
    assert 0.6 < np.diag(inner).min() < np.diag(inner).max() < 1.3
    np.testing.assert_allclose(orthogonalized(torch.from_numpy(matrix)).numpy(), found, atol=1e-5)
    np.testing.assert_allclose(orthogonalized(7 * matrix), found, atol=1e-5)
    assert not orthogonalized(0 * matrix).any()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon")
def test_steps_are_those_of_torch():
    """Of torch.optim.Muon, which computes in bfloat16, for matrices, and of torch.optim.Adam for the rest."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in [(24, 32), (8, 32), (32,)]]
    mine, theirs = ([torch.nn.Parameter(p.clone()) for p in start] for _ in range(2))
    assert [is_matrix(p) for p in mine] == [True, False, False]
    assert is_matrix(torch.zeros(SMALLEST, SMALLEST))
    optimizers = [
        Muon(mine, lr=0.01, momentum=0.9, betas=(0.8, 0.99)),
        torch.optim.Muon(theirs[:1], lr=0.01, momentum=0.9, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
        torch.optim.Adam(theirs[1:], lr=0.01, betas=(0.8, 0.99)),
    ]
    for _ in range(4):
        for p, q in zip(mine, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=generator)
            q.grad = p.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(mine[1:], theirs[1:], strict=True):
        torch.testing.assert_close(p, q)
    moved = theirs[0].detach() - start[0]
    assert (mine[0].detach() - theirs[0].detach()).norm() < 0.03 * moved.norm()


def test_engines_take_the_same_steps_and_resume_exactly():
    agent = make(optimizer="muon(momentum=0.9)", engine="numba", hidden=(32, 16), lr=0.01)
    twin = make(optimizer="muon(momentum=0.9)", engine="torch", hidden=(32, 16), lr=0.01)
    for _ in range(4):
        batch = agent.sample_trajectories(16)
        agent.engine.step(batch)
        twin.engine.step(batch)
    for p, q in zip(parameters(agent), parameters(twin), strict=True):
        torch.testing.assert_close(p, q, atol=2e-4, rtol=1e-3)
    again = make(optimizer="muon(momentum=0.9)", engine="numba", hidden=(32, 16), lr=0.01)
    again.load_state_dict(copy.deepcopy(agent.state_dict()))
    for a in (agent, again):
        a.update()
    assert all(map(torch.equal, parameters(agent), parameters(again)))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"momentum and betas must lie in \[0, 1\), got 1.0"):
        make(optimizer="muon(momentum=1.0)")
    with pytest.raises(ValueError, match="no closure"):
        Muon([torch.nn.Parameter(torch.zeros(2))]).step(lambda: 0.0)
