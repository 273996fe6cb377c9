"""Relative trajectory balance, Trust-PCL and GAFN, against their formulas and exact posteriors."""

import numpy as np
import pytest
import torch

import agents
from agents.baselines import RTB, TrustPCL
from agents.registry import AGENTS
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.agents.tabular import Table, all_paths, packed, tensor
from tests.helpers import GRID, UNEVEN_EDGES, TableDag, small_dag


def prior(dag):
    """A prior policy that is far from uniform."""
    table = Table(dag, backward=False, flow=False)
    with torch.no_grad():
        table.forward_table += tensor(np.random.default_rng(3).normal(size=tuple(table.forward_table.shape)))
    return table


def posterior(name, dag, given):
    """The agent at the exact posterior under a prior: P_F(a|s) = P_0(a|s) V(s') / V(s) with V(x) = R(x)."""
    chosen = AGENTS[name]
    table, graph = Table(dag, backward=False, flow=name == "trust-pcl"), state_graph(dag)
    agent = chosen(dag, chosen.config_class(prior=given), 0, table)
    inner = np.flatnonzero(dag.forward_mask(graph.states).any(1))
    log_p0 = np.full((len(graph.states), dag.num_actions), -np.inf)
    log_p0[inner] = agent.log_prior(graph.states[inner])
    edges = log_p0[graph.source, graph.action]
    log_v = np.full(len(graph.states), -np.inf)
    ends = dag.is_terminal(graph.states)
    log_v[ends] = dag.log_reward(graph.states[ends])
    for state in inner[::-1]:
        mine = graph.source == state
        log_v[state] = np.logaddexp.reduce(edges[mine] + log_v[graph.target[mine]])
    with torch.no_grad():
        table.forward_table[graph.source, graph.action] = tensor(edges + log_v[graph.target])
        table.flow_table.copy_(tensor(log_v))
        if name == "rtb":
            agent.log_z_parameter = torch.nn.Parameter(tensor(log_v[0]))
    return agent


PRIORS = ["uniform", f"{__name__}:prior"]


@pytest.mark.parametrize("given", PRIORS)
@pytest.mark.parametrize("name", ["rtb", "trust-pcl"])
def test_the_posterior_balances_and_is_what_metrics_compare_with(name, given):
    dag = TableDag(UNEVEN_EDGES)
    agent, batch = posterior(name, dag, given), packed(dag, all_paths(dag))
    assert agent.loss(batch).item() < 1e-20
    metrics = agents.evaluate(agent)
    assert max(metrics["tv"], metrics["log_z_error"]) < 1e-6
    # p_0 R by brute force over trajectories.
    found = agent.relative(batch)
    p0 = [part.sum().exp().item() for part in found.log_pb.split(batch.lengths.tolist())]
    weight = np.bincount(dag.terminal_index(batch.terminal_states), np.exp(batch.log_reward) * p0)
    np.testing.assert_allclose(agents.exact_distribution(agent), weight / weight.sum(), atol=1e-9)
    assert exact.total_variation(weight / weight.sum(), exact.target_distribution(dag)) > 0.05
    with torch.no_grad():
        agent.policy.forward_table[0, 0] += 0.3
    assert agent.loss(batch).item() > 1e-3


def test_trust_pcl_on_whole_trajectories_is_relative_trajectory_balance():
    """Deleu et al. 2025: the paths from s0 have the residuals of rtb."""
    dag = TableDag(UNEVEN_EDGES)
    batch = packed(dag, all_paths(dag))
    relative, trust = (posterior(name, dag, PRIORS[1]) for name in ("rtb", "trust-pcl"))
    with torch.no_grad():
        for agent in (relative, trust):
            agent.policy.forward_table += tensor(
                np.random.default_rng(0).normal(size=(dag.num_states, dag.num_actions))
            )
    only_complete = trust.objective._replace(pairs=relative.objective.pairs)
    found = trust.balance_loss(only_complete, trust.relative(batch), batch)
    assert found.item() == pytest.approx(relative.loss(batch).item(), rel=1e-12)
    assert RTB.config_class().prior == TrustPCL.config_class().prior == "uniform"


def test_log_z_of_a_posterior_follows_the_prior():
    agent = agents.make_agent("rtb", small_dag(GRID, {"ndim": 2, "side": 8}), hidden=(8,), batch_size=64)
    batch = agent.sample_batch()
    agent.tempered(batch)
    with torch.no_grad():
        found = agent.relative(batch)
        gaps = batch.log_reward.sum() - (found.log_pf - found.log_pb).sum().item()
    assert agent.log_z == pytest.approx(gaps / 64, abs=1e-4)


def test_a_prior_is_saved_and_never_trained(tmp_path):
    agent = agents.make_agent(
        "rtb", small_dag(GRID, {"ndim": 2, "side": 4}), prior=PRIORS[1], hidden=(8,), batch_size=4
    )
    before = [p.clone() for p in agent.modules["prior"].parameters()]
    agents.train(agent, 3, tmp_path, progress=False)
    assert all(map(torch.equal, before, agent.modules["prior"].parameters()))
    with pytest.raises(agents.RunError, match=r"prior is .*:prior, which would be imported"):
        agents.load_agent(tmp_path)
    loaded = agents.load_agent(tmp_path, trust=True)
    assert loaded.update() == agent.update()
    with pytest.raises(ImportError, match="no module 'nowhere'"):
        agents.make_agent("rtb", agent.dag, prior="nowhere:prior")


@pytest.mark.parametrize("edges", [True, False])
def test_the_loss_of_gafn_one_trajectory_at_a_time(edges):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("gafn", dag, hidden=(8,), batch_size=6, intrinsic=0.5, edges=edges)
    batch, losses, novelties = agent.sample_batch(), [], []

    def network(name, states):
        return agent.modules[name](torch.from_numpy(dag.encode(states))).detach().double().numpy()

    for i in range(len(batch)):
        path = batch.part(i, i + 1)
        found = agent.log_probs(path)
        log_pb = found.log_pb.detach().double().numpy()
        novelty = np.sqrt(((network("rnd", path.states) - network("random", path.states)) ** 2).sum(1))
        if edges:
            flow = np.exp(network("flow", path.states)[1:-1, 0])
            log_pb[:-1] = np.log(np.exp(log_pb[:-1]) + 0.5 * novelty[1:-1] / flow)
        log_reward = np.log(np.exp(path.log_reward[0]) + 0.5 * novelty[-1])
        losses.append((agent.log_z + found.log_pf.sum().item() - log_reward - log_pb.sum()) ** 2)
        novelties += novelty.tolist()
    assert agent.loss(batch).item() == pytest.approx(np.mean(losses) + np.mean(novelties), rel=1e-4)


def test_novelty_falls_most_where_gafn_has_been():
    dag = small_dag(GRID, {"ndim": 2, "side": 8})
    agent = agents.make_agent("gafn", dag, hidden=(32,), delay_stop=0, seed=1, lr=5e-3)
    near, far = np.array([[0, 0, 0], [0, 1, 0]]), np.array([[7, 7, 0]])
    before = agent.novelty(near).mean().item(), agent.novelty(far).item()
    for _ in range(60):
        agent.update()
    left = agent.novelty(near).mean().item() / before[0], agent.novelty(far).item() / before[1]
    assert left[0] < 0.6 * left[1] < 0.6, left
    with pytest.raises(ValueError, match="intrinsic must be finite and > 0, got 0"):
        agents.make_agent("gafn", agent.dag, intrinsic=0.0)
