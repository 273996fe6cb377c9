"""Soft value agents: targets, fixed points and path consistency against their definitions."""

import math

import numpy as np
import pytest
import torch

import agents
from agents.log_probs import log_probs
from agents.losses.balance import balance_loss
from agents.losses.soft_rl import entropy, expected_soft_value, soft_value
from agents.replay.transitions import Transitions
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from tests.agents.baselines.uneven import UNEVEN
from tests.agents.losses import papers
from tests.helpers import GRID, TINY, UNEVEN_EDGES, small_dag


def every_edge(dag):
    """All edges of a DAG as transitions, with the graph they are from."""
    graph = state_graph(dag)
    children = graph.states[graph.target]
    terminal = dag.is_terminal(children)
    log_reward = np.zeros(len(children))
    log_reward[terminal] = dag.log_reward(children[terminal])
    edges = Transitions(
        graph.states[graph.source], graph.action, children, dag.uniform_log_pb(children), log_reward, terminal
    )
    return edges, graph


def tabular(agent, q, slow):
    """``agent`` with tables in place of its networks: Q of each state, (s, num_actions), and that of the slow copy."""
    dag = agent.dag
    tables = {id(agent.policy): torch.from_numpy(q), id(agent.target): torch.from_numpy(slow)}
    agent.q_values = lambda network, states: (
        tables[id(network)][dag.state_index(states)],
        torch.from_numpy(dag.forward_mask(states)),
    )
    return agent


@pytest.mark.parametrize("alpha", [None, 0.0, 0.15, 0.6])
def test_targets_of_transitions_by_hand(alpha):
    settings = {} if alpha is None else {"munchausen_alpha": alpha, "munchausen_lowest": -1.0}
    agent = agents.make_agent("soft-dqn" if alpha is None else "munchausen-dqn", UNEVEN, hidden=(4,), **settings)
    q, slow = np.random.default_rng(0).normal(size=(2, 6, 3)) * 2
    edges, _ = every_edge(UNEVEN)
    found = tabular(agent, q, slow).errors(edges)
    coefficient = 1 / (1 - (alpha or 0.0))

    def value(state):
        legal = UNEVEN.forward_mask(np.array([[state]]))[0]
        return coefficient * math.log(sum(math.exp(slow[state, a] / coefficient) for a in np.flatnonzero(legal)))

    for i, (state, action, child) in enumerate(UNEVEN_EDGES):
        parents = sum(edge[2] == child for edge in UNEVEN_EDGES)
        target = math.log(1 / parents)
        target += UNEVEN.log_rewards[child] if child in (4, 5) else value(child)
        target += (alpha or 0.0) * min(0.0, max(-1.0, slow[state, action] - value(state)))
        at = np.flatnonzero((edges.states[:, 0] == state) & (edges.actions == action))
        assert found[at].item() == pytest.approx(q[state, action] - target, abs=1e-12), i


def test_munchausen_without_bonus_is_soft_dqn():
    q, slow = np.random.default_rng(1).normal(size=(2, 6, 3))
    edges, _ = every_edge(UNEVEN)
    soft = tabular(agents.make_agent("soft-dqn", UNEVEN, hidden=(4,)), q, slow)
    other = tabular(agents.make_agent("munchausen-dqn", UNEVEN, hidden=(4,), munchausen_alpha=0.0), q, slow)
    assert torch.equal(soft.errors(edges), other.errors(edges))


@pytest.mark.parametrize("name", ["soft-dqn", "munchausen-dqn"])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_the_fixed_point_is_the_soft_optimum(name, env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    edges, graph = every_edge(dag)
    value, reward = exact.soft_values(dag), exact.soft_edge_rewards(dag)
    log_policy = reward + value[graph.target] - value[graph.source]
    agent = agents.make_agent(name, dag, hidden=(4,))
    optimum = np.zeros((len(graph.states), dag.num_actions))
    optimum[graph.source, graph.action] = value[graph.source] + agent.coefficient * log_policy
    assert tabular(agent, optimum, optimum).errors(edges).abs().max() < 1e-10
    assert agent.log_z == pytest.approx(exact.log_partition(dag), abs=1e-9)
    # Value iteration with the agent's own targets gets there.
    q = np.zeros_like(optimum)
    for _ in range(dag.max_length + (0 if name == "soft-dqn" else 60)):
        tabular(agent, np.zeros_like(q), q)
        new = np.zeros_like(q)
        new[graph.source, graph.action] = -agent.errors(edges).numpy()
        q = new
    np.testing.assert_allclose(q, optimum, rtol=0, atol=1e-9)


def test_soft_values_of_policies():
    rng = np.random.default_rng(0)
    q, legal = torch.from_numpy(rng.normal(size=(5, 4))), torch.from_numpy(rng.random((5, 4)) < 0.6)
    legal[:, 0] = True
    lowest = torch.finfo(torch.float64).min
    for coefficient in (1.0, 0.3):
        best = (q / coefficient).masked_fill(~legal, lowest).log_softmax(1)
        value = expected_soft_value(q, best, coefficient)
        torch.testing.assert_close(value, soft_value(q, legal, coefficient), rtol=1e-12, atol=1e-12)
        other = torch.from_numpy(rng.normal(size=(5, 4))).masked_fill(~legal, lowest).log_softmax(1)
        assert (expected_soft_value(q, other, coefficient) <= value + 1e-12).all()
        by_hand = [-sum(p * math.log(p) for p in row.exp().tolist() if p > 0) for row in best]
        np.testing.assert_allclose(entropy(best), by_hand, rtol=1e-12)


def test_a_tuned_coefficient_follows_the_entropy():
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    for aim, above in ((0.999, True), (0.05, False)):
        agent = agents.make_agent("sac", dag, hidden=(16,), tuned=True, target_entropy=aim, lr_coefficient=0.01)
        found = [agent.update() for _ in range(20)][-1]
        assert (found["coefficient"] > 1) == above
        assert agent.log_z is None


def path_consistency(log_pf, log_pb, value, offsets, steps=None):
    """Residual of the path from each state that is not terminal, (e,): those that enter the loss of the agent."""
    declared, residuals = agents.make_agent("pcl", UNEVEN, hidden=(8,), steps=steps).balance, []
    loss, _ = balance_loss(
        log_pf, log_pb, value, offsets, declared, lambda residual: residuals.append(residual) or residual.square()
    )
    assert loss.item() == pytest.approx(residuals[0].square().mean().item(), rel=1e-12)
    assert residuals[0].shape == log_pf.shape
    return residuals[0]


def test_path_consistency_is_subtrajectory_balance():
    agent = agents.make_agent("pcl", UNEVEN, hidden=(8,))
    batch = agent.sample_trajectories(20)
    with torch.no_grad():
        log_pf, log_pb, value = (term.double() for term in log_probs(UNEVEN, agent.policy, batch)[:3])
    offsets = batch.offsets
    whole = path_consistency(log_pf, log_pb, value, offsets)
    first = whole[torch.from_numpy(batch.edge_offsets[:-1])]
    limit = papers.subtrajectory_balance(
        log_pf, log_pb, value, torch.from_numpy(offsets), lamda=1e14, weighting="trajectory"
    )
    assert first.square().mean().item() == pytest.approx(limit.item(), rel=1e-9)
    sources, targets = torch.from_numpy(batch.sources), torch.from_numpy(batch.targets)
    single = papers.detailed_balance(log_pf, log_pb, value[sources], value[targets])
    torch.testing.assert_close(path_consistency(log_pf, log_pb, value, offsets, 1), single)
    expected = []
    for start, stop, edge in zip(batch.offsets[:-1], batch.offsets[1:], batch.edge_offsets[:-1], strict=True):
        for i in range(stop - start - 1):
            j = min(i + 2, stop - start - 1)
            steps = sum((log_pf - log_pb)[edge + t].item() for t in range(i, j))
            expected.append(value[start + i].item() + steps - value[start + j].item())
    np.testing.assert_allclose(path_consistency(log_pf, log_pb, value, offsets, 2), expected, atol=1e-12)
