"""Buffers of another environment or scheme raise before anything is restored."""

import numpy as np
import pytest

import agents
import gfn_envs
from agents.runs import directory as runs
from tests.agents.small_agents import GRID, assert_unharmed, make, parameters
from tests.agents.tabular import BALANCE


def saved_and_other(name, settings, other_dag):
    saved = make(name, other_dag, **settings)
    for _ in range(3):
        saved.update()
    agent = make(name, **settings)
    agent.update()
    return saved, agent


# Of the same shapes, so that networks and optimizers would fit.
OTHER_REWARD = lambda: gfn_envs.make_dag(GRID[0], **GRID[1], reward="easy")  # noqa: E731


@pytest.mark.parametrize("name", BALANCE)
def test_a_buffer_of_another_environment_is_refused_before_anything_is_restored(tmp_path, name):
    saved, agent = saved_and_other(name, {"replay": "fifo"}, OTHER_REWARD())
    before, rng, size = parameters(agent), agent.rng.bit_generator.state, len(agent.replay)
    with pytest.raises(ValueError, match=r"saved buffer differs: environment: .*easy"):
        agent.load_state_dict(saved.state_dict())
    runs.save_checkpoint(tmp_path, saved, {})
    with pytest.raises(agents.RunError, match=r"checkpoint\.pt cannot be loaded.*buffer differs"):
        runs.load_checkpoint(tmp_path, agent)
    assert_unharmed(agent, before, 1)
    assert agent.rng.bit_generator.state == rng
    assert len(agent.replay) == size
    assert np.isfinite(agent.update()["loss"])


def test_objects_that_gtb_saw_elsewhere_are_refused():
    saved, agent = saved_and_other("gtb", {}, OTHER_REWARD())
    before = parameters(agent)
    with pytest.raises(ValueError, match="saved buffer differs"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("name", ["soft-dqn", "sac"])
def test_transitions_of_another_environment_are_refused(name):
    saved, agent = saved_and_other(name, {}, OTHER_REWARD())
    before = parameters(agent)
    with pytest.raises(ValueError, match="saved buffer differs"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize(("first", "second"), [("none", "fifo"), ("fifo", "none"), ("fifo", "uniform")])
@pytest.mark.parametrize("name", BALANCE)
def test_a_buffer_where_none_or_another_is_expected(name, first, second):
    saved, agent = make(name, replay=first), make(name, replay=second)
    saved.update()
    before = parameters(agent)
    with pytest.raises(ValueError, match=r"the saved (agent has|buffer differs)"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before)
