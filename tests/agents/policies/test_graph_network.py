"""Graph networks: labels that mean nothing change nothing, absent nodes are unseen, and every agent learns."""

import copy
import itertools

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.config import NetworkSettings
from agents.policies import GraphNetwork, RelativeEdgeFlowPolicy
from agents.policies.build import make_policy
from agents.registry import AGENTS, GFLOWNETS
from agents.runs import directory as runs
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from gfn_envs.graph_layout import PairActions
from tests.agents.replay.test_schemes import leaves
from tests.helpers import (
    ATOMS,
    BAYES_NET,
    FRAGMENTS,
    INDEPENDENT_SET,
    MAX_CUT,
    TINY,
    UNEVEN_EDGES,
    TableDag,
    agent_or_skip,
    all_states,
    small_dag,
)

SETTINGS = {"network": "graph", "width": 8, "layers": 2, "heads": 2}
BLOCKS = ["*C", "*c1ccc(*)cc1", "*CO*", "*C(*)*"]
CASES = {
    "bayes": (BAYES_NET, {"num_nodes": 3, "num_samples": 10}),
    "fragments": (FRAGMENTS, {"blocks": BLOCKS[:3], "max_blocks": 3}),
}
cases = pytest.mark.parametrize("case", CASES)


def policy_on(dag, backward=True, flow=True, seed=0, **settings):
    torch.manual_seed(seed)
    return make_policy(dag, NetworkSettings(**SETTINGS | settings), backward, flow).double()


def some_states(dag, n=80, inner=True):
    states = all_states(dag)
    states = states[dag.forward_mask(states).any(1)] if inner else states
    return states[np.random.default_rng(0).permutation(len(states))[:n]]


def heads_of(policy, states):
    with torch.no_grad():
        return [part.numpy() for part in policy(states)]


# ---------------------------------------------------------------------- graphs of the environments


def test_graphs_of_a_bayesian_network_by_hand():
    dag = gfn_envs.make_dag(BAYES_NET, num_nodes=3)
    state = dag.step(dag.source(1), np.array([4]))  # 2 -> 0
    assert dag.action_label(4) == "X2 -> X0"
    assert dag.labelled_graphs(state)[0].tolist() == [[1, 0, 0], [0, 2, 0], [1, 0, 3]]


def test_graphs_of_a_molecule_by_hand():
    """O-CH2 bonded by its carbon to one of two stems of a ring: kinds 3 and 2, and three positions to a block."""
    dag = small_dag(FRAGMENTS, {"blocks": BLOCKS, "max_blocks": 3})
    s = dag.num_stems
    states = some_states(dag, inner=False)
    graphs = dag.labelled_graphs(states)
    kind, parent, port, entry = (states[:, 3 * i : 3 * i + 3] for i in range(4))
    for g, row in enumerate(states):
        expected = np.diag(kind[g])
        for block in np.flatnonzero(kind[g][1:]) + 1:
            p, q = port[g, block], entry[g, block]
            expected[parent[g, block], block] = 1 + p * s + q
            expected[block, parent[g, block]] = 1 + q * s + p
        np.testing.assert_array_equal(graphs[g], expected, err_msg=str(row))
    assert len(np.unique(graphs[:, ~np.eye(3, dtype=bool)])) > 4


# ---------------------------------------------------------------------- symmetries


def relabelled(dag, states, order):
    """Graphs whose node order[i] is what node i was."""
    bits = (states[:, :-1, None] >> np.arange(dag.num_nodes)) & 1  # [n, child, parent]
    moved = np.zeros_like(bits)
    moved[:, np.asarray(order)[:, None], np.asarray(order)] = bits
    return np.concatenate([moved @ (1 << np.arange(dag.num_nodes)), states[:, -1:]], axis=1)


def relabelled_logits(dag, logits, order):
    """Logits of edges and the stop, each at the place of what its edge has become."""
    d, place = dag.num_nodes, dag.graph_layout.forward.place
    table = np.full((len(logits), d, d), np.nan)
    table.reshape(len(logits), -1)[:, place] = logits[:, :-1]
    moved = np.full_like(table, np.nan)
    moved[:, np.asarray(order)[:, None], np.asarray(order)] = table
    return np.concatenate([moved.reshape(len(logits), -1)[:, place], logits[:, -1:]], axis=1)


@pytest.mark.parametrize("form", ["sa", "ssr"])
@pytest.mark.parametrize("alike", [True, False])
def test_relabelled_nodes_have_relabelled_logits(alike, form):
    """With labels that move along, or without any: then isomorphic graphs cannot be told apart."""
    dag = gfn_envs.make_dag(BAYES_NET, num_nodes=4)
    policy = policy_on(dag, form=form)
    networks = policy.networks if form == "sa" else policy.encoders
    states = some_states(dag, 60)
    for order in list(itertools.permutations(range(4)))[1::4]:
        moved = copy.deepcopy(policy) if form == "sa" else policy_on(dag, form=form)
        with torch.no_grad():
            for network, other in zip(networks, moved.networks if form == "sa" else moved.encoders, strict=True):
                if alike:
                    network.label.weight[:] = network.label.weight[1]
                other.label.weight[1 + torch.tensor(order)] = network.label.weight[1:].clone()
        forward, backward, flow = heads_of(policy, states)
        states_after = relabelled(dag, states, order)
        forward_after, backward_after, flow_after = heads_of(moved, states_after)
        legal, legal_back = dag.forward_mask(states_after), dag.backward_mask(states_after)
        expected, expected_back = (relabelled_logits(dag, logits, order) for logits in (forward, backward))
        np.testing.assert_allclose(forward_after[legal], expected[legal], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(backward_after[legal_back], expected_back[legal_back], rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(flow_after, flow, rtol=1e-9, atol=1e-10)
        # The test could fail: labels tell nodes apart, and so do edges.
        assert np.ptp(forward_after[legal]) > 1e-3
        if not alike:
            assert abs(heads_of(policy, states_after)[2] - flow).max() > 1e-3


@pytest.mark.parametrize("shared", [True, False])
def test_absent_nodes_change_nothing_and_weights_fit_larger_graphs(shared):
    """The same weights give a molecule the same logits whatever the most blocks."""
    small, large = (small_dag(FRAGMENTS, {"blocks": BLOCKS, "max_blocks": m}) for m in (3, 5))
    one, other = policy_on(small, shared=shared), policy_on(large, shared=shared, seed=1)
    other.load_state_dict(one.state_dict())
    states = some_states(small)
    runs_of = states[:, :-1].reshape(len(states), 4, 3)
    padded = np.concatenate(
        [np.pad(runs_of, ((0, 0), (0, 0), (0, 2))).reshape(len(states), 20), states[:, -1:]], axis=1
    )
    forward, backward, flow = heads_of(one, states)
    forward_padded, backward_padded, flow_padded = heads_of(other, padded.astype(np.int16))
    shared_actions = small.num_actions - 1
    np.testing.assert_allclose(forward_padded[:, :shared_actions], forward[:, :-1], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(forward_padded[:, -1], forward[:, -1], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(backward_padded[:, [0, 1, 2, -1]], backward, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(flow_padded, flow, rtol=1e-9, atol=1e-10)


def test_sizes_of_bayesian_networks_are_in_the_labels_alone():
    weights = [dict(policy_on(gfn_envs.make_dag(BAYES_NET, num_nodes=d)).named_parameters()) for d in (3, 6)]
    differ = [name for name in weights[0] if weights[0][name].shape != weights[1][name].shape]
    assert differ == ["networks.0.label.weight"]


# ---------------------------------------------------------------------- the network by one node at a time


def slow_heads(policy, dag, graph):
    """All outputs for one graph, one node and one pair at a time, absent nodes left out from the start."""
    network, layout = policy.networks[0], dag.graph_layout
    size, weight = len(graph), lambda module, x: module.weight @ x + (0 if module.bias is None else module.bias)
    present = [i for i in range(size) if graph[i, i]]
    relation = lambda i, j: layout.num_relations if -1 in (i, j) else 0 if i == j else int(graph[i, j])  # noqa: E731
    x = {-1: network.root}
    for i in range(size):
        others = [j for j in range(size) if j != i]
        start = network.label.weight[int(graph[i, i])]
        for j in others:
            for back, r in ((0, relation(i, j)), (1, relation(j, i))):
                if r:
                    start = start + network.relations[back * (layout.num_relations - 1) + r - 1]
                    start = start + network.neighbors.weight.chunk(2)[back] @ network.label.weight[int(graph[j, j])]
        x[i] = start
    to, back = (embedding.weight for embedding in network.bias)
    for layer in network.layers:
        width, heads = len(network.root), layer.heads
        projected = {i: weight(layer.project, layer.before(x[i])).view(3, heads, -1) for i in x}
        seen = {}
        for i in x:
            sources = [-1, *present]
            bias = torch.stack([to[relation(i, j)] + back[relation(j, i)] for j in sources])
            scores = torch.stack([(projected[i][0] * projected[j][1]).sum(1) for j in sources]) / (width / heads) ** 0.5
            share = (scores + bias).softmax(0)
            seen[i] = sum(share[k][:, None] * projected[j][2] for k, j in enumerate(sources)).flatten()
        x = {i: x[i] + weight(layer.merge, seen[i]) for i in x}
        x = {i: x[i] + weight(layer.narrow, weight(layer.widen, layer.between(x[i])).relu()) for i in x}
    x = {i: network.norm(each) for i, each in x.items()}
    outputs = []
    for readout, actions in zip(network.readouts, (layout.forward, layout.backward, None), strict=True):
        for place in [] if actions is None else actions.place.tolist():
            if isinstance(actions, PairActions):
                i, j = divmod(place, size)
                source = weight(readout.pair, x[i])[: len(x[i])]
                outputs.append(source @ weight(readout.pair, x[j])[len(x[j]) :])
            else:
                node, k = divmod(place, actions.per_node)
                outputs.append(weight(readout.node, x[node])[k])
        outputs += weight(readout.whole, x[-1])
    return torch.stack(outputs).numpy()


@cases
def test_the_network_equals_one_node_at_a_time(case):
    dag = small_dag(*CASES[case])
    policy = policy_on(dag)
    states = some_states(dag, 25)
    forward, backward, flow = heads_of(policy, states)
    with torch.no_grad():
        for row, graph in enumerate(dag.labelled_graphs(states)):
            slow = slow_heads(policy, dag, graph)
            together = np.concatenate([forward[row], backward[row], flow[row : row + 1]])
            np.testing.assert_allclose(together, slow, rtol=1e-9, atol=1e-10)


# ---------------------------------------------------------------------- policies


@cases
@pytest.mark.parametrize("form", ["sa", "ssr"])
@pytest.mark.parametrize("shared", [True, False])
def test_rollouts_see_the_logits_of_the_loss(case, form, shared):
    dag = small_dag(*CASES[case])
    policy = policy_on(dag, form=form, shared=shared)
    assert isinstance(policy, RelativeEdgeFlowPolicy) == (form == "ssr")
    for rows in (some_states(dag), np.repeat(some_states(dag, 5), 9, axis=0)):
        with torch.inference_mode():
            heads = policy(rows)
            assert heads.forward_logits.shape == (len(rows), dag.num_actions)
            assert heads.backward_logits.shape == (len(rows), dag.num_backward_actions)
            assert heads.log_flow.shape == (len(rows),)
            for name, expected in (("forward", heads.forward_logits), ("backward", heads.backward_logits)):
                np.testing.assert_allclose(policy.head(name)(rows), expected, rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(policy.logits(name)(rows), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["tb", "subtb", "fm", "rl-u", "soft-dqn"])
@pytest.mark.parametrize("form", ["sa", "ssr"])
def test_environments_without_graphs_are_refused(name, form):
    if name == "soft-dqn" and form == "ssr":
        pytest.skip("it has no form")
    dag = small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
    settings = {} if name == "soft-dqn" else {"form": form}
    message = r"network 'graph' needs states that are graphs .*HyperGrid\(ndim=2.* has none"
    with pytest.raises(ValueError, match=message):
        agents.make_agent(name, dag, network="graph", **settings)


def learns_by_network(name):
    return issubclass(AGENTS[name].config_class, NetworkSettings)


@cases
@pytest.mark.parametrize("name", [name for name in AGENTS if learns_by_network(name)])
def test_every_agent_learns_with_it_and_resumes_to_the_bit(case, name, tmp_path):
    dag = small_dag(*CASES[case])
    settings = SETTINGS | {"layers": 1, "batch_size": 4}
    make = lambda: agent_or_skip(name, dag, **settings)  # noqa: E731
    agent = make()
    networks = [module for module in agent.policy.modules() if isinstance(module, GraphNetwork)]
    assert networks
    before = [p.detach().clone() for p in networks[0].parameters()]
    infos = [agent.update() for _ in range(3)]
    assert all(np.isfinite(info["loss"]) for info in infos)
    changed = [not torch.equal(a, b) for a, b in zip(before, networks[0].parameters(), strict=True)]
    assert np.mean(changed) > 0.7
    assert agents.exact_distribution(agent).sum() == pytest.approx(1, abs=1e-6)
    runs.save_checkpoint(tmp_path, agent, {})
    resumed = make()
    runs.load_checkpoint(tmp_path, resumed)
    assert [resumed.update() for _ in range(2)] == [agent.update() for _ in range(2)]
    left, right = leaves(agent.state_dict()), leaves(resumed.state_dict())
    assert [key for key in left if left[key] != right[key]] == []


@pytest.mark.parametrize("name", [name for name in GFLOWNETS if not name.startswith("rl-")])
def test_relative_edge_flows_learn_with_it(name):
    agent = agent_or_skip(name, small_dag(*CASES["bayes"]), form="ssr", batch_size=4, **SETTINGS)
    assert np.isfinite([agent.update()["loss"] for _ in range(2)]).all()


@pytest.mark.parametrize("case", ["table", *CASES])
def test_it_comes_to_sample_in_proportion_to_reward(case):
    """Fitted by cross-entropy to the optimal policy on all states."""
    dag = TableDag(UNEVEN_EDGES) if case == "table" else small_dag(*CASES[case])
    policy = policy_on(dag, backward=False, flow=False, width=16)
    graph, inner = state_graph(dag), ~dag.is_terminal(all_states(dag))
    optimal = np.zeros((len(inner), dag.num_actions))
    optimal[graph.source, graph.action] = np.exp(exact.optimal_edge_log_probabilities(dag))
    states, target = graph.states[inner], torch.from_numpy(optimal[inner])
    illegal = torch.from_numpy(~dag.forward_mask(states))
    log_pf = lambda: policy(states).forward_logits.masked_fill(illegal, -1e30).log_softmax(1)  # noqa: E731
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        (-(target * log_pf()).sum(1).mean()).backward()
        optimizer.step()
    table = np.zeros_like(optimal)
    table[inner] = log_pf().detach().exp().numpy()
    learned = exact.terminal_distribution(dag, lambda rows: table[dag.state_index(rows)])
    assert exact.total_variation(learned, exact.target_distribution(dag)) < 0.03


def test_the_tiny_instances_have_the_environments_with_graphs():
    with_graphs = {case.values[0] for case in TINY if small_dag(*case.values).graph_layout is not None}
    assert with_graphs == {BAYES_NET, FRAGMENTS, ATOMS, INDEPENDENT_SET, MAX_CUT}
