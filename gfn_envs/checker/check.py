"""check_dag: every invariant, one after another."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import unique_rows
from gfn_envs.checker.calls import CHUNK_EDGES, chunks, terminal_of
from gfn_envs.checker.capabilities import check_capabilities
from gfn_envs.checker.explore import explore, walk_backward, walk_forward
from gfn_envs.checker.invariants import check_counts, check_derived, check_edges, check_graph, check_masks, check_source
from gfn_envs.checker.purity import check_purity
from gfn_envs.checker.report import CheckReport
from gfn_envs.checker.values import check_encodings, check_rewards
from gfn_envs.dag import Dag


def check_dag(dag: Dag, max_states: int = 20_000, num_walks: int = 200, seed: int = 0) -> CheckReport:
    """Check every invariant of the Dag contract, and those of the optional capabilities that the DAG has.

    Every reachable state is visited when there are at most ``max_states`` of them; otherwise a random choice of the
    states on ``num_walks`` uniform forward walks, and on backward walks from where they end.

    Args:
        dag: the environment's core.
        max_states: the most states to visit exhaustively.
        num_walks: walks on larger DAGs.
        seed: seed of the walks.

    Raises:
        DagError: the first broken invariant, with the state and action that break it.
        ValueError: ``num_walks`` below 1.
    """
    if num_walks < 1:
        raise ValueError(f"num_walks must be at least 1, got {num_walks}")
    rng = np.random.default_rng(seed)
    check_source(dag)
    reachable = explore(dag, max_states)
    if reachable is None:
        states, longest = walk_forward(dag, num_walks, rng)
    else:
        states = reachable
    # Before all else: where a method changes its arguments or mixes rows, other reports would mislead.
    check_purity(dag, states[rng.permutation(len(states))[:64]])
    if reachable is None:
        states = unique_rows(np.concatenate([states, walk_backward(dag, states[terminal_of(dag, states)], rng)]))
        states = states[rng.permutation(len(states))[: 64 + CHUNK_EDGES // dag.num_actions]]
    else:
        longest = check_graph(dag, states)
    num_edges = 0
    for chunk in chunks(states, dag.num_actions):
        check_masks(dag, chunk)
        num_edges += check_edges(dag, chunk)
        check_derived(dag, chunk)
        check_rewards(dag, chunk)
        check_encodings(dag, chunk)
    if reachable is not None:
        check_counts(dag, states)
    check_capabilities(dag, states, rng)
    return CheckReport(reachable is not None, len(states), int(terminal_of(dag, states).sum()), num_edges, longest)
