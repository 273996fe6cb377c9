"""Several gradient steps on each batch."""

from __future__ import annotations

import pytest

import agents
import gfn_envs

GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)


@pytest.mark.parametrize("engine", ["torch", "numba"])
@pytest.mark.parametrize("settings", [{}, {"replay": "uniform"}, {"replay": "uniform", "replay_mix": "joint"}])
def test_steps_are_taken_in_order_on_the_same_batches(engine, settings, monkeypatch):
    agent = agents.make_agent("tb", GRID, seed=0, hidden=(8,), engine=engine, steps_per_batch=3, **settings)
    seen, step = [], agent.engine.step

    def recorded(batch, sampled=None):
        seen.append((batch, step(batch, sampled)))
        return seen[-1][1]

    monkeypatch.setattr(agent.engine, "step", recorded)
    info = agent.update()
    batches = 2 if settings.get("replay_mix", "alternate") == "alternate" and settings else 1
    assert len(seen) == 3 * batches
    for first in range(0, len(seen), 3):
        assert len({id(batch) for batch, _ in seen[first : first + 3]}) == 1
    assert info["loss"] == seen[0][1]  # Before the batch was learned.
    assert len({loss for _, loss in seen[:3]}) == 3
    assert agent.iteration == 1


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="steps_per_batch must be at least 1, got 0"):
        agents.make_agent("tb", GRID, steps_per_batch=0)
