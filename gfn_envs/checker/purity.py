"""Purity of every method: rows are independent of their batch, arguments are not mutated, results are fresh arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.checker.calls import DagError, contains_of, log_reward_of, mask_of, terminal_of
from gfn_envs.checker.watched import leaves
from gfn_envs.dag import Dag


def check_purity(dag: Dag, states: IntArray) -> None:
    """The required and derived methods are pure."""
    row, actions = np.nonzero(mask_of(dag, "forward", states))
    brow, back = np.nonzero(mask_of(dag, "backward", states))
    objects = states[terminal_of(dag, states)]
    calls: list[tuple[str, tuple[IntArray, ...]]] = [
        *((name, (states,)) for name in ("is_terminal", "forward_mask", "backward_mask", "encode", "observe")),
        *((name, (states[row], actions)) for name in ("step", "backward_action")),
        *((name, (states[brow], back)) for name in ("undo", "forward_action")),
        *((name, (states,)) for name in ("children", "parents", "uniform_log_pb")),
        *((name, (objects,)) for name in ("log_reward", "mode_index")),
    ]
    for name, arguments in calls:
        function = functools.partial(log_reward_of, dag) if name == "log_reward" else getattr(dag, name)
        if len(arguments[0]):
            _check_pure(name, function, arguments)


def check_purity_of_capabilities(dag: Dag, states: IntArray) -> None:
    """The optional capabilities that the DAG has are pure."""
    for name in ("partial_log_reward", "log_num_paths", "tokens", "labelled_graphs"):
        if dag.has(name):
            _check_pure(name, getattr(dag, name), (states,))
    objects = states[terminal_of(dag, states)]
    if len(objects) and dag.has("grid_cells"):
        _check_pure("grid_cells", dag.grid_cells, (objects,))
    if len(objects) and dag.has("contains"):
        # Rows of the table are states; rows of its transpose are objects.
        _check_pure("contains", lambda rows: contains_of(dag, rows, objects.copy()), (states,))
        _check_pure("contains", lambda rows: contains_of(dag, states.copy(), rows).T, (objects,))


def _check_pure(name: str, function: Callable[..., Any], arguments: tuple[IntArray, ...]) -> None:
    originals = tuple(a.copy() for a in arguments)
    result = function(*arguments)
    if any((a != o).any() for a, o in zip(arguments, originals, strict=True)):
        raise DagError("nothing is mutated", f"{name} changed its arguments", originals[0][0])
    again = function(*arguments)
    for leaf in leaves(result):
        if any(np.shares_memory(leaf, a) for a in arguments):
            raise DagError("fresh arrays", f"{name} returned memory of its arguments", originals[0][0])
        if any(np.shares_memory(leaf, other) for other in leaves(again)):
            raise DagError("fresh arrays", f"{name} returned the same memory twice", originals[0][0])
    if name in ("children", "parents"):
        return  # These return lists of edges; check_derived compares them with the masks.
    n = len(originals[0])
    for leaf in leaves(result):
        if leaf.shape[:1] != (n,):
            raise DagError(name, f"must have one entry per row, {n}, got shape {leaf.shape}", originals[0][0])
    for rows in (np.arange(n)[::-1], *(np.array([i]) for i in range(min(n, 8)))):
        alone = function(*(o[rows] for o in originals))
        if len(leaves(alone)) != len(leaves(result)) or any(len(leaf) != len(rows) for leaf in leaves(alone)):
            raise DagError(name, "must have one entry per row, whatever the number of rows", originals[0][rows[0]])
        for whole, part in zip(leaves(result), leaves(alone), strict=True):
            if not _same(whole[rows], part):
                bad = int(rows[np.argmin([_same(whole[r], p) for r, p in zip(rows, part, strict=True)])])
                raise DagError(
                    "rows are independent", f"{name} of a row depends on the rest of its batch", originals[0][bad]
                )


def _same(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=np.issubdtype(np.asarray(a).dtype, np.inexact))
