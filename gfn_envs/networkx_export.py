"""The state graph of a small environment as a NetworkX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gfn_envs.dag import Dag


def to_networkx(dag: Dag, max_states: int = 10_000) -> Any:
    """Every state and edge of ``dag``, with masks, rewards and exact flows.

    Two actions may lead from a state to the same child, so edges have keys: the forward actions.

    Args:
        dag: an environment with at most ``max_states`` states.
        max_states: the most nodes.

    Returns:
        A ``networkx.MultiDiGraph``. Nodes are positions of the states in ``dag.levels()``, s0 first, with attributes
        ``state`` (tuple of int), ``label``, ``level``, ``terminal``, ``forward_mask`` and ``backward_mask`` (tuples of
        bool), ``log_flow`` (of the uniform backward policy: log Z at s0, log R of objects), ``log_reward`` on objects,
        and ``partial_log_reward`` where the environment defines it. Edges have ``action``, ``backward_action``,
        ``label``, ``log_pb`` (uniform), ``log_pf`` (of the policy that samples in proportion to R) and ``log_flow``.
        The graph itself has ``log_z``.

    Raises:
        EnumerationError: more than ``max_states`` states.
        ImportError: NetworkX is not installed.
    """
    from gfn_envs import exact
    from gfn_envs.checker.explore import explore
    from gfn_envs.enumeration import EnumerationError, state_graph

    try:
        import networkx
    except ImportError as error:
        raise ImportError('to_networkx needs NetworkX: pip install "gfn-envs[mols]"') from error
    known = dag.declared_num_states
    if (known is not None and known > max_states) or (known is None and explore(dag, max_states) is None):
        given = f"{known:,}" if known else "more"
        raise EnumerationError(f"{dag!r} has {given} states, allowed are at most {max_states:,}: raise max_states")
    graph = state_graph(dag)
    states = graph.states
    log_flow, log_pb = exact.log_flows(dag), exact.uniform_log_pb(dag)
    log_pf = exact.optimal_edge_log_probabilities(dag)
    backward = dag.backward_action(states[graph.source], graph.action)
    forward_mask, backward_mask = dag.forward_mask(states), dag.backward_mask(states)
    level = np.repeat(np.arange(graph.num_levels), np.diff(graph.level_offsets))
    try:
        partial = dag.partial_log_reward(states)
    except NotImplementedError:
        partial = None
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
    for i, log_reward in zip(graph.terminal, dag.log_reward(states[graph.terminal]), strict=True):
        result.nodes[int(i)].update(terminal=True, log_reward=float(log_reward))
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
