"""Replay of objects under new conditions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import Scheme
from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.conditions import Conditioned

#: Objects that each batch chooses from.
CANDIDATES = 512


class RelabelingBuffer(ReplayBuffer):
    """Distinct objects without conditions. A batch has newly drawn conditions c, and for each an object of R(x|c).

    The scheme draws candidates among the stored objects; the object for c is one of them, with probability proportional
    to R(x|c). Objects found under one condition thus teach the agent all others.

    Args:
        dag: the environment with conditions.
        capacity, scheme: as for :class:`ReplayBuffer`.
    """

    def __init__(self, dag: Conditioned, capacity: int = 100_000, scheme: str | Scheme = "fifo"):
        super().__init__(dag.base, capacity, scheme)
        self.conditioned = dag
        self._scores: dict[bytes, FloatArray] = {}

    def add(self, objects: IntArray, log_reward: FloatArray, paths: Sequence[IntArray] | None = None) -> int:
        """Add the objects of rows with conditions; see :meth:`ReplayBuffer.add`."""
        return super().add(self.conditioned.states_of(objects), log_reward)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """``(rows, log_reward)``: objects with new conditions (n, state_width), and log R(x|c), (n,)."""
        conditions = self.conditioned.conditions
        drawn = conditions.sample(n, rng, self.conditioned.share)
        candidates, _ = super().sample(min(CANDIDATES, len(self)), rng)
        log_reward = conditions.every_log_reward(self.scores(candidates), drawn)
        cumulative = np.exp(log_reward - log_reward.max(1, keepdims=True)).cumsum(1)
        chosen = (cumulative < rng.random((n, 1)) * cumulative[:, -1:]).sum(1)
        return self.conditioned.join(candidates[chosen], drawn), log_reward[np.arange(n), chosen]

    def scores(self, objects: IntArray) -> FloatArray:
        """:meth:`gfn_envs.conditions.Conditions.scores` of stored objects, each evaluated once."""
        keys, known = row_keys(objects).tolist(), self._scores
        if new := [i for i, key in enumerate(keys) if key not in known]:
            found = self.conditioned.conditions.scores(objects[new])
            known.update(zip([keys[i] for i in new], found, strict=True))
        found = np.stack([known[key] for key in keys])
        if len(known) > self.capacity + CANDIDATES:
            self._scores = {}
        return found
