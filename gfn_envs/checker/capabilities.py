"""Invariants of the optional capabilities that an environment has."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray, row_keys
from gfn_envs.checker.calls import (
    CHUNK_EDGES,
    DagError,
    chunks,
    contains_of,
    expect_none,
    log_reward_of,
    mask_of,
    one_per_row,
    step_of,
    terminal_of,
)
from gfn_envs.checker.explore import random_legal
from gfn_envs.checker.purity import check_purity_of_capabilities
from gfn_envs.dag import Dag
from gfn_envs.graph_layout import PairActions

#: Largest number of backward walks that check ``contains``.
MAX_WALKS = 64


def check_capabilities(dag: Dag, states: IntArray, rng: np.random.Generator) -> None:
    """Check every optional capability that ``dag`` has on ``states`` (n, state_width)."""
    check_purity_of_capabilities(dag, states[rng.permutation(len(states))[:64]])
    check_active_features(dag, states)
    check_tokens(dag, states)
    check_labelled_graphs(dag, states)
    check_grid_cells(dag, states)
    check_clades(dag, states)
    check_target(dag, states, rng)
    objects = some_objects(dag, states, rng)
    check_contains_on_walks(dag, objects, rng)
    for chunk in chunks(states, dag.num_actions):
        check_partial_log_reward(dag, chunk)
        check_can_stop_anywhere(dag, chunk)
        check_log_num_paths(dag, chunk)
        check_contains(dag, chunk, objects)


def check_target(dag: Dag, states: IntArray, rng: np.random.Generator) -> None:
    """log Z is that of the rewards, if ``states`` are all; draws from R / Z are terminal states."""
    if dag.has("exact_log_z"):
        try:
            log_z = dag.exact_log_z()
        except NotImplementedError:
            return
        every = dag.declared_num_states == len(states)
        listed = np.logaddexp.reduce(log_reward_of(dag, states[terminal_of(dag, states)])) if every else log_z
        if not np.isclose(log_z, listed, rtol=1e-9, atol=1e-6):
            raise DagError("exact_log_z", f"is {log_z}, but the rewards add up to {listed}")
    if dag.has("sample_target"):
        try:
            objects = dag.sample_target(32, rng)
        except NotImplementedError:
            return
        if objects.shape != (32, dag.state_width) or objects.dtype != dag.state_dtype:
            expected = f"{np.dtype(dag.state_dtype)} of shape (32, {dag.state_width})"
            raise DagError("sample_target", f"must be {expected}, got {objects.dtype} {objects.shape}")
        expect_none("sample_target", "is not a terminal state", objects, ~terminal_of(dag, objects))


def check_partial_log_reward(dag: Dag, states: IntArray) -> None:
    """float64 (n,), finite, 0 at s0, and equal to log_reward on terminal states."""
    if not dag.has("partial_log_reward"):
        return
    partial = one_per_row("partial_log_reward", dag.partial_log_reward(states), np.float64, states)
    expect_none("partial_log_reward", "is not finite", states, ~np.isfinite(partial))
    if not np.allclose(dag.partial_log_reward(dag.source(1)), 0.0):
        raise DagError("partial_log_reward", "is not 0 at s0", dag.source(1)[0])
    terminal = terminal_of(dag, states)
    if terminal.any():
        wrong = ~np.isclose(partial[terminal], log_reward_of(dag, states[terminal]))
        expect_none("partial_log_reward", "differs from log_reward on a terminal state", states[terminal], wrong)


def check_can_stop_anywhere(dag: Dag, states: IntArray) -> None:
    """If declared, the last action is legal in every non-terminal state and the only edge into its terminal state."""
    if not dag.can_stop_anywhere:
        return
    mask, terminal = mask_of(dag, "forward", states), terminal_of(dag, states)
    illegal = ~mask[:, -1] & ~terminal
    expect_none("can_stop_anywhere", "the last action is illegal in a state that is not terminal", states, illegal)
    row, actions = np.nonzero(mask)
    parents, last = states[row], actions == dag.num_actions - 1
    if len(row):
        ends = terminal_of(dag, step_of(dag, parents, actions))
        expect_none("can_stop_anywhere", "the last action does not end it", parents, last & ~ends, actions)
        expect_none("can_stop_anywhere", "not the last action, yet it ends it", parents, ends & ~last, actions)
    merged = terminal & (mask_of(dag, "backward", states).sum(1) > 1)
    expect_none("can_stop_anywhere", "a terminal state has several parents", states, merged)


def check_log_num_paths(dag: Dag, states: IntArray) -> None:
    """N(s0) = 1 and N(s') = sum of N(s) over the edges s -> s'; this recursion determines N."""
    if not dag.has("log_num_paths"):
        return
    count = one_per_row("log_num_paths", dag.log_num_paths(states), np.float64, states)
    expected = np.full(len(states), -np.inf)
    expected[(states == dag.source(1)).all(1)] = 0.0
    row, parents, _ = dag.parents(states)
    if len(row):
        np.logaddexp.at(expected, row, dag.log_num_paths(parents))
    wrong = ~np.isclose(count, expected, rtol=1e-9, atol=1e-9)
    expect_none("log_num_paths", "is not the log of the sum over its parents' edges", states, wrong)


def check_active_features(dag: Dag, states: IntArray) -> None:
    """int64 (n, k), the columns where the features are 1, each once, and -1; all other features are 0."""
    ones = dag.active_features(states)
    if ones is None:
        return
    if ones.ndim != 2 or len(ones) != len(states) or ones.dtype != np.int64:
        raise DagError("active_features", f"must be int64 ({len(states)}, k), got {ones.dtype} {ones.shape}", states[0])
    outside = ((ones < -1) | (ones >= dag.num_features)).any(1)
    expect_none("active_features", f"must lie in -1..{dag.num_features - 1}", states, outside)
    features = np.zeros((len(states), dag.num_features + 1), dtype=np.float32)
    np.add.at(features, (np.arange(len(states))[:, None], ones), 1.0)
    wrong = (features[:, :-1] != dag.encode(states)).any(1)
    expect_none("active_features", "must be the columns where encode is 1, if all others are 0", states, wrong)


def check_tokens(dag: Dag, states: IntArray) -> None:
    """int64 (n, num_positions), in 0..num_tokens - 1, distinct for different non-terminal states."""
    if not dag.has("tokens"):
        if dag.num_tokens is not None or dag.num_positions is not None:
            raise DagError("tokens", "num_tokens or num_positions is declared, yet tokens is not defined")
        return
    if dag.num_tokens is None or dag.num_positions is None:
        raise DagError("tokens", f"declared num_tokens = {dag.num_tokens}, num_positions = {dag.num_positions}")
    tokens = dag.tokens(states)
    if tokens.shape != (len(states), dag.num_positions) or tokens.dtype != np.int64:
        expected = f"int64 of shape {(len(states), dag.num_positions)}"
        raise DagError("tokens", f"must be {expected}, got {tokens.dtype} {tokens.shape}", states[0])
    outside = ((tokens < 0) | (tokens >= dag.num_tokens)).any(1)
    expect_none("tokens", f"must lie in 0..{dag.num_tokens - 1}", states, outside)
    _expect_distinct("tokens", dag, states, tokens)
    check_token_order(dag, states, tokens)


def check_token_order(dag: Dag, states: IntArray, tokens: IntArray) -> None:
    """If declared, filled positions come first in this order, and an action fills the next one or changes none."""
    if dag.token_order is None:
        return
    positions, empty = int(dag.num_positions or 0), int(dag.num_tokens or 0) - 1
    if not np.array_equal(np.sort(dag.token_order), np.arange(positions)):
        raise DagError("token_order", f"must be a permutation of 0..{positions - 1}, got {dag.token_order}")
    filled = tokens[:, dag.token_order] != empty
    gap = (filled[:, 1:] & ~filled[:, :-1]).any(1)
    expect_none("token_order", "a position is filled before the previous one", states, gap)
    row, parents, actions = dag.parents(states)
    if len(row):
        before, after = (each[:, dag.token_order] for each in (dag.tokens(parents), tokens[row]))
        kept = ((before == after) | (before == empty)).all(1)
        grown = (after != empty).sum(1) - (before != empty).sum(1)
        wrong = ~kept | (grown > 1)
        expect_none("token_order", "an action changes more than the next empty position", parents, wrong, actions)


def check_labelled_graphs(dag: Dag, states: IntArray) -> None:
    """int64 (n, num_nodes, num_nodes), labels and relations in range, distinct for different non-terminal states; an
    absent node has no relations; every action has its own place."""
    layout = dag.graph_layout
    if not dag.has("labelled_graphs"):
        if layout is not None:
            raise DagError("labelled_graphs", "graph_layout is declared, yet labelled_graphs is not defined")
        return
    if layout is None:
        raise DagError("labelled_graphs", "is defined, yet no graph_layout is declared")
    nodes = layout.num_nodes
    for which, count in (("forward", dag.num_actions), ("backward", dag.num_backward_actions)):
        actions = getattr(layout, which)
        place, size = actions.place, nodes * (nodes if isinstance(actions, PairActions) else actions.per_node)
        if len(place) > count or len(np.unique(place)) < len(place) or not np.isin(place, np.arange(size)).all():
            expected = f"at most {count} different places in 0..{size - 1}"
            raise DagError("labelled_graphs", f"graph_layout.{which} must give {expected}, got {place.tolist()}")
    graphs, shape = dag.labelled_graphs(states), (len(states), nodes, nodes)
    if graphs.shape != shape or graphs.dtype != np.int64:
        raise DagError(
            "labelled_graphs", f"must be int64 of shape {shape}, got {graphs.dtype} {graphs.shape}", states[0]
        )
    limit = np.where(np.eye(nodes, dtype=bool), layout.num_labels, layout.num_relations)
    outside = ((graphs < 0) | (graphs >= limit)).any((1, 2))
    allowed = f"labels must lie in 0..{layout.num_labels - 1}, relations in 0..{layout.num_relations - 1}"
    expect_none("labelled_graphs", allowed, states, outside)
    absent = np.einsum("nii->ni", graphs) == 0
    related = ((graphs != 0) & (absent[:, :, None] | absent[:, None, :])).any((1, 2))
    expect_none("labelled_graphs", "an absent node has a relation", states, related)
    _expect_distinct("labelled_graphs", dag, states, graphs.reshape(len(graphs), nodes * nodes))


def check_grid_cells(dag: Dag, states: IntArray) -> None:
    """int64 (n, len(grid_shape)) of terminal states, inside the grid, distinct."""
    if not dag.has("grid_cells"):
        if dag.grid_shape is not None:
            raise DagError("grid_cells", "grid_shape is declared, yet grid_cells is not defined")
        return
    if dag.grid_shape is None:
        raise DagError("grid_cells", "is defined, yet no grid_shape is declared")
    objects = states[terminal_of(dag, states)]
    if not len(objects):
        return
    cells, shape = dag.grid_cells(objects), (len(objects), len(dag.grid_shape))
    if cells.shape != shape or cells.dtype != np.int64:
        raise DagError("grid_cells", f"must be int64 of shape {shape}, got {cells.dtype} {cells.shape}", objects[0])
    outside = ((cells < 0) | (cells >= np.array(dag.grid_shape))).any(1)
    expect_none("grid_cells", f"must lie in a grid of shape {dag.grid_shape}", objects, outside)
    first = np.unique(row_keys(cells), return_index=True)[1]
    repeated = ~np.isin(np.arange(len(cells)), first)
    expect_none("grid_cells", "is the cell of another terminal state", objects, repeated)


def check_clades(dag: Dag, states: IntArray) -> None:
    """bool (n, nodes, num_taxa) of terminal states, nested or disjoint in one tree, and another set for each tree."""
    if not dag.has("clades"):
        return
    objects = states[terminal_of(dag, states)]
    if not len(objects):
        return
    clades = dag.clades(objects)
    if clades.ndim != 3 or clades.shape[::2] != (len(objects), len(dag.taxa)) or clades.dtype != bool:
        expected = f"bool of shape ({len(objects)}, nodes, {len(dag.taxa)})"
        raise DagError("clades", f"must be {expected}, got {clades.dtype} {clades.shape}", objects[0])
    common = clades.astype(np.float32) @ clades.transpose(0, 2, 1)
    size = np.diagonal(common, axis1=1, axis2=2)
    crossing = (common > 0) & (common < size[:, None]) & (common < size[:, :, None])
    expect_none("clades", "has two that are neither nested nor disjoint", objects, crossing.any((1, 2)))
    numbers = np.unique(clades.reshape(-1, clades.shape[2]), axis=0, return_inverse=True)[1]
    rows = np.sort(numbers.reshape(clades.shape[:2]), axis=1)
    repeated = ~np.isin(np.arange(len(rows)), np.unique(rows, axis=0, return_index=True)[1])
    expect_none("clades", "are those of another terminal state", objects, repeated)


def _expect_distinct(name: str, dag: Dag, states: IntArray, rows: IntArray) -> None:
    """``rows`` (n, k) of different non-terminal states are different."""
    inner = ~terminal_of(dag, states)
    first = np.unique(row_keys(rows[inner]), return_index=True)[1]
    repeated = ~np.isin(np.arange(inner.sum()), first)
    expect_none(name, "are those of another state that is not terminal", states[inner], repeated)


def some_objects(dag: Dag, states: IntArray, rng: np.random.Generator) -> IntArray:
    """Terminal states among ``states``, so few that their table with all edges has at most ``16 CHUNK_EDGES`` cells."""
    objects = states[terminal_of(dag, states)]
    limit = max(1, 16 * CHUNK_EDGES // (len(states) * dag.num_actions))
    return objects[rng.permutation(len(objects))[:limit]]


def check_contains(dag: Dag, states: IntArray, objects: IntArray) -> None:
    """A terminal state contains only itself; any other state contains exactly what its children contain.

    If this holds for every state, then a state contains exactly the objects that it leads to.
    """
    if not len(objects) or not dag.has("contains"):
        return
    contained = contains_of(dag, states, objects)
    row, children, _ = dag.children(states)
    expected = row_keys(states)[:, None] == row_keys(objects)
    if len(row):
        np.logical_or.at(expected, row, contains_of(dag, children, objects))
    wrong = contained & ~expected
    expect_none("contains", f"claims {_first(objects, wrong)}, which no child contains", states, wrong.any(1))
    wrong = expected & ~contained
    expect_none("contains", f"denies {_first(objects, wrong)}, which a child contains", states, wrong.any(1))


def check_contains_on_walks(dag: Dag, objects: IntArray, rng: np.random.Generator) -> None:
    """s0 contains every object, and every state on a walk contains the object at its end."""
    if not len(objects) or not dag.has("contains"):
        return
    denied = ~contains_of(dag, dag.source(1), objects)
    if denied.any():
        raise DagError(
            "contains", f"denies {_first(objects, denied)}, though every object is built from s0", dag.source(1)[0]
        )
    walk = np.arange(min(len(objects), MAX_WALKS))
    states = objects = objects[walk]
    for _ in range(dag.max_length + 1):
        denied = ~contains_of(dag, states, objects)[np.arange(len(walk)), walk]
        expect_none("contains", "denies an object on the way to it", states, denied)
        mask = mask_of(dag, "backward", states)
        alive = mask.any(1)
        walk, states = walk[alive], dag.undo(states[alive], random_legal(mask[alive], rng))


def _first(objects: IntArray, wrong: BoolArray) -> list[int]:
    """The object in the first wrong cell of a table (n, m)."""
    return objects[int(np.argmax(wrong)) % len(objects)].tolist()
