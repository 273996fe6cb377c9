"""The objects that a search has called, with their rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agents.evaluation.metrics import Distance, hamming, top_k
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


@dataclass
class Found:
    """Distinct objects, in the order of their calls.

    Attributes:
        objects: terminal states (n, state_width).
        log_reward: their log R, float64 (n,).
        round: the round of each, int64 (n,).
    """

    objects: IntArray
    log_reward: FloatArray
    round: IntArray

    @classmethod
    def nothing(cls, dag: Dag) -> Found:
        """An empty result."""
        return cls(dag.source(0), np.zeros(0), np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.objects)

    def add(self, objects: IntArray, log_reward: FloatArray) -> None:
        """Add the objects of a round. Those whose reward failed (NaN) are left out."""
        known = ~np.isnan(log_reward)
        following = self.round.max(initial=-1) + 1
        self.objects = np.concatenate([self.objects, objects[known]])
        self.log_reward = np.concatenate([self.log_reward, log_reward[known]])
        self.round = np.concatenate([self.round, np.full(int(known.sum()), following)])

    def best(self, k: int) -> tuple[IntArray, FloatArray]:
        """The ``k`` best objects and their rewards, best first."""
        order = np.argsort(-self.log_reward, kind="stable")[:k]
        return self.objects[order], np.exp(self.log_reward[order])

    def up_to(self, calls: int) -> Found:
        """The objects of the first ``calls`` calls."""
        return Found(self.objects[:calls], self.log_reward[:calls], self.round[:calls])

    def top(self, k: int = 100, distance: Distance = hamming) -> dict[str, float | None]:
        """``top_k_reward`` and ``top_k_diversity`` of the ``k`` best (:func:`agents.evaluation.metrics.top_k`)."""
        return top_k(self.objects, self.log_reward, (k,), distance)
