"""The substructure guide of guided trajectory balance (Shen et al. 2023, section 5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, distinct, parallel_edges, row_keys
from gfn_envs.dag import Dag

#: Lower bound on the score of a child, before the temperature.
FLOOR = 1e-5

#: Maximum number of entries of the containment matrix in memory.
BLOCK = 2**22


def log_guide(
    dag: Dag, trajectories: Trajectories, objects: IntArray, log_reward: FloatArray, temperature: float = 1.0
) -> FloatArray:
    """log p(s' | s, x, X) of every edge s -> s' of trajectories that end at x, float64 (e,).

    The guide prefers children that high-reward objects share:

        p(c | s, x, X) proportional to max(phi(c), 1e-5)^T

    over the distinct children c of s from which x can still be built. phi(c) is the mean reward of the objects x' in
    X \\ {x} that can be built from c, or 0 if there are none. If every phi is below the floor, the guide is uniform.
    The floor is in units of the reward, as in the paper: if rewards are mostly below 1e-5, scale them. Actions that
    lead to the same child share its probability equally.

    Args:
        dag: an environment that defines ``contains(states (n, w), objects (m, w)) -> bool (n, m)``: True if the
            object can still be built from the state. Only a terminal state itself can be built from it.
        trajectories: sampled forward or backward.
        objects: X, the distinct objects seen (m, state_width). They may include those of the trajectories.
        log_reward: log R of ``objects`` (m,).
        temperature: exponent T >= 0. 0 is uniform; larger values are greedier.

    Raises:
        ValueError: T is negative or not finite, shapes do not match, or ``contains`` denies that the end of a
            trajectory can be built from one of its states.
    """
    if len(objects) != len(log_reward):
        raise ValueError(f"log_guide: got {len(objects)} objects and {len(log_reward)} log rewards")

    def log_phi(states: IntArray, ends: IntArray, end: IntArray) -> FloatArray:
        return log_mean_reward(dag, states, objects, np.asarray(log_reward, np.float64), left_out=(ends, end))

    return log_guide_of_scores(dag, trajectories, log_phi, temperature)


def log_guide_of_scores(
    dag: Dag,
    trajectories: Trajectories,
    log_phi: Callable[[IntArray, IntArray, IntArray], FloatArray],
    temperature: float = 1.0,
) -> FloatArray:
    """:func:`log_guide` with a given phi, such as ``Substructures.log_mean_reward``.

    ``log_phi(states (k, w), ends (n, w), end (k,)) -> (k,)`` excludes the object ``ends[end]`` for each state.
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"log_guide: temperature must be finite and >= 0, got {temperature}")
    ends = trajectories.terminal_states
    edge, children, actions = dag.children(trajectories.states[trajectories.sources])
    trajectory = np.repeat(np.arange(len(trajectories)), trajectories.lengths)
    inside = dag.contains(children, ends)[np.arange(len(edge)), trajectory[edge]]
    edge, children, actions = edge[inside], children[inside], actions[inside]
    # Distinct children of each source: rows of (edge, child).
    _, first, child, parallel = np.unique(
        row_keys(np.column_stack([edge, children.astype(np.int64)])),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    parent = edge[first]
    score = temperature * np.maximum(log_phi(children[first], ends, trajectory[parent]), np.log(FLOOR))
    best = np.full(trajectories.num_edges, -np.inf)
    np.maximum.at(best, parent, score)
    weight = np.exp(score - best[parent])
    log_p = score - best[parent] - np.log(np.bincount(parent, weight, trajectories.num_edges)[parent])
    taken = actions == trajectories.actions[edge]
    result = np.full(trajectories.num_edges, np.nan)
    result[edge[taken]] = (log_p - np.log(parallel))[child.ravel()[taken]]
    if (missing := np.isnan(result)).any():
        bad = int(np.argmax(missing))
        raise ValueError(
            f"log_guide: {type(dag).__name__}.contains says that {ends[trajectory[bad]].tolist()} cannot be built from "
            f"{trajectories.states[trajectories.targets[bad]].tolist()}, but a trajectory from there reaches it"
        )
    return result


def log_agreement(dag: Dag, states: IntArray, objects: IntArray, log_reward: FloatArray) -> FloatArray:
    """log P_G of all actions of each state, float64 (n, num_actions), -inf if illegal (Niu et al. 2024).

    P_G of a child c is proportional to max(phi(c), 1e-5), where phi(c) is the mean reward of the objects that can be
    built from c. Actions that lead to the same child share its probability equally.
    """
    row, children, actions = dag.children(states)
    pair, log_share, first = parallel_edges(row, distinct(children)[1])
    log_phi = log_mean_reward(dag, children[first], objects, np.asarray(log_reward, np.float64))
    logits = np.full((len(states), dag.num_actions), -np.inf)
    logits[row, actions] = np.maximum(log_phi, np.log(FLOOR))[pair] + log_share
    return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)


def log_mean_reward(
    dag: Dag,
    states: IntArray,
    objects: IntArray,
    log_reward: FloatArray,
    left_out: tuple[IntArray, IntArray] | None = None,
) -> FloatArray:
    """log phi: log of the mean reward of the objects that contain each state.

    Args:
        dag: an environment that defines ``contains``.
        states: (k, state_width).
        objects: (m, state_width).
        log_reward: log R of the objects (m,).
        left_out: ``(ends, end)``: terminal states (n, state_width), and the index of the one excluded from the mean
            of each state (k,).

    Returns:
        float64 (k,); -inf if no object is left.
    """
    shift = log_reward.max(initial=-np.inf)
    total, count = np.zeros(len(states)), np.zeros(len(states), dtype=np.int64)
    width = max(1, BLOCK // max(len(states), 1))
    for start in range(0, len(objects), width):
        some = slice(start, start + width)
        # A terminal state contains only itself. Excluding x before the sum, instead of subtracting it afterwards,
        # keeps small rewards next to a large one exact.
        contained: BoolArray = dag.contains(states, objects[some])
        if left_out is not None:
            ends, end = left_out
            contained &= ~dag.contains(ends, objects[some])[end]
        total += contained @ np.exp(log_reward[some] - shift)
        count += np.count_nonzero(contained, axis=1)
    with np.errstate(divide="ignore"):
        return np.where(count > 0, np.log(total) + shift - np.log(np.maximum(count, 1)), -np.inf)
