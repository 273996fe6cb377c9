"""The state graph of a small environment as a NetworkX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs import exact
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError, state_graph
from gfn_envs.validation import counted


def to_networkx(dag: Dag, max_states: int = 10_000) -> Any:
    """Every state and edge of ``dag`` as a ``networkx.MultiDiGraph``, with masks, rewards and exact flows.

    Two actions can lead from a state to the same child, so the key of an edge is its forward action.

    Args:
        dag: an environment.
        max_states: largest number of states allowed.

    Returns:
        The graph. Nodes are positions of the states in ``dag.levels()``; s0 is node 0. Node attributes: ``state``
        (tuple of int), ``label`` (text), ``name`` (of terminal states: SMILES, string, tree ..., see
        ``Dag.object_names``), ``level``, ``terminal``, ``forward_mask`` and ``backward_mask`` (tuples of
        bool), ``log_flow``, ``log_reward`` (terminal states only) and ``partial_log_reward`` (if the environment
        defines it). Edge attributes: ``action``, ``backward_action``, ``label``, ``log_pb``, ``log_pf`` and
        ``log_flow``. Graph attribute: ``log_z``. Flows and P_F are those of the policy that samples x in proportion to
        R(x) with the uniform backward policy P_B.

    Raises:
        EnumerationError: the environment has more than ``max_states`` states.
        ImportError: NetworkX is not installed.
    """
    try:
        import networkx
    except ImportError as error:
        raise ImportError('to_networkx needs NetworkX: pip install "gfn-envs[mols]"') from error
    if not dag.has_at_most(max_states):
        count = counted(dag.declared_num_states) if dag.declared_num_states else "more"
        raise EnumerationError(f"{dag!r} has {count} states, allowed are at most {max_states:,}: raise max_states")
    graph = state_graph(dag)
    states = graph.states
    log_flow, log_pb = exact.log_flows(dag), exact.uniform_log_pb(dag)
    log_pf = exact.optimal_edge_log_probabilities(dag)
    backward = dag.backward_action(states[graph.source], graph.action)
    forward_mask, backward_mask = dag.forward_mask(states), dag.backward_mask(states)
    level = np.repeat(np.arange(graph.num_levels), np.diff(graph.level_offsets))
    partial = dag.partial_log_reward(states) if dag.has("partial_log_reward") else None
    result = networkx.MultiDiGraph(log_z=float(log_flow[0]))
    for i, state in enumerate(states):
        result.add_node(
            i,
            state=tuple(state.tolist()),
            label=dag.render_text(state),
            level=int(level[i]),
            terminal=False,
            forward_mask=tuple(forward_mask[i].tolist()),
            backward_mask=tuple(backward_mask[i].tolist()),
            log_flow=float(log_flow[i]),
            **({} if partial is None else {"partial_log_reward": float(partial[i])}),
        )
    objects = states[graph.terminal]
    for i, name, log_reward in zip(graph.terminal, dag.object_names(objects), log_rewards(dag, objects), strict=True):
        result.nodes[int(i)].update(terminal=True, name=name, log_reward=float(log_reward))
    for e, (source, action, target) in enumerate(zip(graph.source, graph.action, graph.target, strict=True)):
        result.add_edge(
            int(source),
            int(target),
            key=int(action),
            action=int(action),
            backward_action=int(backward[e]),
            label=dag.action_label(int(action)),
            log_pb=float(log_pb[e]),
            log_pf=float(log_pf[e]),
            log_flow=float(log_flow[target] + log_pb[e]),
        )
    return result
