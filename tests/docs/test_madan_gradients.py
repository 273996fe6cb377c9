"""Per-trajectory gradients of the tabular GFlowNet against autograd, and the averages over sub-batches."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
import gfn_envs

PAPERS = Path(__file__).resolve().parents[2] / "examples" / "papers"
GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3, reward="hard")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PAPERS))
    return importlib.import_module("madan2023_gradients")


def tabular(module: Any, name: str, **settings: Any) -> Any:
    agent = agents.make_agent(name, GRID, policy=module.Table, engine="torch", delay_stop=0, **settings)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for table in agent.policy.parameters():
            table.copy_(torch.randn(table.shape, generator=generator))
    return agent


@pytest.mark.parametrize(
    ("objective", "name", "settings"),
    [("SubTB", "subtb", {"lamda": 0.8}), ("DB", "db", {}), ("TB", "subtb", {"lamda": 1e9})],
)
def test_gradients_of_each_trajectory_are_those_of_autograd(
    module: Any, objective: str, name: str, settings: dict[str, Any]
) -> None:
    agent = tabular(module, name, **settings)
    batch = agent.sample_trajectories(12)
    found = module.per_trajectory(agent, batch, module.OBJECTIVES[objective])
    tables = [agent.policy.tables[head] for head in ("forward", "backward")]
    for i in range(len(batch)):
        expected = torch.autograd.grad(agent.loss(batch.part(i, i + 1)), tables, allow_unused=True)
        flat = np.concatenate(
            [np.zeros(t.numel()) if g is None else g.numpy().ravel() for g, t in zip(expected, tables, strict=True)]
        )
        np.testing.assert_allclose(found[i], flat, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(flat).max()))


def test_true_flows_are_those_of_the_forward_policy(module: Any) -> None:
    agent = tabular(module, "subtb")
    visits = np.exp(module.log_visits(agent))
    batch = agent.sample_trajectories(20_000)
    counts = np.bincount(GRID.state_index(batch.states), minlength=GRID.num_states) / len(batch)
    np.testing.assert_allclose(visits, counts, atol=0.02)
    batch = batch.part(0, 4)
    learned, true = (module.per_trajectory(agent, batch, module.OBJECTIVES["SubTB"], flag) for flag in (False, True))
    with torch.no_grad():  # With the true flows in the table, the two are the same.
        z = agent.policy.tables["flow"][GRID.state_index(GRID.source(1))]
        agent.policy.tables["flow"].copy_(torch.from_numpy(np.log(visits))[:, None] + z)
    assert np.abs(learned - true).max() > 0.1
    again = module.per_trajectory(agent, batch, module.OBJECTIVES["SubTB"])
    np.testing.assert_allclose(again, true, rtol=1e-3, atol=1e-3)


def test_cosines_of_sub_batches(module: Any) -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(1024, 5)) + 0.3
    gradients[:2] = 0.0
    found = module.similarity(gradients, gradients.mean(0))
    for k, size in enumerate(module.SIZES):
        means = [gradients[i : i + size].mean(0) for i in range(0, 1024, size)]
        full = gradients.mean(0)
        cosines = [m @ full / (np.linalg.norm(m) * np.linalg.norm(full)) if m.any() else 0.0 for m in means]
        assert found[k] == pytest.approx(np.mean(cosines))
    assert (np.diff(found) > 0).all()


def test_quick_run(module: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    module.main(["--quick", "--docs", str(tmp_path)])
    printed = capsys.readouterr().out
    assert printed.count("| 10 |") == printed.count("| 30 |") == 4
    assert "The variance of SubTB is between" in printed
    assert not list(tmp_path.iterdir())
