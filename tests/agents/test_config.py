"""Settings of agents: defaults, and the errors of bad values and unknown names."""

import dataclasses

import numpy as np
import pytest

import agents
import gfn_envs
from agents import registry
from agents.registry import GFLOWNETS
from tests.agents.small_agents import GRID, make
from tests.helpers import small_dag


@pytest.mark.parametrize("name", agents.AGENTS)
def test_a_default_is_that_of_the_class_that_states_it_last(name):
    """Dataclasses merge the fields of several bases in their own order, which can restore an older default."""
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


@pytest.mark.parametrize("lamda", [0, 0.0, -0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["subtb", "flsubtb"])
def test_lambda_must_be_positive(name, lamda):
    with pytest.raises(ValueError, match=r"lamda must be finite and > 0, got (0|-0.5|nan|inf)"):
        make(name, lamda=lamda)


BAD_SETTINGS = [
    ({"replay": "best"}, r"replay must be 'auto' or 'none' or .*'diverse'.* or module:name, got 'best'"),
    ({"backward": "both"}, r"backward must be .*got 'both'"),
    ({"form": "ssa"}, r"form must be 'sa' or 'ssr', got 'ssa'"),
    ({"network": "cnn"}, r"network must be 'mlp' or 'transformer' or 'graph', got 'cnn'"),
    ({"replay_mix": "both"}, r"replay_mix must be 'alternate' or 'joint', got 'both'"),
    ({"loss": "absolute"}, r"loss must be .*got 'absolute'"),
    ({"replay_capacity": 0}, "replay_capacity must be at least 1, got 0"),
    ({"replay_batch_size": 0}, "replay_batch_size must be at least 1, got 0"),
    ({"local_search": -1}, "local_search must not be negative, got -1"),
    ({"search_fraction": 0.0}, r"search_fraction must lie in \(0, 1\], got 0.0"),
    ({"search_accept": "always"}, "search_accept must be 'greedy' or 'metropolis', got 'always'"),
    ({"network": "transformer", "width": 12, "heads": 8}, "width must be a multiple of heads, got 12 and 8"),
    ({"batch_size": 1.5}, "batch_size must be an integer, got 1.5"),
    ({"batch_size": True}, "batch_size must be an integer, got True"),
    ({"local_search": "2"}, "local_search must be an integer, got '2'"),
    ({"shared": "no"}, "shared must be a bool, got 'no'"),
    ({"clamp_loss": "9"}, "clamp_loss must be a number, got '9'"),
    ({"hidden": 64}, r"hidden widths must be integers .*, got 64"),
    ({"hidden": (1.7,)}, r"hidden widths must be integers .*, got \(1.7,\)"),
    ({"hidden": (8, 0)}, r"hidden widths must be integers of at least 1.*, got \(8, 0\)"),
    ({"layers": 0}, "layers must be at least 1, got 0"),
    ({"temperature": 0.0}, "temperature must be > 0"),
    ({"epsilon": float("nan")}, "epsilon: a schedule needs finite ends, got nan"),
    ({"epsilon": "0,nan,10"}, "epsilon: a schedule needs finite ends, got 0.0,nan,10"),
    ({"lr": (1e-3, float("inf"), 20)}, "lr: a schedule needs finite ends, got 0.001,inf,20"),
    ({"lr": "1e-3,nan,20"}, "lr: a schedule needs finite ends"),
    ({"max_grad_norm": float("nan")}, "max_grad_norm must be > 0"),
]


@pytest.mark.parametrize("settings", [{"init_log_z": 5.0}, {"lr_log_z": 0.5}])
@pytest.mark.parametrize("name", ["fm", "db", "subtb", "fldb", "flsubtb", "mdb", "pcl"])
def test_settings_of_log_z_are_refused_where_none_is_learned(name, settings):
    if name in ("db", "subtb") and "lr_log_z" in settings:
        pytest.skip("log F(s0) can be a parameter of its own")
    with pytest.raises(TypeError, match=f"'{name}' has no setting {next(iter(settings))}.* .allowed: batch_size"):
        make(name, **settings)


@pytest.mark.parametrize("name", ["vargrad", "reinforce"])
def test_a_batch_of_one_that_would_teach_nothing_is_refused(name):
    with pytest.raises(ValueError, match="batch_size of at least 2, got 1"):
        make(name, batch_size=1)


@pytest.mark.parametrize("name", ["random", "mcmc", "sb3-ppo"])
def test_agents_without_a_network_take_none(name):
    with pytest.raises(ValueError, match=f"agent '{name}' has its own policy"):
        agents.make_agent(name, small_dag(*GRID), policy=make().policy)


@pytest.mark.parametrize("name", ["reinforce", "ppo", "a2c-er"])
def test_rewards_too_large_for_single_precision_say_so(name):
    dag = gfn_envs.make_dag(GRID[0], ndim=2, side=4, reward=lambda cells: np.full(len(cells), 1e40))
    with pytest.raises(FloatingPointError, match=r"log R = 92\.1, is too large .*reward_mode='log_reward'"):
        make(name, dag).update()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["tb", "gtb", "rl-u"])
def test_the_first_log_z_is_finite(name, value):
    with pytest.raises(ValueError, match=f"init_log_z must be finite, got {value}"):
        make(name, init_log_z=value)


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS, ids=["-".join(s) for s, _ in BAD_SETTINGS])
@pytest.mark.parametrize("name", GFLOWNETS)
def test_settings_are_checked_before_anything_is_made(name, settings, message):
    known = [field.name for field in dataclasses.fields(registry.agent_class(name).config_class)]
    if missing := [setting for setting in settings if setting not in known]:
        with pytest.raises(TypeError, match=f"agent '{name}' has no setting {missing[0]}.* .allowed: batch_size"):
            make(name, **settings)
        return
    with pytest.raises(ValueError, match=message):
        make(name, **settings)
