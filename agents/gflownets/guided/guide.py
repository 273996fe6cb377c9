"""The substructure guide of guided trajectory balance (Shen et al. 2023, section 6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from agents.replay.trajectories import follow
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, distinct, parallel_edges, row_keys
from gfn_envs.dag import Dag

#: ``(states (k, w), ends (n, w), end (k,)) -> log phi (k,)``, where the mean of state i excludes the object
#: ``ends[end[i]]``.
LogPhi = Callable[[IntArray, IntArray, IntArray], FloatArray]

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
    return log_guide_of_scores(dag, trajectories, partial(log_phi_of, dag, objects, log_reward), temperature)


def log_phi_of(
    dag: Dag, objects: IntArray, log_reward: FloatArray, states: IntArray, ends: IntArray, end: IntArray
) -> FloatArray:
    """log phi from a list of objects; with the first three arguments given, a :data:`LogPhi`."""
    return log_mean_reward(dag, states, objects, np.asarray(log_reward, np.float64), left_out=(ends, end))


def log_guide_of_scores(
    dag: Dag,
    trajectories: Trajectories,
    log_phi: LogPhi,
    temperature: float = 1.0,
) -> FloatArray:
    """:func:`log_guide` with a given phi, such as ``Substructures.log_mean_reward``."""
    ends = trajectories.terminal_states
    trajectory = np.repeat(np.arange(len(trajectories)), trajectories.lengths)
    edge, actions, log_p = guide_actions(
        dag, trajectories.states[trajectories.sources], ends, trajectory, log_phi, temperature
    )
    taken = actions == trajectories.actions[edge]
    result = np.full(trajectories.num_edges, np.nan)
    result[edge[taken]] = log_p[taken]
    if (missing := np.isnan(result)).any():
        bad = int(np.argmax(missing))
        raise ValueError(
            f"log_guide: {type(dag).__name__}.contains says that {ends[trajectory[bad]].tolist()} cannot be built from "
            f"{trajectories.states[trajectories.targets[bad]].tolist()}, but a trajectory from there reaches it"
        )
    return result


def guide_actions(
    dag: Dag, states: IntArray, ends: IntArray, end: IntArray, log_phi: LogPhi, temperature: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """The actions of each state from which its object can still be built, and log p(a | s, x, X) of the guide.

    Args:
        dag: as in :func:`log_guide`.
        states: not terminal (k, state_width).
        ends: objects x (n, state_width).
        end: index of the object of each state (k,).
        log_phi: log phi of children.
        temperature: exponent T >= 0.

    Returns:
        ``(row, actions, log_p)``, each (a,): the state, as a row of ``states``, ascending; the action; and its log
        probability, which add up to 1 for each state that its object contains.

    Raises:
        ValueError: T is negative or not finite.
    """
    if not 0 <= temperature < np.inf:
        raise ValueError(f"log_guide: temperature must be finite and >= 0, got {temperature}")
    ends, which = distinct(ends)
    end = which[end]
    row, children, actions = dag.children(states)
    inside = dag.contains(children, ends)[np.arange(len(row)), end[row]]
    row, children, actions = row[inside], children[inside], actions[inside]
    # Distinct children of each state: rows of (state, child).
    _, first, child, parallel = np.unique(
        row_keys(np.column_stack([row, children.astype(np.int64)])),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    parent = row[first]
    score = temperature * np.maximum(log_phi(children[first], ends, end[parent]), np.log(FLOOR))
    best = np.full(len(states), -np.inf)
    np.maximum.at(best, parent, score)
    weight = np.exp(score - best[parent])
    log_p = score - best[parent] - np.log(np.bincount(parent, weight, len(states))[parent])
    return row, actions, (log_p - np.log(parallel))[child.ravel()]


def sample_guide(
    dag: Dag,
    ends: IntArray,
    log_reward: FloatArray,
    log_phi: LogPhi,
    temperature: float,
    rng: np.random.Generator,
) -> Trajectories:
    """One trajectory to each of the objects ``ends`` (n, state_width), with log R (n,), sampled from the guide.

    Raises:
        ValueError: ``contains`` denies that an object can be built from a state on the way to it.
    """
    states, going = dag.source_of(ends), np.arange(len(ends))
    paths: list[list[int]] = [[] for _ in ends]
    while len(going):
        row, actions, log_p = guide_actions(dag, states, ends, going, log_phi, temperature)
        score = log_p + rng.gumbel(size=len(row))
        order = np.lexsort((score, row))
        last = order[np.flatnonzero(np.diff(row[order], append=len(states)))]
        if len(last) < len(states):
            bad = int(np.setdiff1d(np.arange(len(states)), row)[0])
            raise ValueError(
                f"{type(dag).__name__}.contains says that {ends[going[bad]].tolist()} cannot be built from any child "
                f"of {states[bad].tolist()}, but that it can be built from this state"
            )
        for i, action in zip(going.tolist(), actions[last].tolist(), strict=True):
            paths[i].append(action)
        states = dag.step(states, actions[last])
        more = ~dag.is_terminal(states)
        states, going = states[more], going[more]
    return follow(dag, [np.array(path, dtype=np.int64) for path in paths], log_reward, ends)


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
