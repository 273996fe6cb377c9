"""Sampling whole trajectories, forward from s0 or backward from objects.

A policy is a plain function from states to logits (NumPy in, NumPy out), so any network, table or rule can be used.
Each step computes unfinished trajectories only. The compiled engine has its own rollouts, in
``agents/engines/numba/kernels.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from agents.errors import NoLegalActionError
from agents.rollout_numbers import first_stops, gumbel_noise, noise_of_steps
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.border import check_once, log_rewards, reward_record
from gfn_envs.dag import Dag
from gfn_envs.reward_errors import RewardError

#: states (n, state_width) -> logits (n, actions); entries of illegal actions are ignored.
Logits = Callable[[IntArray], FloatArray]


class Exploration(NamedTuple):
    """Departures of a behavior policy from P_F."""

    epsilon: float = 0.0
    """Probability, at each step, of a uniformly random legal action; in [0, 1]."""
    temperature: float = 1.0
    """Softmax temperature, > 0."""
    delay_stop: float = 0.0
    """Share of trajectories that may stop only after a random step, in [0, 1]
    (:func:`agents.rollout_numbers.first_stops`). The last action must be a stop that is legal everywhere."""


#: No departure.
ON_POLICY = Exploration()

#: Scores of actions are checked at the end, or whenever there are this many.
HELD_SCORES = 2**22


def sample_actions(
    logits: FloatArray, mask: BoolArray, rng: np.random.Generator, epsilon: float = 0.0, temperature: float = 1.0
) -> IntArray:
    """One legal action per row, from the softmax of ``logits / temperature`` over legal actions.

    With probability ``epsilon``, independently for each row, the action is uniform over the legal ones instead.

    Args:
        logits: (n, actions), floating.
        mask: legal actions, bool (n, actions).
        rng: source of randomness.
        epsilon: in [0, 1].
        temperature: > 0.

    Returns:
        Actions, int64 (n,).

    Raises:
        NoLegalActionError: a row without a legal action.
        FloatingPointError: logits of legal actions contain NaN, or all are -inf.
    """
    n, width = mask.shape
    actions, scores = _choose(logits, mask, gumbel_noise(rng, 1, n, width, epsilon)[0], temperature)
    _check([scores], [mask], [actions])
    return actions


def _choose(logits: FloatArray, mask: BoolArray, gumbel: FloatArray, temperature: float) -> tuple[IntArray, FloatArray]:
    """Actions (n,) and the scores (n, actions) they maximize, -inf where illegal.

    The argmax of logits / temperature + Gumbel noise over legal actions is a sample from their softmax.
    """
    scores = (logits if temperature == 1 else logits / np.float32(temperature)) + gumbel[: len(mask)]
    np.putmask(scores, ~mask, -np.inf)
    return scores.argmax(1), scores


def _check(scores: list[FloatArray], masks: list[BoolArray], actions: list[IntArray]) -> None:
    """Raise if the score of a chosen action is not finite: no legal action, or NaN or infinite logits."""
    if not scores:
        return
    every, chosen = np.concatenate(scores), np.concatenate(actions)
    best = every[np.arange(len(chosen)), chosen]
    if not np.isfinite(best).all():
        row = int(np.argmin(np.isfinite(best)))
        legal = np.concatenate(masks)[row]
        if not legal.any():
            raise NoLegalActionError(f"row {row} of the batch has no legal action")
        raise FloatingPointError(
            f"the policy gave NaN or infinite logits: scores {every[row][legal]} of the legal actions "
            f"{np.flatnonzero(legal).tolist()}"
        )


def without_stop(mask: BoolArray, early: BoolArray) -> BoolArray:
    """Legal actions (n, actions), without stop, the last one, in rows that are ``early`` and have another."""
    mask = mask.copy()
    mask[early & mask[:, :-1].any(1), -1] = False
    return mask


def sample_forward(
    dag: Dag,
    logits: Logits,
    n: int,
    rng: np.random.Generator,
    exploration: Exploration = ON_POLICY,
    rewards: bool = True,
) -> Trajectories:
    """``n`` trajectories from s0 under a forward policy; fewer if ``dag.on_error`` is "skip" and rewards fail.

    Without ``rewards``, no reward is evaluated, and log R is NaN.

    Raises:
        RewardError: a reward fails and ``dag.on_error`` is "raise", or all rewards fail.
        NoLegalActionError: a state without a legal action, or a trajectory longer than ``max_length``.
        FloatingPointError: NaN or infinite logits.
        TypeError, ValueError: a method of ``dag`` returns another type, shape or dtype than it must.
    """
    check_once(dag)
    if n == 0:
        return no_trajectories(dag)
    states, rows = dag.start(n, rng), np.arange(n)
    visited, row_lists = [states], [rows]
    actions_taken: list[IntArray] = []
    scores: list[FloatArray] = []
    masks: list[BoolArray] = []

    def check() -> None:
        _check(scores, masks, actions_taken[len(actions_taken) - len(scores) :])

    stops = first_stops(rng, n, exploration.delay_stop, dag.max_length)
    noise = noise_of_steps(rng, n, dag.num_actions, exploration.epsilon)
    try:
        while len(rows):
            # All trajectories start in s0; with conditions, the rows differ.
            shown = states[:1] if len(visited) == 1 and dag.conditions is None else states
            mask = dag.forward_mask(states)
            if exploration.delay_stop > 0:
                mask = without_stop(mask, stops[rows] > len(visited))
            # Each trajectory has its own noise, whenever the others end, so that processes can share a batch.
            gumbel = next(noise)
            gumbel = gumbel if len(rows) == n else gumbel.take(rows, axis=0)
            actions, score = _choose(logits(shown), mask, gumbel, exploration.temperature)
            scores.append(score)
            masks.append(mask)
            actions_taken.append(actions)
            if len(scores) * score.size > HELD_SCORES:
                check()
                scores.clear()
                masks.clear()
            if len(visited) > dag.max_length:
                raise NoLegalActionError(f"a trajectory is longer than max_length = {dag.max_length}")
            states = dag.step(states, actions)
            visited.append(states)
            row_lists.append(rows)
            ended = dag.is_terminal(states)
            if np.count_nonzero(ended):
                going = ~ended
                states, rows = states.compress(going, axis=0), rows.compress(going)
    except Exception:
        # NaN logits choose illegal actions. Report the cause, not the consequence.
        check()
        raise
    check()
    packed, offsets, place, edge_rows = packed_of(dag, visited, row_lists, n, backward=False)
    taken, edge = np.concatenate(actions_taken), place[n:] - edge_rows - 1
    actions, backward_actions = np.empty((2, len(edge)), dtype=np.int64)
    actions[edge] = taken
    backward_actions[edge] = dag.backward_action(packed.take(place[n:] - 1, axis=0), taken)
    if not rewards:
        return Trajectories(packed, actions, backward_actions, offsets, np.full(n, np.nan))
    log_reward = log_rewards(dag, packed[offsets[1:] - 1])
    return rewarded(dag, Trajectories(packed, actions, backward_actions, offsets, log_reward))


def sample_backward(
    dag: Dag, objects: IntArray, logits: Logits | None, rng: np.random.Generator, log_reward: FloatArray | None = None
) -> Trajectories:
    """One trajectory to each of ``objects`` (n, state_width), sampled from its end under a backward policy.

    Args:
        dag: the environment.
        objects: terminal states.
        logits: backward policy; None for the uniform policy.
        rng: source of randomness.
        log_reward: log R of the objects, if it is already known (n,).
    """
    n = len(objects)
    if n == 0:
        return no_trajectories(dag)
    states, rows = np.array(objects, dtype=dag.state_dtype), np.arange(n)
    visited, row_lists, undone = [states], [rows], []
    noise = noise_of_steps(rng, n, dag.num_backward_actions, 0.0)
    while len(rows):
        mask = dag.backward_mask(states)
        chosen = np.zeros(mask.shape, np.float32) if logits is None else logits(states)
        backward, score = _choose(chosen, mask, next(noise), 1.0)
        _check([score], [mask], [backward])
        states = dag.undo(states, backward)
        undone.append(backward)
        visited.append(states)
        row_lists.append(rows)
        going = dag.backward_mask(states).any(1)
        if np.count_nonzero(going) < len(rows):
            states, rows = states.compress(going, axis=0), rows.compress(going)
    packed, offsets, place, edge_rows = packed_of(dag, visited, row_lists, n, backward=True)
    backward_actions, actions = np.empty((2, len(edge_rows)), dtype=np.int64)
    # The edge undone on the way to the state at `place` is the one that leaves it.
    edge, undone_flat = place[n:] - edge_rows, np.concatenate(undone)
    backward_actions[edge] = undone_flat
    actions[edge] = dag.forward_action(packed[place[n:] + 1], undone_flat)
    log_reward = log_rewards(dag, packed[offsets[1:] - 1]) if log_reward is None else log_reward
    return rewarded(dag, Trajectories(packed, actions, backward_actions, offsets, log_reward))


def no_trajectories(dag: Dag) -> Trajectories:
    """An empty batch."""
    none = np.zeros(0, dtype=np.int64)
    return Trajectories(np.zeros((0, dag.state_width), dag.state_dtype), none, none, np.zeros(1, np.int64), np.zeros(0))


@contextlib.contextmanager
def rewound_on_error(rng: np.random.Generator) -> Iterator[None]:
    """If code in this context raises, ``rng`` is restored, so that the iteration can be tried again."""
    before = rng.bit_generator.state
    try:
        yield
    except BaseException:
        rng.bit_generator.state = before
        raise


def rewarded(dag: Dag, batch: Trajectories) -> Trajectories:
    """The trajectories without those whose reward failed: their log R is NaN if ``dag.on_error`` is "skip".

    Raises:
        RewardError: no trajectory is left.
    """
    failed = np.isnan(batch.log_reward)
    if not failed.any():
        return batch
    if failed.all():
        record = reward_record(dag)
        raise RewardError(
            f"{type(dag).__name__}: the rewards of all {len(batch)} objects of a batch failed, so nothing is left to "
            f"learn from; the last: {record.last} (call {record.calls} of the reward)"
        )
    return batch.select(~failed)


def packed_of(
    dag: Dag, visited: list[IntArray], row_lists: list[IntArray], n: int, backward: bool
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Convert time-major lists of states, and of the trajectories they belong to, to trajectory-major arrays.

    Returns:
        ``(packed, offsets, place, edge_rows)``: the states in order, the start of each trajectory, the position of each
        visited state, and the trajectory of each visited state except the first n.
    """
    rows = np.concatenate(row_lists)
    edge_rows = rows[n:]
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(np.bincount(edge_rows, minlength=n) + 1, out=offsets[1:])
    time = np.repeat(np.arange(len(visited)), [len(r) for r in row_lists])
    place = offsets[rows + 1] - 1 - time if backward else offsets[rows] + time
    packed = np.empty((len(place), dag.state_width), dtype=dag.state_dtype)
    packed[place] = np.concatenate(visited)
    return packed, offsets, place, edge_rows
