"""Substitutions as a construction: a fixed number of steps, each of which sets one position to any letter."""

from __future__ import annotations

import itertools
from collections.abc import Sequence as Letters
from math import comb

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.strings.constructions import Construction


class Substitute(Construction):
    """Action = position * q + letter; backward action = position * q + the letter that stood there before.

    A row holds the letters and counts the steps. A step may set a position to the letter it has, so that every
    sequence with at most t changes can be reached in exactly t steps.

    Args:
        num_letters: q.
        start: letters before the first step, int (length,).
        steps: number of steps.

    Attributes:
        log_paths: log of the number of paths to a sequence after t steps with h changes, float64 (steps + 1, length +
            1); -inf if there are none.
    """

    def __init__(self, num_letters: int, start: IntArray, steps: int):
        super().__init__(num_letters, len(start))
        self.start, self.steps = start, steps
        self.num_actions = self.num_backward_actions = len(start) * num_letters
        self.log_paths = log_path_counts(num_letters, len(start), steps)

    def changes(self, tokens: IntArray) -> IntArray:
        """Number of positions (n, length) that differ from the start, int64 (n,)."""
        return np.asarray((tokens != self.start).sum(1), dtype=np.int64)

    def forward_mask(self, states: IntArray) -> BoolArray:
        return np.repeat(states[:, -1:] < self.steps, self.num_actions, axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        """Letters after whose return few enough changes are left for one step less."""
        changed = states[:, :-1] != self.start
        others = changed.sum(1, keepdims=True) - changed  # changes at the other positions
        change = np.arange(self.num_letters) != self.start[:, None]
        mask: BoolArray = others[:, :, None] + change < states[:, -1, None, None]
        return mask.reshape(len(states), self.num_backward_actions)

    def grow(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._set(states, actions, 1)

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._set(states, backward_actions, -1)

    def _set(self, states: IntArray, actions: IntArray, change: int) -> IntArray:
        out = states.copy()
        position, letter = np.divmod(actions, self.num_letters)
        out[np.arange(len(out)), position] = letter
        out[:, -1] += change
        return out

    def _inverse(self, states: IntArray, actions: IntArray) -> IntArray:
        position = np.asarray(actions, dtype=np.int64) // self.num_letters
        return position * self.num_letters + states[np.arange(len(states)), position]

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._inverse(states, actions)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._inverse(states, backward_actions)

    def label(self, action: int, letters: Letters[str]) -> str:
        position, letter = divmod(action, self.num_letters)
        return f"{position + 1}{letters[letter]}"

    def num_reached(self) -> list[int]:
        """Number of sequences after 0 ... ``length`` steps: those with at most as many changes."""
        changed = (comb(self.length, h) * (self.num_letters - 1) ** h for h in range(self.length + 1))
        return list(itertools.accumulate(changed))


def log_path_counts(num_letters: int, length: int, steps: int) -> FloatArray:
    """log of the number of paths to one sequence, by steps and changes, float64 (steps + 1, length + 1).

    The last step set one of the positions. If that position differs from the start, one letter before it was that of
    the start, and q - 1 others were not; if it does not differ, the same holds.
    """
    h = np.arange(length + 1)
    with np.errstate(divide="ignore"):
        differ, same, other = np.log(h), np.log(length - h), np.log(num_letters - 1)
    paths = np.full((steps + 1, length + 3), -np.inf)  # a column of no paths on either side
    paths[0, 1] = 0.0
    for t in range(1, steps + 1):
        fewer, equal, more = paths[t - 1, :-2], paths[t - 1, 1:-1], paths[t - 1, 2:]
        from_differing = differ + np.logaddexp(fewer, other + equal)
        paths[t, 1:-1] = np.logaddexp(from_differing, same + np.logaddexp(equal, other + more))
    return paths[:, 1:-1]
