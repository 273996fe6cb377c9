"""to_networkx: every state and edge, with exact flows."""

from __future__ import annotations

import math
from typing import Any

import networkx
import numpy as np
import pytest

from gfn_envs import EnumerationError, exact, make_dag, to_networkx
from tests.helpers import TINY, UNEVEN_EDGES, TableDag, small_dag


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_state_graphs(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    graph = to_networkx(dag)
    assert graph.number_of_nodes() == dag.num_states
    assert networkx.is_directed_acyclic_graph(graph)
    assert networkx.dag_longest_path_length(graph, default_weight=1) == dag.max_length
    assert [node for node in graph if not graph.in_degree(node)] == [0]
    assert math.isclose(graph.graph["log_z"], exact.log_partition(dag), rel_tol=1e-9, abs_tol=1e-9)
    for node, at in graph.nodes(data=True):
        out = [edge["action"] for *_, edge in graph.out_edges(node, data=True)]
        back = [edge["backward_action"] for *_, edge in graph.in_edges(node, data=True)]
        assert sorted(out) == np.flatnonzero(at["forward_mask"]).tolist()
        assert sorted(back) == np.flatnonzero(at["backward_mask"]).tolist()
        assert at["terminal"] == (not out) == ("log_reward" in at)
        # Flow conservation.
        flow = math.exp(at["log_flow"])
        inflow = [math.exp(edge["log_flow"]) for *_, edge in graph.in_edges(node, data=True)]
        outflow = [math.exp(edge["log_flow"]) for *_, edge in graph.out_edges(node, data=True)]
        assert not inflow or math.isclose(sum(inflow), flow, rel_tol=1e-9)
        assert math.isclose(sum(outflow) if out else math.exp(at["log_reward"]), flow, rel_tol=1e-9)
        for *_, edge in graph.out_edges(node, data=True):
            assert math.isclose(edge["log_pf"] + at["log_flow"], edge["log_flow"], rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_objects_have_their_names(env_id: str, kwargs: dict[str, Any]) -> None:
    dag = small_dag(env_id, kwargs)
    names = [at["name"] for _, at in to_networkx(dag).nodes(data=True) if at["terminal"]]
    assert names == dag.object_names(dag.terminal_states())


def test_double_edges_are_kept() -> None:
    graph = to_networkx(TableDag(UNEVEN_EDGES))
    states = {at["state"][0]: node for node, at in graph.nodes(data=True)}
    edges = {(u, v, action) for u, v, action in graph.edges(keys=True)}
    assert edges == {(states[u], states[v], action) for u, action, v in UNEVEN_EDGES}
    assert graph.nodes[states[5]]["level"] == 4  # 0, 1, 2, 3, 5


def test_too_large_graphs_raise() -> None:
    with pytest.raises(EnumerationError, match=r"has 128 states, allowed are at most 127: raise max_states"):
        to_networkx(make_dag("GFN/HyperGrid-v0"), 127)
    with pytest.raises(EnumerationError, match="has more states, allowed are at most 5"):
        to_networkx(TableDag(UNEVEN_EDGES), 5)
    assert len(to_networkx(TableDag(UNEVEN_EDGES), 6)) == 6
