"""All baselines: what they learn, legal actions, settings, and random streams."""

import numpy as np
import pytest
import torch

import agents
from agents.registry import BASELINES
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.agents.baselines.uneven import UNEVEN
from tests.helpers import BAYES_NET, GRID, agent_or_skip, small_dag

SOFT = ["soft-dqn", "munchausen-dqn", "sac", "pcl"]

RETURN = ["ppo", "a2c-er", "reinforce"]


@pytest.mark.parametrize("name", SOFT)
def test_soft_agents_learn_the_target(name):
    dag = small_dag(GRID, {"ndim": 2, "side": 5})
    iterations = 400 if name == "sac" else 250  # Its policy follows critics that must be right first.
    agent = agents.make_agent(name, dag, hidden=(128, 128), lr=f"3e-3,1e-4,{iterations}")
    for _ in range(iterations):
        agent.update()
    found = agents.evaluate(agent)
    assert found["tv"] <= 0.05
    assert found["log_z_error"] < 0.15


@pytest.mark.parametrize("name", RETURN)
def test_agents_that_maximize_reward_collapse(name):
    dag = small_dag(GRID, {"ndim": 2, "side": 6})
    agent = agents.make_agent(name, dag, hidden=(64, 64), lr=3e-3, batch_size=32)
    for _ in range(40 if name == "ppo" else 100):  # An iteration of ppo is sixteen gradient steps.
        agent.update()
    found = agents.evaluate(agent)
    assert found["mean_reward"] > 0.95 * np.exp(exact.log_rewards(dag)).max()
    assert found["tv"] > 0.5
    assert found["log_z"] is None
    assert found["log_z_error"] is None


def test_the_random_agent_is_uniform_and_estimates_log_z():
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("random", dag, batch_size=5000)
    assert agent.log_z is None
    agent.update()
    uniform_distribution = exact.terminal_distribution(dag, exact.uniform_policy(dag))
    np.testing.assert_allclose(agents.exact_distribution(agent), uniform_distribution, rtol=1e-12)
    batch = agent.sample_trajectories(5000)
    log_pf = -np.log(dag.forward_mask(batch.states[batch.sources]).sum(1))
    log_pb = dag.uniform_log_pb(batch.states[batch.targets])
    weights = np.exp(batch.log_reward + np.add.reduceat(log_pb - log_pf, batch.edge_offsets[:-1]))
    error = weights.std() / np.sqrt(5000)
    assert abs(np.exp(agent.log_z) - np.exp(exact.log_partition(dag))) < 5 * error


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_no_illegal_action_is_taken(name):
    dag = small_dag("GFN/Bag-v0", {"num_letters": 3, "capacity": 4, "repeats": 2})
    agent = agent_or_skip(name, dag, hidden=(8,), batch_size=4)
    info = [agent.update() for _ in range(3)][-1]
    states = state_graph(dag).states
    states = states[~dag.is_terminal(states)]
    mask, found = dag.forward_mask(states), agent.probabilities(states)
    assert (found[~mask] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    batch = agent.sample_trajectories(50)
    assert dag.forward_mask(batch.states[batch.sources])[np.arange(batch.num_edges), batch.actions].all()
    assert info.get("illegal_actions", 0) == 0 or name in ("sb3-dqn", "sb3-a2c")


LOG_Z = ("lr_log_z", "init_log_z")

OBJECTS = ("replay", "replay_mix", "local_search", "search_fraction", "search_accept")

BUFFER = ("replay_batch_size", "replay_capacity")

PENALTY = ("loss", "clamp_loss")

ARCHITECTURE = ("network", "width", "layers", "heads", "shared", "form")

LIBRARY = (*LOG_Z, *OBJECTS, *BUFFER, *PENALTY, *ARCHITECTURE, "max_grad_norm", "temperature")

NOTHING_LEARNED = (*LIBRARY, "hidden", "lr", "epsilon")

#: Settings of other agents that mean nothing to these.
MEANINGLESS = {
    **dict.fromkeys(("soft-dqn", "munchausen-dqn", "sac"), (*LOG_Z, *OBJECTS)),
    **dict.fromkeys(("pcl", "trust-pcl"), LOG_Z),
    "rtb": ("steps",),
    **dict.fromkeys(RETURN, (*LOG_Z, *OBJECTS, *PENALTY)),
    **dict.fromkeys(("mcmc", "random"), NOTHING_LEARNED),
    **dict.fromkeys(("sb3-ppo", "sb3-a2c"), (*LIBRARY, "epsilon")),
    "sb3-dqn": LIBRARY,
}


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_settings_that_mean_nothing_are_refused(name):
    others = {"search_fraction": 0.25, "search_accept": "metropolis"}
    others |= {"replay": "fifo", "replay_mix": "joint", "loss": "log-cosh", "shared": False, "form": "ssr"}
    others |= {"network": "transformer", "hidden": (17,), "width": 64 + 8, "heads": 4, "epsilon": 0.5}
    for setting in MEANINGLESS[name]:
        with pytest.raises(TypeError, match=rf"agent '{name}' has no setting {setting}\b"):
            agents.make_agent(name, UNEVEN, **{setting: others.get(setting, 17)})
    with pytest.raises(TypeError, match="no setting backward"):
        agents.make_agent(name, UNEVEN, backward="learned")


@pytest.mark.parametrize("name", ["sb3-ppo", "sb3-dqn", "sb3-a2c"])
def test_library_agents_leave_global_random_streams_alone(name):
    agent = agent_or_skip(name, small_dag(GRID, {"ndim": 2, "side": 4}), batch_size=4)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    agent.update()
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", ["soft-dqn", "sac", "mdb"])
def test_target_networks_share_the_environment(name):
    dag = small_dag(BAYES_NET, {"num_nodes": 3})
    # mdb has no target network by default.
    settings = {"target_every": 100} if name == "mdb" else {}
    agent = agents.make_agent(name, dag, hidden=(8,), **settings)
    targets = agent.targets if name == "sac" else [agent.target]
    assert all(target.inputs.__self__ is dag for target in targets)
