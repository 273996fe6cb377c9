"""Settings of agents: their defaults."""

import dataclasses

import pytest

import agents


@pytest.mark.parametrize("name", agents.AGENTS)
def test_a_default_is_that_of_the_class_that_states_it_last(name):
    """Dataclasses merge the fields of several bases in an order of their own, which can bring back an older default."""
    config = agents.AGENTS[name].config_class
    stated = {
        field.name: vars(kind)[field.name]
        for kind in reversed(config.__mro__)
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
        if field.name in vars(kind)
    }
    assert stated == {field.name: field.default for field in dataclasses.fields(config)}


@pytest.mark.parametrize("name", ["rl-u", "rl-b", "rl-g", "rl-t"])
def test_policy_gradients_have_the_batches_of_their_paper(name):
    assert agents.AGENTS[name].config_class().batch_size == 128
