"""Frequencies of sampled objects."""

from __future__ import annotations

import numpy as np

from agents.evaluation.metrics import distances
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


class EmpiricalDistribution:
    """Frequencies of objects among the last ``capacity`` samples.

    Args:
        dag: an enumerable DAG.
        capacity: number of samples kept. The oldest are dropped first.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
        ValueError: ``capacity`` is below 1.
    """

    def __init__(self, dag: Dag, capacity: int = 200_000):
        if capacity < 1:
            raise ValueError(f"EmpiricalDistribution: capacity must be at least 1, got {capacity}")
        self.dag, self.capacity, self.total = dag, capacity, 0
        self.counts = np.zeros(len(dag.terminal_states()), dtype=np.int64)
        self._recent = np.empty(capacity, dtype=np.int64)

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def add(self, objects: IntArray) -> None:
        """Add terminal states (n, state_width), oldest first. Raises KeyError if a row is not a terminal state."""
        index = self.dag.terminal_index(objects)
        slots = (self.total + np.arange(len(index))) % self.capacity
        # A batch may exceed the capacity: only its end stays. Only slots in use lose a sample.
        stay, full = index[-self.capacity :], slots[-self.capacity :] < len(self)
        slots = slots[-self.capacity :]
        self.counts -= np.bincount(self._recent[slots[full]], minlength=len(self.counts))
        self.counts += np.bincount(stay, minlength=len(self.counts))
        self._recent[slots] = stay
        self.total += len(index)

    def probabilities(self) -> FloatArray:
        """Relative frequency of each object, float64 (num_terminal_states,), in the order of ``terminal_states()``."""
        if not self.total:
            raise ValueError("EmpiricalDistribution: no samples yet")
        return self.counts / len(self)

    def distances(self, target: FloatArray | None = None) -> dict[str, float]:
        """:func:`~agents.evaluation.metrics.distances` from the frequencies to ``target``, by default R / Z.

        Even an exact sampler has a total variation of about sqrt(objects / (2 pi n)) after n samples.
        """
        return distances(self.probabilities(), exact.target_distribution(self.dag) if target is None else target)
