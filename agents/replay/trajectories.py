"""Replay of whole trajectories."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch

from agents.trajectories import Trajectories
from gfn_envs.arrays import IntArray


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


def vars_of(batch: Trajectories) -> dict[str, IntArray]:
    """The arrays of a batch, by name."""
    return {name: getattr(batch, name) for name in Trajectories.__dataclass_fields__}
