"""The gradient analysis: its full batch contains all trajectories, and its losses are those of the agents."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from gfn_envs import exact
from tests.helpers import run_fork, small_dag

PATH = Path(__file__).resolve().parents[2] / "examples" / "papers" / "gradient_analysis.py"


@pytest.fixture(scope="module")
def analysis() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gradient_analysis", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_agent(name: str = "subtb", **settings) -> agents.Agent:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    return agents.make_agent(name, dag, hidden=(16,), **settings)


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("GFN/HyperGrid-v0", {"ndim": 3, "side": 3}),
        ("GFN/Bag-v0", {"num_letters": 3, "capacity": 4, "repeats": 2}),
    ],
)
def test_full_batch_gives_the_exact_distribution(analysis, env_id, kwargs) -> None:
    dag = small_dag(env_id, kwargs)
    agent = agents.make_agent("subtb", dag, hidden=(16,))
    every = analysis.all_trajectories(dag)
    assert len(every) == round(np.exp(dag.log_num_paths(dag.terminal_states())).sum())
    words = {tuple(every.actions[a:b]) for a, b in zip(every.edge_offsets[:-1], every.edge_offsets[1:], strict=True)}
    assert len(words) == len(every)
    np.testing.assert_array_equal(
        dag.undo(every.states[every.targets], every.backward_actions), every.states[every.sources]
    )
    _, weights = analysis.losses(agent, every)
    found = np.bincount(dag.terminal_index(every.terminal_states), weights.numpy(), dag.num_terminal_states)
    np.testing.assert_allclose(found, exact.terminal_distribution(dag, agent.probabilities), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kind", "settings"),
    [("SubTB(0.9)", "subtb", {}), ("DB", "db", {}), ("TB", "subtb", {"lamda": 1e9}), ("DB", "subtb", {"lamda": 1e-9})],
)
def test_losses_are_those_of_the_agents(analysis, name, kind, settings) -> None:
    agent = make_agent(kind, **settings)
    batch = agent.sample_trajectories(10)
    values, _ = analysis.losses(agent, batch, torch.full((10,), 0.1))
    assert values[name].item() == pytest.approx(agent.loss(batch).item(), rel=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_mean_gradient_of_samples_is_that_of_the_full_batch(analysis, shared) -> None:
    agent = make_agent(shared=shared)
    full = analysis.gradients(agent, analysis.losses(agent, analysis.all_trajectories(agent.dag))[0])
    batch = agent.sample_trajectories(100_000, rng=np.random.default_rng(0))
    values, _ = analysis.losses(agent, batch, torch.full((100_000,), 1e-5))
    for name, found in analysis.gradients(agent, values).items():
        # The error of one sample is a few times the gradient. That of 100,000 samples is hundreds of times smaller.
        assert np.linalg.norm(found - full[name]) < 0.03 * np.linalg.norm(full[name]), name


def test_gradients_exclude_the_state_flow_head(analysis) -> None:
    agent = make_agent()
    flow = 16 + 1  # The weights and the bias of log F.
    parameters = sum(p.numel() for p in agent.policy.parameters())
    (found,) = analysis.gradients(agent, {"one": agent.loss(agent.sample_trajectories(2))}).values()
    assert len(found) == parameters - flow


def test_a_grid_with_too_many_trajectories_raises(analysis) -> None:
    with pytest.raises(ValueError, match="smaller grid"):
        analysis.all_trajectories(gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=4, side=8))


def test_the_example_runs(tmp_path) -> None:
    done = run_fork(str(PATH), "--quick", "--side", "3", "--seed", "1", "--out", str(tmp_path / "figure.png"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"verdict: .* mean cosine of 0\.\d+", done.stdout)
    assert (tmp_path / "figure.png").exists()
    assert "--seed" in run_fork(str(PATH), "--help").stdout
