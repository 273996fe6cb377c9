"""Every agent's loss, as it is wired: zero at exact flows and nowhere near, and what zero loss implies.

The agents' policies are tables in double precision. test_balance.py has the same of the objectives alone, and
the limits of SubTB with their gradients; tests/agents/gflownets/test_policy_gradients.py has the policy gradients.
"""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import exact_distribution
from agents.losses.segments import segment_sum
from gfn_envs import Dag, exact
from tests.agents.losses import papers
from tests.agents.tabular import BALANCE, ExactFlows, Table, Walks, all_paths, packed, tabular_agent, tensor
from tests.helpers import SMALL, TINY, UNEVEN_EDGES, TableDag, small_dag

#: (agent, settings). With alpha = 0 the target of GTB's P_F is P_B itself, so exact flows fit it; see gtb_forward.
CASES = [
    *((name, {}) for name in BALANCE if name not in ("subtb", "flsubtb", "gtb", "mdb", "cb")),
    ("cb", {"pairs": "all"}),
    *((name, {"weighting": weighting}) for name in ("subtb", "flsubtb") for weighting in ("trajectory", "batch")),
    ("gtb", {"alpha": 0.0}),
    ("mdb", {}),
    ("mdb", {"target_every": 0}),
]
CASE_IDS = ["-".join([name, *map(str, settings.values())]) for name, settings in CASES]

DAGS = {
    "grid": lambda: gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3),
    "cube": lambda: gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=3, side=2),
    "uneven": lambda: TableDag(UNEVEN_EDGES),
    "bag": lambda: gfn_envs.make_dag("GFN/Bag-v0", num_letters=3, capacity=3, repeats=2),
    "bits": lambda: small_dag(
        "GFN/BitSequence-v0", {"n": 8, "word_size": 4, "construction": "non_autoregressive", "num_modes": 3}
    ),
}


def supports(name, dag):
    if name == "mdb":
        return dag.can_stop_anywhere
    if name == "gtb":
        return type(dag).contains is not Dag.contains
    if name.startswith("fl"):
        try:
            dag.partial_log_reward(dag.source(1))
        except NotImplementedError:
            return False
    return True


def loss(agent, batch):
    """The agent's loss; of GTB the part that is about P_F."""
    with torch.no_grad():
        value = agent.loss(batch).item()
        if agent.name != "gtb":
            return value
        offsets = torch.tensor(batch.edge_offsets)
        log_pb = agent.log_probs(batch).log_pb - tensor(agent.log_guide(batch))
        return value - segment_sum(log_pb, offsets).square().mean().item()


def pairs():
    """Every objective on one instance of each kind, and one objective, of all pairs of states, on every instance.

    Objectives know an environment through its contract alone.
    """
    subtb = CASE_IDS.index("subtb-trajectory")
    for index, (name, settings) in enumerate(CASES):
        for case in SMALL if index == subtb else TINY:
            yield pytest.param(*case.values, name, settings, id=f"{CASE_IDS[index]}-{case.id}")


@pytest.mark.parametrize(("env_id", "kwargs", "name", "settings"), [*pairs()])
def test_no_loss_at_exact_flows(env_id, kwargs, name, settings):
    dag = small_dag(env_id, kwargs)
    if not supports(name, dag):
        pytest.skip(f"{name} makes no sense here")
    flows = ExactFlows(dag)
    agent, walks = flows.agent(name, **settings), Walks(dag)
    edges = np.random.default_rng(0).permutation(len(flows.log_pf))[:80]
    batch = packed(dag, [walks.through(int(edge)) for edge in edges])
    assert abs(loss(agent, batch)) < 1e-15 * (1e3 if name == "gtb" else 1)
    assert agent.log_z == pytest.approx(flows.log_z, abs=1e-6)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=CASE_IDS)
@pytest.mark.parametrize("which", DAGS)
def test_a_change_of_any_one_edge_or_flow_is_noticed(which, name, settings):
    dag = DAGS[which]()
    if not supports(name, dag):
        pytest.skip(f"{name} makes no sense here")
    flows = ExactFlows(dag)
    agent, walks, graph = flows.agent(name, **settings), Walks(dag), flows.graph
    table = agent.policy
    # Every edge, except on bits, where every eleventh has to do.
    for edge in range(0, len(graph.source), 11 if which == "bits" else 1):
        batch = packed(dag, walks.pair(edge))
        assert abs(loss(agent, batch)) < 1e-12
        source, target = graph.source[edge], graph.target[edge]
        entries = {"forward": table.forward_table[source, graph.action[edge]]}
        if name != "fm":
            entries["backward"] = table.backward_table[target, flows.backward_action[edge]]
        if agent.learns_flow:
            entries["flow"] = table.flow_table[source]
        if name != "fm" and len(batch) == 1:
            del entries["forward"]  # P_F of a single action is 1.
        if (graph.target == target).sum() == 1:
            entries.pop("backward", None)
        for kind, entry in entries.items():
            with torch.no_grad():
                entry += 0.5
            # Rounding is below 1e-12; P_B of a parent that is nearly certain moves little.
            assert loss(agent, batch) > 1e-7, (kind, graph.states[source], graph.action[edge])
            with torch.no_grad():
                entry -= 0.5


def minimized(name, settings, dag, seed=0):
    """An agent on a random table, at a minimum of its loss over all trajectories; the loss there."""
    table, rng = Table(dag, backward=name != "fm"), np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in table.parameters():
            parameter.copy_(tensor(rng.normal(size=parameter.shape)))
    agent, batch = tabular_agent(name, dag, table, **settings), packed(dag, all_paths(dag))
    parameters = [*table.parameters(), *([] if agent.log_z_parameter is None else [agent.log_z_parameter])]
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=600, tolerance_grad=1e-12, tolerance_change=1e-18, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = agent.loss(batch)
        value.backward()
        return value

    optimizer.step(closure)
    return agent, agent.loss(batch).item()


# GTB has no zero if its guide is not a Markov chain; MDB's copy of the network is not minimized over.
@pytest.mark.parametrize(
    ("name", "settings"),
    [case for case in CASES if case[0] != "gtb" and case != ("mdb", {})],
    ids=[i for i, case in zip(CASE_IDS, CASES, strict=True) if case[0] != "gtb" and case != ("mdb", {})],
)
@pytest.mark.parametrize("which", ["grid", "uneven", "bag"])
def test_wherever_the_loss_is_zero_objects_are_sampled_in_proportion_to_reward(which, name, settings):
    dag = DAGS[which]()
    if not supports(name, dag):
        pytest.skip(f"{name} makes no sense here")
    for seed in (0, 1):
        agent, value = minimized(name, settings, dag, seed)
        assert value < 1e-9
        assert exact.total_variation(exact_distribution(agent), exact.target_distribution(dag)) < 1e-4
        assert agent.log_z == pytest.approx(exact.log_partition(dag), abs=1e-3)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("env_id", "kwargs"), [case for case in TINY if "Bit" in case.id])
def test_guided_trajectory_balance_is_zero_where_the_guide_is_a_backward_policy(env_id, kwargs, temperature):
    """On a tree every guide is; where slots are filled in any order the uniform one is: 1 / m! a trajectory."""
    if not (temperature == 0 or kwargs["construction"] == "autoregressive"):
        pytest.skip("this guide is no backward policy")
    dag = small_dag(env_id, kwargs)
    flows = ExactFlows(dag)
    flows.log_pb = exact.uniform_log_pb(dag)
    flows.log_flow = exact.log_flows(dag, flows.log_pb)
    flows.log_pf = exact.optimal_edge_log_probabilities(dag, flows.log_pb)
    agent, walks = flows.agent("gtb", guide_temperature=temperature), Walks(dag)
    batch = packed(dag, [walks.through(edge) for edge in range(0, len(flows.log_pf), 7)])
    assert agent.loss(batch).item() < 1e-20
    # The forward part aims at the guide and not at P_B: with another P_B it stays zero, and P_B is called back.
    if dag.num_backward_actions > 1:
        with torch.no_grad():
            agent.policy.backward_table += tensor(
                np.random.default_rng(1).normal(size=agent.policy.backward_table.shape)
            )
        agent.loss(batch).backward()
        assert agent.policy.backward_table.grad.abs().max() > 1e-3
        assert agent.policy.forward_table.grad.abs().max() < 1e-12
        assert agent.log_z_parameter.grad.abs() < 1e-12


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_mdb_takes_the_second_stop_from_the_target_network(engine):
    dag = DAGS["grid"]()
    settings = {"hidden": (8,), "loss": "squared", "batch_size": 16, "lr": 0.0, "target_every": 100}
    agent = agents.make_agent("mdb", dag, seed=2, engine=engine, **settings)
    with torch.no_grad():
        for parameter in agent.target.parameters():
            parameter *= 3.0
    batch = agent.sample_trajectories(30)
    going = np.flatnonzero(batch.actions != dag.num_actions - 1)
    sources, targets = batch.states[batch.sources[going]], batch.states[batch.targets[going]]
    found = agent.log_probs(batch)
    residual = papers.modified_detailed_balance(
        found.log_pf[going],
        found.log_pb[going],
        torch.from_numpy(agent.stopped_log_reward(sources)),
        torch.from_numpy(agent.stopped_log_reward(targets)),
        agent.log_stop(agent.policy, sources),
        agent.log_stop(agent.target, targets),
    )
    assert agent.engine.step(batch) == pytest.approx(residual.square().mean().item(), rel=1e-5)
