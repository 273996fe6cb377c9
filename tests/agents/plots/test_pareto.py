"""The figure of a Pareto front."""

from __future__ import annotations

import numpy as np
import pytest

import agents
import gfn_envs
from agents.evaluation.pareto import pareto_front
from agents.plots.pareto import pareto_figure


def test_samples_and_front(tmp_path) -> None:
    kwargs = {"side": 4, "reward": ["branin", "currin", "beale"], "conditions": "preferences:branin,currin,beale"}
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", **kwargs), hidden=(8,))
    figure = pareto_figure(agent, tmp_path / "front.png", num_samples=50)
    assert (tmp_path / "front.png").stat().st_size > 1000
    every, circles = (drawn.get_offsets() for drawn in figure.axes[0].collections)
    objects = agent.sample(50, rng=np.random.default_rng(0))
    scores = np.stack([agent.dag.reward_components(objects)[name] for name in ("branin", "currin", "beale")], axis=1)
    np.testing.assert_allclose(every, np.maximum(scores, 1e-4)[:, :2])  # Objectives have a floor.
    assert len(circles) == len(pareto_front(scores))
    with pytest.raises(ValueError, match="no conditions on objectives"):
        pareto_figure(agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", conditions="temperature:1,2")))
