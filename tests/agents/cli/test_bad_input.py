"""Agents raise errors for bad policies, buffers and settings at once, and keep their parameters."""

import dataclasses

import gymnasium
import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import registry
from agents.config import NetworkSettings
from agents.policies import RelativeEdgeFlowPolicy
from agents.policies.build import make_policy
from agents.registry import GFLOWNETS
from agents.runs import directory as runs
from tests.agents.tabular import BALANCE, Table
from tests.helpers import UNEVEN_EDGES, TableDag, small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
SETTINGS = {"hidden": (12,), "width": 8, "layers": 1, "heads": 2, "batch_size": 4}
FLOW = [name for name, agent in GFLOWNETS.items() if agent.learns_flow]


def make(name="tb", dag=None, **settings):
    return agents.make_agent(name, dag or small_dag(*GRID), seed=1, **SETTINGS | settings)


def with_policy(name, policy, **settings):
    chosen = registry.agent_class(name)
    return chosen(small_dag(*GRID), chosen.config_class(**settings), policy=policy)


def parameters(agent):
    """A copy of all that is learned."""
    networks = [agent.policy, *(getattr(agent, part) for part in ("values", "target") if getattr(agent, part, None))]
    learned = [*(q for n in networks for q in n.parameters()), agent.log_z_parameter]
    return [p.detach().clone() for p in learned if p is not None]


def assert_unharmed(agent, before, iteration=0):
    assert all(
        torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in zip(before, parameters(agent), strict=True)
    )
    assert agent.iteration == iteration


# ---------------------------------------------------------------------- policies of one's own


@pytest.mark.parametrize("name", GFLOWNETS)
def test_policies_that_lack_what_is_needed_are_refused_at_once(name):
    dag = small_dag(*GRID)
    backward = make(name).backward.learned
    assert with_policy(name, Table(dag, backward, name in FLOW)).policy.learns_backward == backward
    assert (name in FLOW) == (name in ("db", "subtb", "fldb", "flsubtb"))
    if name in FLOW:
        with pytest.raises(ValueError, match=rf"agent '{name}' learns state flows, and the given policy has none"):
            with_policy(name, Table(dag, backward, flow=False))
    message = (
        "is learned, and the given policy learns no P_B" if backward else "not learned, and the given policy learns"
    )
    with pytest.raises(ValueError, match=message):
        with_policy(name, Table(dag, not backward, name in FLOW))


@pytest.mark.parametrize("backward", ["tlm", "pessimistic"])
@pytest.mark.parametrize("name", [name for name in BALANCE if name not in ("fm", "gtb")])
def test_fitted_backward_policies_need_one_to_fit(name, backward):
    with pytest.raises(ValueError, match=f"backward '{backward}' is learned, and the given policy learns no P_B"):
        with_policy(name, Table(small_dag(*GRID), backward=False), backward=backward)


@pytest.mark.parametrize("backward", ["uniform", "maxent"])
def test_a_backward_policy_that_is_not_asked_for_is_not_learned_by_the_way(backward):
    with pytest.raises(ValueError, match=f"backward '{backward}' is not learned, and the given policy learns a P_B"):
        with_policy("tb", Table(small_dag(*GRID)), backward=backward)


def test_a_policy_of_ones_own_is_used():
    dag = small_dag(*GRID)
    config = NetworkSettings(form="ssr", hidden=(8,))
    agent = with_policy("subtb", make_policy(dag, config, backward=True, flow=True))
    assert isinstance(agent.policy, RelativeEdgeFlowPolicy)
    assert np.isfinite(agent.update()["loss"])


# ---------------------------------------------------------------------- buffers from elsewhere


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
    with pytest.raises(ValueError, match=r"saved buffer is another one: environment: .*easy"):
        agent.load_state_dict(saved.state_dict())
    runs.save_checkpoint(tmp_path, saved, {})
    with pytest.raises(agents.RunError, match=r"checkpoint\.pt cannot be loaded.*another one"):
        runs.load_checkpoint(tmp_path, agent)
    assert_unharmed(agent, before, 1)
    assert agent.rng.bit_generator.state == rng
    assert len(agent.replay) == size
    assert np.isfinite(agent.update()["loss"])


def test_objects_that_gtb_saw_elsewhere_are_refused():
    saved, agent = saved_and_other("gtb", {}, OTHER_REWARD())
    before = parameters(agent)
    with pytest.raises(ValueError, match="saved buffer is another one"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("name", ["soft-dqn", "sac"])
def test_transitions_of_another_environment_are_refused(name):
    saved, agent = saved_and_other(name, {}, OTHER_REWARD())
    before = parameters(agent)
    with pytest.raises(ValueError, match="another"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize(("first", "second"), [("none", "fifo"), ("fifo", "none"), ("fifo", "uniform")])
@pytest.mark.parametrize("name", BALANCE)
def test_a_buffer_where_none_or_another_is_expected(name, first, second):
    saved, agent = make(name, replay=first), make(name, replay=second)
    saved.update()
    before = parameters(agent)
    with pytest.raises(ValueError, match=r"the saved (agent has|buffer is another one)"):
        agent.load_state_dict(saved.state_dict())
    assert_unharmed(agent, before)


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize("lamda", [0, 0.0, -0.5, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["subtb", "flsubtb"])
def test_lambda_must_be_positive(name, lamda):
    with pytest.raises(ValueError, match=r"lamda must be finite and > 0, got (0|-0.5|nan|inf)"):
        make(name, lamda=lamda)


BAD_SETTINGS = [
    ({"replay": "best"}, r"replay must be 'none' or .*'prioritized', got 'best'"),
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


@pytest.mark.parametrize("name", ["fm", "db", "subtb", "fldb", "flsubtb", "mdb", "pcl"])
@pytest.mark.parametrize("settings", [{"init_log_z": 5.0}, {"lr_log_z": 0.5}])
def test_settings_of_log_z_are_refused_where_none_is_learned(name, settings):
    with pytest.raises(TypeError, match=f"'{name}' has no setting {next(iter(settings))}.* .allowed: batch_size"):
        make(name, **settings)


@pytest.mark.parametrize("name", ["vargrad", "reinforce"])
def test_a_batch_of_one_that_would_teach_nothing_is_refused(name):
    with pytest.raises(ValueError, match="batch_size of at least 2, got 1"):
        make(name, batch_size=1)


@pytest.mark.parametrize("name", ["random", "mcmc", "sb3-ppo"])
def test_agents_without_a_network_take_none(name):
    with pytest.raises(ValueError, match=f"agent '{name}' brings its own policy"):
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


@pytest.mark.parametrize("mode", ["rewards", "Reward", "", None])
@pytest.mark.parametrize("env_id", gfn_envs.registered_ids())
def test_unknown_reward_modes_are_refused(env_id, mode):
    message = r"reward_mode must be one of \('reward', 'log_reward', 'soft'\), got"
    with pytest.raises(ValueError, match=message):
        gymnasium.make(env_id, reward_mode=mode)
    with pytest.raises(ValueError, match=message):
        gymnasium.make_vec(env_id, num_envs=2, reward_mode=mode)


# ---------------------------------------------------------------------- NaN from the network


@pytest.mark.parametrize(
    "settings", [{}, {"form": "ssr"}, {"network": "transformer"}], ids=["mlp", "ssr", "transformer"]
)
@pytest.mark.parametrize("name", GFLOWNETS)
def test_nan_from_the_network_stops_the_agent_before_it_learns(name, settings):
    agent = make(name, **settings)
    agent.update()
    with torch.no_grad():
        for parameter in agent.policy.parameters():
            parameter.fill_(float("nan"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        agent.update()
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize("name", GFLOWNETS)
def test_logits_that_forbid_everything_are_the_networks_fault(name, side):
    """Whatever illegal action they choose, and wherever the environment or its encoding notices."""
    agent = make(name, small_dag(GRID[0], {"ndim": 2, "side": side}))
    bias = agent.policy.networks[0].layers[-1][1]
    with torch.no_grad():
        bias.fill_(-float("inf"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match="the policy gave NaN or infinite logits"):
        agent.update()
    assert_unharmed(agent, before, 0)


@pytest.mark.parametrize("settings", [{}, {"replay": "uniform"}, {"replay": "uniform", "replay_mix": "joint"}])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("name", "head"), [*((n, 1) for n in BALANCE if n != "fm"), *((n, 2) for n in FLOW)])
def test_nan_from_one_head_alone_is_noticed_before_any_step(name, head, value, settings):
    """Sampling goes on, as P_F is well; the loss tells, or P_B in replay."""
    agent = make(name, shared=False, **settings)
    agent.update()
    with torch.no_grad():
        list(agent.policy.networks[head].parameters())[-1].fill_(value)
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf)|NaN or infinite"):
        agent.update()
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("name", [name for name in GFLOWNETS if name in ("tb", "gtb") or name.startswith("rl-")])
def test_nan_in_log_z_is_noticed(name):
    agent = make(name)
    agent.update()
    with torch.no_grad():
        agent.log_z_parameter.fill_(float("nan"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match=r"iteration 1: .*(nan|NaN)"):
        agent.update()
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("name", GFLOWNETS)
def test_environments_that_a_method_cannot_use_are_refused_by_name(name):
    class Plain(TableDag):
        """No optional capability at all."""

        partial_log_reward = gfn_envs.Dag.partial_log_reward
        contains = gfn_envs.Dag.contains

    needs = {"fldb": "partial_log_reward", "flsubtb": "partial_log_reward", "gtb": "contains"}
    needs |= {"mdb": "can_stop_anywhere", "rl-g": "guided reference"}
    if name not in needs:
        assert np.isfinite(make(name, Plain(UNEVEN_EDGES)).update()["loss"])
        return
    with pytest.raises(agents.errors.UnsupportedError, match=rf"{name}.*{needs[name]}"):
        make(name, Plain(UNEVEN_EDGES))
