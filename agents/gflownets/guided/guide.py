"""The substructure guide of guided trajectory balance (Shen et al. 2023, section 5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, distinct, parallel_edges, row_keys
from gfn_envs.dag import Dag

#: The least score of a child, before the temperature.
FLOOR = 1e-5

#: Entries of the containment matrix that are held at once.
BLOCK = 2**22


def log_guide(
    dag: Dag, trajectories: Trajectories, objects: IntArray, log_reward: FloatArray, temperature: float = 1.0
) -> FloatArray:
    """log p(s' | s, x, X) of every edge s -> s' of trajectories that end at x, float64 (e,).

    The guide walks towards x through parts that good objects share:

        p(c | s, x, X) proportional to max(phi(c), 1e-5)^T

    over the distinct children c of s from which x can still be built, where phi(c) is the mean reward of the objects x'
    in X \\ {x} that can be built from c, 0 where there is none. So it is uniform where every phi is 0 (or below the
    floor). The floor is in units of the reward, as in the paper: where rewards are mostly below 1e-5, scale them.
    Where several actions lead to one child they share its probability equally.

    Args:
        dag: an environment that defines ``contains(states (n, w), objects (m, w)) -> bool (n, m)``, whether each
            object can still be built from each state; from a terminal state only itself can.
        trajectories: to any objects, sampled forward or backward.
        objects: X, the distinct objects seen (m, state_width); those of the trajectories may be among them or not.
        log_reward: log R of ``objects`` (m,).
        temperature: T, an exponent >= 0: 0 is uniform, and the larger, the greedier.

    Raises:
        ValueError: T that is negative or not finite, shapes that do not fit, or a trajectory that ``contains``
            contradicts: it passes through a state from which it says the trajectory's end cannot be built.
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
    """:func:`log_guide` with phi from elsewhere: ``log_phi(states (k, w), ends (n, w), end (k,)) -> (k,)``, where each
    state leaves out ``ends[end]``, such as ``Substructures.log_mean_reward``."""
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
            f"{trajectories.states[trajectories.targets[bad]].tolist()}, which a trajectory to it passes through"
        )
    return result


def log_agreement(dag: Dag, states: IntArray, objects: IntArray, log_reward: FloatArray) -> FloatArray:
    """log P_G of every action of every state, float64 (n, num_actions), -inf where illegal: each child c in proportion
    to max(phi(c), 1e-5), where phi(c) is the mean reward of the objects that can be built from c (Niu et al. 2024).

    Where several actions lead to one child they share its probability equally.
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
        left_out: ``(ends, end)``, terminal states (n, state_width), and which of them is left out of the mean of each
            state (k,).

    Returns:
        float64 (k,); -inf where no object is left.
    """
    shift = log_reward.max(initial=-np.inf)
    total, count = np.zeros(len(states)), np.zeros(len(states), dtype=np.int64)
    width = max(1, BLOCK // max(len(states), 1))
    for start in range(0, len(objects), width):
        some = slice(start, start + width)
        # A terminal state contains itself alone. Leaving x out before summing, and not subtracting it afterwards,
        # keeps small rewards beside a large one exact.
        contained: BoolArray = dag.contains(states, objects[some])
        if left_out is not None:
            ends, end = left_out
            contained &= ~dag.contains(ends, objects[some])[end]
        total += contained @ np.exp(log_reward[some] - shift)
        count += np.count_nonzero(contained, axis=1)
    with np.errstate(divide="ignore"):
        return np.where(count > 0, np.log(total) + shift - np.log(np.maximum(count, 1)), -np.inf)
