"""Replay of whole trajectories."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


class TrajectoryMemory:
    """The last batches of sampled trajectories, for the pessimistic backward policy.

    Args:
        capacity: number of batches. The oldest is dropped first.
    """

    def __init__(self, capacity: int = 20):
        self.batches: deque[Trajectories] = deque(maxlen=capacity)

    def add(self, batch: Trajectories) -> None:
        self.batches.append(batch)

    def sample(self, rng: np.random.Generator) -> Trajectories:
        """One of the batches."""
        return self.batches[rng.integers(len(self.batches))]

    def state_dict(self) -> list[dict[str, Any]]:
        """The batches as tensors."""
        return [{name: torch.from_numpy(array) for name, array in vars_of(batch).items()} for batch in self.batches]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        self.batches.clear()
        self.batches.extend(Trajectories(**{k: v.cpu().numpy() for k, v in batch.items()}) for batch in state)


def paths_of(batch: Trajectories) -> list[IntArray]:
    """The forward actions of each trajectory."""
    return np.split(batch.actions, batch.edge_offsets[1:-1])


def follow(
    dag: Dag, paths: Sequence[IntArray], log_reward: FloatArray, objects: IntArray | None = None
) -> Trajectories:
    """The trajectories from s0 that take these forward actions.

    Args:
        dag: the environment.
        paths: actions of each of n trajectories.
        log_reward: log R of their ends (n,).
        objects: their ends (n, state_width), whose conditions they have; None: the default condition, if there are any.
    """
    lengths = np.array([len(path) for path in paths], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths + 1)])
    actions = np.concatenate(paths).astype(np.int64)
    first_edge = offsets[:-1] - np.arange(len(paths))
    packed = np.empty((offsets[-1], dag.state_width), dtype=dag.state_dtype)
    states, rows = dag.source(len(paths)) if objects is None else dag.source_of(objects), np.arange(len(paths))
    packed[offsets[:-1]] = states
    for t in range(int(lengths.max(initial=0))):
        going = lengths[rows] > t
        states, rows = states[going], rows[going]
        states = dag.step(states, actions[first_edge[rows] + t])
        packed[offsets[rows] + t + 1] = states
    sources = np.arange(len(actions)) + np.repeat(np.arange(len(paths)), lengths)
    return Trajectories(packed, actions, dag.backward_action(packed[sources], actions), offsets, log_reward)


def vars_of(batch: Trajectories) -> dict[str, IntArray]:
    """The arrays of a batch, by name."""
    return {name: getattr(batch, name) for name in Trajectories.__dataclass_fields__}
