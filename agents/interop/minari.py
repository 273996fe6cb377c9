"""Trajectories from Minari data sets, for offline training. This file does not import Minari."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agents.replay.trajectories import follow
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.gym import Stepper


def minari_trajectories(dataset: Any) -> Trajectories:
    """The episodes of a data set that ``minari.DataCollector`` recorded in an environment of gfn_envs.

    The environment is the one that the data set names (``dataset.recover_environment()``; its DAG is
    ``.unwrapped.dag``). Actions decide the states, so they are followed from s0, and the recorded observations must
    equal those found. log R comes from the recorded rewards: no reward is evaluated.

    Args:
        dataset: a ``minari.MinariDataset``.

    Returns:
        One trajectory per episode, in order. ``agent.engine.step(trajectories.part(i, j))`` learns from some of them.

    Raises:
        ValueError: no episodes; an episode that did not reach a terminal state, or has an illegal action or other
            observations than the environment's; rewards that are vectors.
        TypeError: the environment of the data set is not from gfn_envs.
    """
    env = dataset.recover_environment()
    stepper = getattr(env.unwrapped, "stepper", None)
    env.close()
    if not isinstance(stepper, Stepper):
        raise TypeError(f"expected a data set of an environment of gfn_envs, got one of {env.unwrapped!r}")
    if stepper.reward_shape:
        raise ValueError('expected rewards that are numbers, got a data set with reward_mode="vector"')
    episodes = list(dataset.iterate_episodes())
    if not episodes:
        raise ValueError("the data set has no episodes")
    paths = [np.asarray(episode.actions, dtype=np.int64) for episode in episodes]
    _check_paths(stepper.dag, paths, [episode.id for episode in episodes])
    last = np.array([episode.rewards[-1] for episode in episodes], dtype=np.float64)
    trajectories = follow(stepper.dag, paths, last)
    _check_observations(stepper, trajectories, episodes)
    return replace(trajectories, log_reward=_log_rewards(stepper, last, trajectories.terminal_states))


def _check_paths(dag: Dag, paths: Sequence[IntArray], names: Sequence[int]) -> None:
    """Raise ValueError at the first action that is illegal, or the first episode that ends too early."""
    lengths, states = np.array([len(path) for path in paths]), dag.source(len(paths))
    for t in range(int(lengths.max())):
        rows = (lengths > t).nonzero()[0]
        actions = np.array([paths[i][t] for i in rows.tolist()])
        legal = dag.forward_mask(states[rows])[np.arange(len(rows)), actions]
        if not legal.all():
            i = int(rows[int(np.argmin(legal))])
            raise ValueError(
                f"episode {names[i]}: action {paths[i][t]} of step {t} is illegal at {states[i].tolist()}; record with "
                "a policy that uses the action mask, and from the environment's first state"
            )
        states[rows] = dag.step(states[rows], actions)
    ended = dag.is_terminal(states)
    if not ended.all():
        i = int(np.argmin(ended))
        raise ValueError(
            f"episode {names[i]} was cut off after {lengths[i]} steps at {states[i].tolist()}, which is not terminal; "
            "leave such episodes out: dataset.filter_episodes(lambda episode: episode.terminations[-1])"
        )


def _check_observations(stepper: Stepper, trajectories: Trajectories, episodes: Sequence[Any]) -> None:
    """Raise ValueError if the environment's observations of the states differ from the recorded ones."""
    expected = stepper.observe(trajectories.states, stepper.dag.forward_mask(trajectories.states))
    same = _equal_rows(expected, [episode.observations for episode in episodes])
    if not same.all():
        position = int(np.argmin(same))
        i = int(np.searchsorted(trajectories.offsets, position, side="right")) - 1
        raise ValueError(
            f"episode {episodes[i].id}: observation {position - trajectories.offsets[i]} is not that of the state "
            f"{trajectories.states[position].tolist()} which its actions lead to"
        )


def _equal_rows(expected: Any, parts: Sequence[Any]) -> Any:
    """True for each equal row of observations, bool (s,). Dictionaries are compared by key."""
    if isinstance(expected, dict):
        return np.logical_and.reduce(
            [_equal_rows(rows, [part[key] for part in parts]) for key, rows in expected.items()]
        )
    found = np.concatenate([np.asarray(part) for part in parts])
    return (np.asarray(expected).reshape(len(found), -1) == found.reshape(len(found), -1)).all(1)


def _log_rewards(stepper: Stepper, last: FloatArray, objects: IntArray) -> FloatArray:
    """log R of the objects, from the last reward of each episode."""
    if stepper.reward_mode == "reward":
        with np.errstate(divide="ignore"):
            return np.log(last)
    return last - stepper.dag.uniform_log_pb(objects) if stepper.reward_mode == "soft" else last
