"""check_dag: the checks in order."""

from __future__ import annotations

from typing import cast

import numpy as np

from gfn_envs.arrays import unique_rows
from gfn_envs.checker.calls import CHUNK_EDGES, CheckReport, DagError, chunks, terminal_of
from gfn_envs.checker.capabilities import check_capabilities
from gfn_envs.checker.explore import explore, walk_backward, walk_forward
from gfn_envs.checker.invariants import (
    check_counts,
    check_derived,
    check_edges,
    check_encodings,
    check_encodings_differ,
    check_graph,
    check_masks,
    check_rewards,
    check_source,
)
from gfn_envs.checker.outputs import check_outputs
from gfn_envs.checker.purity import check_purity
from gfn_envs.checker.watched import PASSED_ON, Watched, check_declarations
from gfn_envs.dag import Dag


def check_dag(dag: Dag, max_states: int = 20_000, num_walks: int = 200, seed: int = 0) -> CheckReport:
    """Check every invariant of the Dag contract, and those of the optional capabilities that the DAG has.

    If there are at most ``max_states`` reachable states, all of them are checked. Otherwise a random selection is
    checked of the states on ``num_walks`` uniform forward walks and on backward walks from the ends of those.

    Args:
        dag: the DAG.
        max_states: largest number of states that are checked exhaustively.
        num_walks: number of random walks on larger DAGs, at least 1.
        seed: seed of the walks.

    Returns:
        The numbers of states and edges that were checked.

    Raises:
        DagError: an invariant is broken, or a method raises or returns something of another kind. The
            error names the first one, with the state and action that break it.
        ValueError: ``num_walks`` is below 1.
    """
    if num_walks < 1:
        raise ValueError(f"num_walks must be at least 1, got {num_walks}")
    seen = Watched(dag)
    try:
        return _check(cast(Dag, seen), max_states, num_walks, np.random.default_rng(seed))
    except (DagError, *PASSED_ON):
        raise
    except Exception as error:
        # A result of the right kind can have a content that a check does not expect.
        raise DagError(seen.last_method, f"cannot be checked: {type(error).__name__}: {error}") from error


def _check(dag: Dag, max_states: int, num_walks: int, rng: np.random.Generator) -> CheckReport:
    check_declarations(dag)
    check_source(dag)
    reachable = explore(dag, max_states)
    if reachable is None:
        states, longest = walk_forward(dag, num_walks, rng)
    else:
        states = reachable
    # First, because impure methods would make the reports of other checks misleading.
    check_purity(dag, states[rng.permutation(len(states))[:64]])
    if reachable is None:
        states = unique_rows(np.concatenate([states, walk_backward(dag, states[terminal_of(dag, states)], rng)]))
        states = states[rng.permutation(len(states))[: 64 + CHUNK_EDGES // dag.num_actions]]
    else:
        # Before the graph, because a dead end also shortens the longest path.
        for chunk in chunks(states, dag.num_actions):
            check_masks(dag, chunk)
        longest = check_graph(dag, states)
    num_edges = 0
    for chunk in chunks(states, dag.num_actions):
        if reachable is None:
            check_masks(dag, chunk)
        num_edges += check_edges(dag, chunk)
        check_derived(dag, chunk)
        check_rewards(dag, chunk)
        check_encodings(dag, chunk)
    check_encodings_differ(dag, states)
    if reachable is not None and dag.conditions is None:  # States with conditions cannot be listed.
        check_counts(dag, states)
    check_capabilities(dag, states, rng)
    check_outputs(dag, states[rng.permutation(len(states))[:8]])
    return CheckReport(reachable is not None, len(states), int(terminal_of(dag, states).sum()), num_edges, longest)
