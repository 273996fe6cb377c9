"""Local search: undo part of an object, rebuild it, and keep the better one (Kim et al. 2024, LS-GFN).

One round undoes the edges d = (x -> ... -> s) of each object x, sampled from P_B, and rebuilds it along the edges
r = (s -> ... -> x'), sampled from P_F. With ``accept="greedy"``, x' is accepted if R(x') > R(x). With
``accept="metropolis"``, it is accepted with probability min(1, rho),

    rho = R(x') P_B(r | x') P_F(d | s) c(r) / (R(x) P_B(d | x) P_F(r | s) c(d)),

where P_F(d | s) is the probability of rebuilding x from s along d, and so on. c(p) is the probability that K, the
number of steps to undo, undoes exactly the edges of p: P(K = |p|), or P(K >= |p|) if s is the source.

This is exact. The move from x has probability P_B(d | x) c(d) P_F(r | s), and the reverse move undoes r and builds d.
R(x) P_B(d | x) c(d) P_F(r | s) min(1, rho) is invariant under an exchange of (x, d) and (x', r). So the chain on
objects satisfies detailed balance with respect to R for each pair (d, r), and hence for their sum. The factors c cancel
if all trajectories have the same length, as in the paper, whose K is a fixed share of the length. Otherwise, K drawn
from a range lets x' be built in more or fewer steps than were undone. With a fixed K, such moves cannot be reversed and
are rejected.
"""

from __future__ import annotations

import math
import numbers
from typing import Literal, NamedTuple

import numpy as np

from agents.errors import NoLegalActionError
from agents.rollout import Logits, sample_actions
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag


class LocalSearch(NamedTuple):
    """Result of a local search."""

    objects: IntArray
    """Final object of each search (n, state_width)."""
    log_reward: FloatArray
    """log R of ``objects`` (n,)."""
    accepted: IntArray
    """Number of rounds in which the rebuilt object was accepted, int64 (n,)."""
    proposals: IntArray
    """All rebuilt objects, accepted or not, by round (rounds * n, state_width)."""
    proposals_log_reward: FloatArray
    """log R of ``proposals`` (rounds * n,)."""
    transitions: int
    """Steps undone and rebuilt in all rounds."""


class Path(NamedTuple):
    """Edges of partial trajectories of several objects, in order of traversal."""

    rows: IntArray
    """Index of the object of each edge (e,)."""
    sources: IntArray
    """Parents (e, state_width)."""
    actions: IntArray
    """Forward actions (e,)."""
    targets: IntArray
    """Children (e, state_width)."""
    backward_actions: IntArray
    """Backward actions (e,)."""


def local_search(
    dag: Dag,
    objects: IntArray,
    log_reward: FloatArray,
    forward: Logits | None,
    backward: Logits | None,
    rng: np.random.Generator,
    steps: int | float = 0.5,
    min_steps: int | None = None,
    rounds: int = 1,
    accept: Literal["greedy", "metropolis"] = "greedy",
) -> LocalSearch:
    """Search around each of ``objects`` independently.

    Args:
        dag: the environment.
        objects: terminal states (n, state_width).
        log_reward: log R of ``objects`` (n,).
        forward: logits of P_F; None for the uniform policy.
        backward: logits of P_B; None for the uniform policy.
        rng: source of randomness.
        steps: K, the number of steps to undo, fewer if s0 is reached first: an integer >= 1, or a float in (0, 1], a
            fraction of ``dag.max_length``, rounded up.
        min_steps: K is uniform on min_steps..steps for each object and round; None: K = steps. If trajectories differ
            in length, "metropolis" needs a range to move between lengths.
        rounds: number of rounds, >= 1.
        accept: "greedy" or "metropolis" (see above).

    Raises:
        ValueError: an invalid setting, or an object that is not terminal.
        NoLegalActionError: a trajectory longer than max_length, or a state without a legal action.
        FloatingPointError: NaN logits.
    """
    low, high = step_range(dag, steps, min_steps)
    if accept not in ("greedy", "metropolis"):
        raise ValueError(f"local_search: accept must be 'greedy' or 'metropolis', got {accept!r}")
    if rounds < 1:
        raise ValueError(f"local_search: rounds must be at least 1, got {rounds}")
    objects = np.array(objects, dtype=dag.state_dtype)
    log_reward = np.array(log_reward, dtype=np.float64)
    if not (terminal := dag.is_terminal(objects)).all():
        raise ValueError(f"local_search: {objects[int(np.argmin(terminal))].tolist()} is not a terminal state")
    accepted, proposals, proposals_log_reward = np.zeros(len(objects), dtype=np.int64), [], []
    transitions = 0
    for _ in range(rounds if len(objects) else 0):
        k = rng.integers(low, high, size=len(objects), endpoint=True)
        states, undone = backtrack(dag, objects, k, backward, rng)
        found, built = reconstruct(dag, states, forward, rng)
        found_log_reward = log_rewards(dag, found)  # NaN is never accepted.
        if accept == "greedy":
            better = found_log_reward > log_reward
        else:
            at_source: BoolArray = ~np.logical_or.reduce(dag.backward_mask(states), axis=1)
            log_ratio = log_move(dag, built, undone, at_source, forward, backward, low, high) - log_move(
                dag, undone, built, at_source, forward, backward, low, high
            )
            better = -rng.standard_exponential(len(objects)) < found_log_reward - log_reward + log_ratio
        objects = np.where(better[:, None], found, objects)
        log_reward = np.where(better, found_log_reward, log_reward)
        accepted += better
        transitions += len(undone.rows) + len(built.rows)
        known = ~np.isnan(found_log_reward)
        proposals.append(found[known])
        proposals_log_reward.append(found_log_reward[known])
    return LocalSearch(
        objects,
        log_reward,
        accepted,
        np.concatenate([objects[:0], *proposals]),
        np.concatenate([log_reward[:0], *proposals_log_reward]),
        transitions,
    )


def step_range(dag: Dag, steps: int | float, min_steps: int | None = None) -> tuple[int, int]:
    """Inclusive bounds of K. Raises ValueError for settings that :func:`local_search` does not allow."""
    fraction = isinstance(steps, float) and 0 < steps <= 1
    high = math.ceil(steps * dag.max_length) if fraction else steps
    low = high if min_steps is None else min_steps
    if not all(isinstance(bound, numbers.Integral) for bound in (low, high)) or not 1 <= low <= high:
        raise ValueError(
            "local_search: steps must be an integer >= 1 or a float in (0, 1], and min_steps an integer from 1 to "
            f"{high}, got {steps=}, {min_steps=}"
        )
    return int(low), int(high)


def backtrack(
    dag: Dag, objects: IntArray, k: IntArray, backward: Logits | None, rng: np.random.Generator
) -> tuple[IntArray, Path]:
    """Undo ``k`` >= 1 (n,) steps of each object, or all if it has fewer. Returns the states reached and the edges."""
    states, rows = np.array(objects), np.arange(len(objects))
    walked = []
    for step in range(1, int(k.max(initial=0)) + 1):
        children = states[rows]
        mask = dag.backward_mask(children)
        back = sample_actions(_logits(backward, children, mask), mask, rng)
        parents = dag.undo(children, back)
        walked.append(Path(rows, parents, dag.forward_action(children, back), children, back))
        states[rows] = parents
        rows = rows[(k[rows] > step) & dag.backward_mask(parents).any(1)]
        if not len(rows):
            break
    return states, Path(*map(np.concatenate, zip(*walked, strict=True)))


def reconstruct(dag: Dag, states: IntArray, forward: Logits | None, rng: np.random.Generator) -> tuple[IntArray, Path]:
    """Build an object from each of the non-terminal ``states``. Returns the objects and the edges."""
    states, rows = np.array(states), np.arange(len(states))
    walked: list[Path] = []
    while len(rows):
        if len(walked) == dag.max_length:
            raise NoLegalActionError(f"a trajectory is longer than max_length = {dag.max_length}")
        parents = states[rows]
        mask = dag.forward_mask(parents)
        actions = sample_actions(_logits(forward, parents, mask), mask, rng)
        children = dag.step(parents, actions)
        walked.append(Path(rows, parents, actions, children, dag.backward_action(parents, actions)))
        states[rows] = children
        rows = rows[~dag.is_terminal(children)]
    return states, Path(*map(np.concatenate, zip(*walked, strict=True)))


def log_move(
    dag: Dag,
    undone: Path,
    built: Path,
    at_source: BoolArray,
    forward: Logits | None,
    backward: Logits | None,
    low: int,
    high: int,
) -> FloatArray:
    """log of P_B(undone) c(undone) P_F(built), float64 (n,), for K uniform on low..high; -inf if impossible.

    ``at_source`` (n,): True if undoing reached s0.
    """
    n = len(at_source)
    log_pb = log_probabilities(backward, dag.backward_mask(undone.targets), undone.targets, undone.backward_actions)
    log_pf = log_probabilities(forward, dag.forward_mask(built.sources), built.sources, built.actions)
    length = np.bincount(undone.rows, minlength=n)
    # Number of values of K in low..high that undo exactly these edges.
    count = np.where(at_source, high - np.maximum(length, low) + 1, (low <= length) & (length <= high))
    with np.errstate(divide="ignore"):
        log_c = np.log(np.maximum(count, 0) / (high - low + 1))
    return np.bincount(undone.rows, log_pb, n) + log_c + np.bincount(built.rows, log_pf, n)


def log_probabilities(logits: Logits | None, mask: BoolArray, states: IntArray, actions: IntArray) -> FloatArray:
    """log-probability of ``actions`` at ``states`` under a masked softmax policy, float64 (e,)."""
    scores = np.where(mask, _logits(logits, states, mask).astype(np.float64), -np.inf)
    scores -= scores.max(1, keepdims=True)
    return scores[np.arange(len(actions)), actions] - np.log(np.exp(scores).sum(1))


def _logits(logits: Logits | None, states: IntArray, mask: BoolArray) -> FloatArray:
    return np.zeros(mask.shape, dtype=np.float32) if logits is None else logits(states)
