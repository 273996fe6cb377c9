"""Packed batches of trajectories: every state of every trajectory in one matrix, nothing padded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Trajectories:
    """``n`` complete trajectories, each from s0 to a terminal state, one after another.

    Attributes:
        states: all states, trajectory-major, s0 first (s, state_width).
        actions: forward action of every edge (e,), e = s - n.
        backward_actions: backward action that undoes it (e,).
        offsets: trajectory i is ``states[offsets[i]:offsets[i + 1]]`` (n + 1,).
        log_reward: log R of the terminal states, float64 (n,).
    """

    states: IntArray
    actions: IntArray
    backward_actions: IntArray
    offsets: IntArray
    log_reward: FloatArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def num_edges(self) -> int:
        return len(self.actions)

    @cached_property
    def lengths(self) -> IntArray:
        """Number of edges of each trajectory (n,)."""
        return np.diff(self.offsets) - 1

    @cached_property
    def edge_offsets(self) -> IntArray:
        """The edges of trajectory i are ``edge_offsets[i]:edge_offsets[i + 1]`` (n + 1,)."""
        return self.offsets - np.arange(len(self.offsets))

    @cached_property
    def last(self) -> IntArray:
        """Positions of the terminal states (n,)."""
        return self.offsets[1:] - 1

    @cached_property
    def sources(self) -> IntArray:
        """Position of the state each edge leaves (e,)."""
        return np.arange(self.num_edges) + np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def targets(self) -> IntArray:
        """Position of the state each edge enters (e,)."""
        return self.sources + 1

    @property
    def terminal_states(self) -> IntArray:
        """The objects (n, state_width)."""
        return self.states[self.last]

    def select(self, keep: BoolArray) -> Trajectories:
        """The trajectories where ``keep`` (n,) is True, in order."""
        return Trajectories(
            states=self.states[np.repeat(keep, self.lengths + 1)],
            actions=self.actions[np.repeat(keep, self.lengths)],
            backward_actions=self.backward_actions[np.repeat(keep, self.lengths)],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[keep] + 1)]),
            log_reward=self.log_reward[keep],
        )

    def part(self, first: int, last: int) -> Trajectories:
        """Trajectories ``first:last``."""
        states = slice(self.offsets[first], self.offsets[last])
        edges = slice(self.edge_offsets[first], self.edge_offsets[last])
        return Trajectories(
            states=self.states[states],
            actions=self.actions[edges],
            backward_actions=self.backward_actions[edges],
            offsets=self.offsets[first : last + 1] - self.offsets[first],
            log_reward=self.log_reward[first:last],
        )


def concatenate(*batches: Trajectories) -> Trajectories:
    """One batch of all the trajectories, in order."""
    starts = np.cumsum([0] + [len(batch.states) for batch in batches])
    offsets = [batch.offsets[:-1] + start for batch, start in zip(batches, starts, strict=False)]
    return Trajectories(
        states=np.concatenate([batch.states for batch in batches]),
        actions=np.concatenate([batch.actions for batch in batches]),
        backward_actions=np.concatenate([batch.backward_actions for batch in batches]),
        offsets=np.concatenate([*offsets, starts[-1:]]),
        log_reward=np.concatenate([batch.log_reward for batch in batches]),
    )
