"""alpha-GFN: what a mixing of forward and backward policies makes of the exact flows."""

import numpy as np
import pytest
import torch

import agents
from agents import exact_distribution
from gfn_envs import exact
from tests.agents.tabular import ExactFlows, all_paths, packed
from tests.helpers import BITS, GRID, UNEVEN_EDGES, TableDag, small_dag

ALPHA = 0.7
C = np.log(ALPHA / (1 - ALPHA))


def mixed_flows(dag):
    """Flows with F(s') = e^c times the flow into s': those of the unnormalized backward policy P_B e^-c."""
    flows = ExactFlows(dag)
    scaled = flows.log_pb - C
    flows.log_flow = exact.log_flows(dag, scaled)
    graph = flows.graph
    flows.log_pf = flows.log_flow[graph.target] + scaled - flows.log_flow[graph.source]
    flows.log_z = flows.log_flow[0]
    return flows


@pytest.mark.parametrize("name", ["tb", "vargrad", "db", "subtb", "fldb", "flsubtb"])
def test_the_mixed_balance_has_these_flows_and_the_plain_one_has_not(name):
    dag = TableDag(UNEVEN_EDGES)
    flows, batch = mixed_flows(dag), packed(dag, all_paths(dag))
    agent = flows.agent(name, mixing=ALPHA)
    with torch.no_grad():
        assert agent.loss(batch).item() < 1e-20
        assert flows.agent(name).loss(batch).item() > 1e-3
        agent.iteration = 5
        assert agent.loss(batch).item() < 1e-20
        annealed = flows.agent(name, mixing=f"{ALPHA},0.5,10")
        assert annealed.loss(batch).item() < 1e-20
        annealed.iteration = 10
        assert annealed.loss(batch).item() == flows.agent(name).loss(batch).item()


def test_objects_have_the_target_that_the_documentation_gives():
    dag = TableDag(UNEVEN_EDGES)
    flows, paths = mixed_flows(dag), all_paths(dag)
    weight = np.zeros(dag.num_terminal_states)
    ends = dag.terminal_index(packed(dag, paths).terminal_states)
    np.add.at(weight, ends, [np.exp(flows.log_pb[path].sum() - C * len(path)) for path in paths])
    target = weight * np.exp(dag.log_reward(dag.terminal_states()))
    np.testing.assert_allclose(exact_distribution(flows.agent("tb")), target / target.sum(), atol=1e-12)
    assert exact.total_variation(target / target.sum(), exact.target_distribution(dag)) > 0.01


def test_where_all_trajectories_have_one_length_the_target_is_the_reward():
    dag = small_dag(BITS, {"n": 8, "word_size": 2, "construction": "non_autoregressive", "num_modes": 2})
    learned = exact_distribution(mixed_flows(dag).agent("tb"))
    np.testing.assert_allclose(learned, exact.target_distribution(dag), atol=1e-12)


@pytest.mark.parametrize("name", ["tb", "subtb", "mdb"])
def test_both_engines_mix(name):
    pytest.importorskip("numba")
    losses = []
    for engine in ("torch", "numba"):
        agent = agents.make_agent(name, small_dag(GRID, {"ndim": 2, "side": 4}), engine=engine, mixing="0.9,0.5,3")
        batch = agent.sample_trajectories(8, rng=np.random.default_rng(0))
        batch = agent.sample_backward(batch.terminal_states) if engine == "torch" else losses[0][1]
        losses.append(([agent.engine.step(batch), agent.engine.log_ratio(batch).sum()], batch))
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=1e-4)


def test_log_z_follows_the_mixed_balance():
    agent = agents.make_agent("tb", small_dag(GRID, {"ndim": 2, "side": 4}), mixing=0.99, hidden=(8,), batch_size=64)
    batch = agent.sample_batch()
    agent.tempered(batch)
    expected = (batch.log_reward - agent.engine.log_ratio(batch) - np.log(99) * batch.lengths).mean()
    assert agent.log_z == pytest.approx(expected, abs=1e-4)
    assert abs(expected) > 5


@pytest.mark.parametrize("mixing", [0.0, 1.0, "0.9,1,10", -1])
def test_a_mixing_that_leaves_out_a_policy_raises(mixing):
    with pytest.raises(ValueError, match=r"mixing must lie in \(0, 1\), got"):
        agents.make_agent("tb", small_dag(GRID, {"ndim": 2, "side": 4}), mixing=mixing)
