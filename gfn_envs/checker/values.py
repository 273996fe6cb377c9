"""Invariants of what states are given: rewards, encodings, observations."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import IntArray, observation_at
from gfn_envs.checker.calls import expect_none, log_reward_of, one_per_row, terminal_of
from gfn_envs.checker.report import DagError
from gfn_envs.dag import Dag


def check_rewards(dag: Dag, states: IntArray) -> None:
    """log_reward is float64 (n,), finite; mode_index is -1 or more."""
    objects = states[terminal_of(dag, states)]
    if len(objects):
        log_reward = one_per_row("log_reward", log_reward_of(dag, objects), np.float64, objects)
        expect_none("log_reward is finite", "log_reward is not finite", objects, ~np.isfinite(log_reward))
        modes = one_per_row("mode_index", dag.mode_index(objects), np.integer, objects)
        expect_none("mode_index", "must be -1 or more", objects, modes < -1)


def check_encodings(dag: Dag, states: IntArray) -> None:
    """encode is finite float32 (n, num_features); observations lie in observation_space."""
    features = dag.encode(states)
    if features.shape != (len(states), dag.num_features) or features.dtype != np.float32:
        raise DagError(
            "encode",
            f"must be float32 of shape {(len(states), dag.num_features)}, got {features.dtype} {features.shape}",
        )
    expect_none("encode", "is not finite", states, ~np.isfinite(features).all(1))
    observations = dag.observe(states)
    for i in range(len(states)):
        row = observation_at(observations, i)
        if not dag.observation_space.contains(row):
            raise DagError("observe", f"observation {row!r} is outside {dag.observation_space}", states[i])
