"""Figures of state graphs and molecules: contents, and errors for environments that cannot be drawn."""

import numpy as np
import pytest

import agents
import gfn_envs
from agents.cli import main as cli
from agents.plots.molecules import best_molecules, mean_distance, molecule_grid
from agents.plots.state_graph import edge_flows, edge_log_pb, layered, state_graph
from gfn_envs import enumeration, exact
from gfn_envs.envs.molecules import scores
from tests.helpers import BAYES_NET, FRAGMENTS, TINY, UNEVEN_EDGES, TableDag, small_dag

GRID = "GFN/HyperGrid-v0"
#: Several edges lead from one state to another.
PARALLEL = [*UNEVEN_EDGES, (0, 3, 1), (0, 4, 1), (4, 0, 6), (4, 1, 6), (4, 2, 7)]


def agent_on(dag, backward="learned"):
    return agents.make_agent("tb", dag, hidden=(8,), backward=backward)


# ---------------------------------------------------------------------- state graphs


@pytest.mark.parametrize("backward", ["learned", "uniform", "maxent"])
@pytest.mark.parametrize("edges", [UNEVEN_EDGES, PARALLEL])
def test_flows_of_the_policy_that_samples_in_proportion_to_reward_are_the_exact_ones(edges, backward):
    dag = TableDag(edges)
    agent = agent_on(dag, backward)
    log_pb = edge_log_pb(agent)
    graph = enumeration.state_graph(dag)
    into = np.bincount(graph.target, weights=np.exp(log_pb))
    np.testing.assert_allclose(into[1:], 1, rtol=1e-6)
    if backward == "uniform":
        np.testing.assert_array_equal(log_pb, exact.uniform_log_pb(dag))
    expected, learned = edge_flows(agent)
    assert abs(expected - learned).max() > 1e-3
    agent.probabilities = exact.table_policy(dag, np.exp(exact.optimal_edge_log_probabilities(dag, log_pb)))
    expected, learned = edge_flows(agent)
    np.testing.assert_allclose(learned, expected, rtol=1e-9)
    arriving = np.bincount(graph.target, weights=expected, minlength=len(graph.states))
    leaving = np.bincount(graph.source, weights=expected, minlength=len(graph.states))
    np.testing.assert_allclose(arriving[graph.terminal], exact.target_distribution(dag), rtol=1e-6)
    inner = np.setdiff1d(np.arange(1, len(graph.states)), graph.terminal)
    np.testing.assert_allclose(arriving[inner], leaving[inner], rtol=1e-6)
    assert leaving[0] == pytest.approx(1, rel=1e-6)


def test_backward_probabilities_of_edges_are_those_of_trajectories():
    dag = small_dag(BAYES_NET, {"num_nodes": 3, "num_samples": 5})
    agent = agent_on(dag)
    batch = agent.sample_trajectories(20)
    expected = agent.log_probs(batch).log_pb.detach().numpy()
    graph = enumeration.state_graph(dag)
    place = {(int(s), int(a)): e for e, (s, a) in enumerate(zip(graph.source, graph.action, strict=True))}
    sources = dag.state_index(batch.states[batch.sources])
    found = edge_log_pb(agent)[[place[s, a] for s, a in zip(sources.tolist(), batch.actions.tolist(), strict=True)]]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_states_of_a_level_are_drawn_apart_and_trees_without_crossings():
    # Two children each, the second level listed in an order that crosses.
    edges = [(0, 0, 1), (0, 1, 2), (1, 0, 4), (1, 1, 6), (2, 0, 3), (2, 1, 5)]
    dag = TableDag(edges)
    graph = enumeration.state_graph(dag)
    level = np.array([0, 1, 1, 2, 2, 2, 2])
    places = layered(level, graph.source, graph.target)
    np.testing.assert_array_equal(places[:, 0], level)
    assert np.abs(places[:, 1]).max() <= 1
    for t in (1, 2):
        heights = np.sort(places[level == t, 1])
        assert np.diff(heights).min() > 0.1
    pairs = [(places[s, 1], places[t, 1]) for s, t in zip(graph.source, graph.target, strict=True) if s]
    assert all((a - c) * (b - d) >= 0 for a, b in pairs for c, d in pairs)


@pytest.mark.parametrize(("env_id", "kwargs"), [TINY[0], *(c for c in TINY if c.values[0] in (BAYES_NET, FRAGMENTS))])
def test_state_graphs_are_drawn(tmp_path, env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    agent = agent_on(dag)
    figure = state_graph(agent, tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 20_000
    flows = edge_flows(agent)
    for axes, flow in zip(figure.axes, flows, strict=True):
        widths = axes.collections[1].get_linewidths()
        np.testing.assert_allclose(sorted(widths), sorted(16 * flow))
    distance = exact.total_variation(agents.exact_distribution(agent), exact.target_distribution(dag))
    assert f"exact total variation {distance:.4f}" in figure.get_suptitle()


def test_state_graphs_of_too_many_states_or_without_a_policy_raise():
    with pytest.raises(gfn_envs.EnumerationError, match=r"HyperGrid\(.* has 128 states, allowed are at most 100"):
        state_graph(agent_on(gfn_envs.make_dag(GRID)), max_states=100)
    with pytest.raises(gfn_envs.EnumerationError, match=r"allowed are at most 500"):
        state_graph(agent_on(gfn_envs.make_dag("GFN/BitSequence-v0")))
    with pytest.raises(ValueError, match="'mcmc' samples without a policy"):
        state_graph(agents.make_agent("mcmc", TableDag(UNEVEN_EDGES)))


def test_the_command_draws_them_and_says_what_is_too_large(tmp_path, capsys):
    agents.train(agent_on(small_dag(GRID, {"ndim": 2, "side": 4})), 2, tmp_path, progress=False)
    with pytest.raises(SystemExit) as stop:
        cli.main(["plot", str(tmp_path), "--state-graph"])
    assert stop.value.code == 0
    assert (tmp_path / "figures" / "state_graph.png").stat().st_size > 20_000
    assert "state_graph.png" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        cli.main(["plot", str(tmp_path), "--state-graph", "--max-states", "31"])
    message = capsys.readouterr().err.strip()
    assert stop.value.code == 2
    assert "has 32 states, allowed are at most 31" in message
    assert len(message.splitlines()) == 1


# ---------------------------------------------------------------------- molecules


def molecules():
    return small_dag(FRAGMENTS, {"blocks": ["*C", "*CC*", "*CO*"], "max_blocks": 3, "exponent": 2.0})


def test_the_best_molecules_are_distinct_and_in_order(monkeypatch):
    dag = molecules()
    objects = dag.terminal_states()
    states = objects[np.random.default_rng(0).integers(len(objects), size=100)]
    log_reward = dag.log_reward(states)
    smiles = dag.to_smiles(states)
    best = best_molecules(dag, states, log_reward, 8)
    by_molecule = {}
    for name, value in zip(smiles, log_reward, strict=True):
        by_molecule[name] = max(value, by_molecule.get(name, -np.inf))
    assert len({smiles[row] for row in best}) == 8
    np.testing.assert_array_equal(log_reward[best], sorted(by_molecule.values(), reverse=True)[:8])
    # Some molecules are several states.
    assert len(by_molecule) < len(np.unique(states, axis=0))
    assert len(best_molecules(dag, states, log_reward, 1000)) == len(by_molecule)
    qed, reward = np.exp(dag.log_score(states[:1]))[0], np.exp(log_reward[0])
    drawn = []
    monkeypatch.setattr(scores, "draw_grid", lambda molecules, captions, *sizes: drawn.extend(captions))
    dag.draw_molecules(states[:1], 6, (300, 230))
    assert drawn == [f"qed {qed:.3f},  R {reward:.3g}"]
    assert mean_distance(dag, states[:1]) == 0
    assert mean_distance(dag, objects[:2]) == pytest.approx(dag.distance(objects[:1], objects[1:2])[0, 0])


def test_runs_on_molecules_have_a_figure_of_them(tmp_path, capsys):
    agent = agent_on(molecules())
    before = agent.rng.bit_generator.state
    figure = molecule_grid(agent, num_samples=50)
    assert agent.rng.bit_generator.state == before
    assert "best distinct molecules of 50 samples" in figure.axes[0].get_title()
    agents.train(agent, 2, tmp_path, progress=False)
    with pytest.raises(SystemExit) as stop:
        cli.main(["plot", str(tmp_path)])
    assert stop.value.code == 0
    assert (tmp_path / "figures" / "molecules.png").stat().st_size > 20_000
    assert "molecules.png" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"TableDag.* does not define objects as molecules"):
        molecule_grid(agent_on(TableDag(UNEVEN_EDGES)))
