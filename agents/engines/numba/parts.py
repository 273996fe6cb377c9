"""Parts of large batches, which threads sample and differentiate at the same time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agents.engines.engine import Learner
from agents.engines.numba.kept import NOTHING, Kept
from agents.engines.numba.tables import Tables
from agents.threads import thread_limit
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray, IntArray

#: Trajectories of the smallest part.
SMALLEST = 64


class Scratch:
    """Memory that a thread works in. It is kept from iteration to iteration, because new memory costs page faults."""

    def __init__(self, place: IntArray, memory: FloatArray = NOTHING.memory):
        self.place, self.memory = place, memory
        self.work = self.other = NOTHING.memory

    def __reduce__(self) -> tuple[type[Scratch], tuple[IntArray]]:
        return Scratch, (self.place,)  # Copies start empty.

    def work_for(self, size: int) -> tuple[FloatArray, FloatArray]:
        """Two arrays of at least this size."""
        if len(self.work) < size:
            self.work, self.other = np.empty(size, np.float32), np.empty(size, np.float32)
        return self.work, self.other


class Part(NamedTuple):
    """Trajectories ``first`` to ``last - 1`` of a batch."""

    first: int
    last: int
    batch: Trajectories
    tables: Tables
    """Masks and features of its states."""
    indices: IntArray
    """Indices of its states in the tables (s,)."""
    kept: Kept
    """Hidden layers that are known."""
    scratch: Scratch
    stopped: FloatArray = NOTHING.memory
    """log R of stopping in its states, 0 at terminal ones, float64 (s,); empty unless flows are those of the stop."""


def same_steps(first: Trajectories, second: Trajectories) -> bool:
    """True if two batches share their arrays, apart from the rewards."""
    names = ("states", "actions", "backward_actions", "offsets")
    same = all(getattr(first, name) is getattr(second, name) for name in names)
    return same and first.log_reward.shape == second.log_reward.shape


def part_of(
    batch: Trajectories, tables: Tables, index: IntArray, first: int, last: int, kept: Kept, scratch: Scratch
) -> Part:
    """A part of a batch whose states have these indices in the tables."""
    if (first, last) == (0, len(batch)):
        return Part(first, last, batch, tables, index, kept, scratch)
    states = slice(batch.offsets[first], batch.offsets[last])
    return Part(first, last, batch.part(first, last), tables, index[states], kept, scratch)


def bounds(n: int) -> list[tuple[int, int]]:
    """First and last of the trajectories of each part of a batch of n: one part per thread, if they are large.

    Small parts do not pay, because a state that is in two parts is evaluated twice. The result is that of one part up
    to rounding.
    """
    number = max(1, min(thread_limit(), n // SMALLEST))
    return list(itertools.pairwise(n * i // number for i in range(number + 1)))


def divisible(learner: Learner) -> bool:
    """True if the loss of a batch is a weighted sum over parts, whose computation calls no code of the environment."""
    balance, backward = learner.balance, learner.backward
    assert balance is not None
    # Shares of pairs that are weighted over the batch are cheap only if they are edges.
    independent = not balance.centered and (balance.pairs.over == "trajectory" or balance.pairs.longest == 1)
    return (
        independent
        and not balance.partial_reward
        and (balance.flow != "stop" or learner.target is None)
        and (backward.learned or backward.name == "uniform")
    )


def weighted_sum(parts: Sequence[tuple[FloatArray, ...]], weights: Sequence[float]) -> tuple[FloatArray, ...]:
    """Sums of the arrays of the parts times their weights, in the memory of the first one."""
    if len(parts) == 1:
        return parts[0]
    for arrays, weight in zip(parts, weights, strict=True):
        for array in arrays:
            array *= np.float32(weight)
    for arrays in parts[1:]:
        for total, array in zip(parts[0], arrays, strict=True):
            total += array
    return parts[0]
