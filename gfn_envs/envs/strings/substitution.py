"""Substitution: base class of strings that can also be made by substitutions in a start string."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, one_hot_table
from gfn_envs.envs.strings.numbering import tokens_of
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.envs.strings.string_dag import StringDag
from gfn_envs.envs.strings.substitute import Substitute
from gfn_envs.validation import check_size, positive_int


class Substitution(Sequence):
    """Strings of one length, built letter by letter or by a fixed number of substitutions.

    With substitutions, the last entry of a state row counts the steps, the network features are the one-hot letters and
    the one-hot number of steps, and a sequence with one more token, q + 1 + the number of steps, is what transformers
    see.
    """

    #: The construction if strings are made by substitutions; None if they are built letter by letter.
    _substitute: Substitute | None = None

    def _use_substitutions(self, alphabet: str | Letters[str], start: str, steps: int | None) -> None:
        """Everything but the reward.

        Args:
            alphabet: the letters.
            start: the string before the first step.
            steps: number of steps, >= 1; None: as many as letters.
        """
        where = type(self).__name__
        StringDag.__init__(self, alphabet, len(start), "fill", None)
        self.mode_fraction = None
        self.steps = len(start) if steps is None else positive_int("steps", steps, where)
        tokens = tokens_of([start], self.letters, self.length, self.length, f"{where}: start")[0]
        width = self.length * self.num_letters
        check_size(f"steps = {self.steps:,}", (self.steps + 1) * (self.length + 1) + width, where)
        self.state_dtype = np.dtype(np.int16 if max(self.num_letters, self.steps) < 2**14 else np.int64)
        self._build = self._substitute = build = Substitute(self.num_letters, tokens, self.steps)
        self.num_actions = self.num_backward_actions = build.num_actions
        self.max_length, self.num_features = self.steps, width + self.steps + 1
        self.num_tokens, self.num_positions = self.num_letters + self.steps + 2, self.length + 1
        self.observation_space = spaces.MultiDiscrete([self.num_letters + 1] * self.length + [self.steps + 1])
        reached = build.num_reached()
        self.declared_num_terminal_states = reached[min(self.steps, self.length)]
        later = max(0, self.steps - self.length)  # After as many steps as letters, all strings are reached.
        self.declared_num_states = sum(reached[: self.steps + 1]) + later * reached[-1]

    @property
    def is_unlimited(self) -> bool:
        return self._substitute is None and super().is_unlimited

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        if self._substitute is None:
            return super().source(n)
        return np.tile(np.append(self._substitute.start, 0).astype(self.state_dtype), (n, 1))

    def is_terminal(self, states: IntArray) -> BoolArray:
        if self._substitute is None:
            return super().is_terminal(states)
        return np.asarray(states[:, -1] == self.steps)

    def encode(self, states: IntArray) -> FloatArray:
        if self._substitute is None:
            return super().encode(states)
        return np.hstack([super().encode(states), self._one_hot_steps.take(states[:, -1], axis=0)])

    @functools.cached_property
    def _one_hot_steps(self) -> FloatArray:
        return one_hot_table(self.steps + 1)

    def active_features(self, states: IntArray) -> IntArray:
        letters = super().active_features(states)
        if self._substitute is None:
            return letters
        return np.hstack([letters, states[:, -1:] + self.length * self.num_letters])

    def observe(self, states: IntArray) -> IntArray:
        return super().observe(states) if self._substitute is None else states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def tokens(self, states: IntArray) -> IntArray:
        letters = super().tokens(states)
        if self._substitute is None:
            return letters
        return np.hstack([letters, states[:, -1:].astype(np.int64) + self.num_letters + 1])

    def whole_tokens(self, states: IntArray) -> IntArray:
        return super().tokens(states)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if the finished string j can still be made from state i, bool (n, m)."""
        if self._substitute is None:
            return super().contains(states, objects)
        changes = sum((a[:, None] != b).astype(np.int64) for a, b in zip(states.T[:-1], objects.T[:-1], strict=True))
        return np.asarray(changes <= self.steps - states[:, -1:].astype(np.int64))

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """The log of the number of ways to set positions that lead to each state, float64 (n,)."""
        if self._substitute is None:
            return super().log_num_paths(states)
        return self._substitute.log_paths[states[:, -1], self._substitute.changes(states[:, :-1])]

    # ------------------------------------------------------------------ text

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, length + 1) of strings.

        Raises:
            ValueError: a string has a wrong length, an unknown letter, or more changes than there are steps.
        """
        states = super().from_text(strings)
        if self._substitute is None:
            return states
        far = self._substitute.changes(states[:, :-1]) > self.steps
        if far.any():
            bad: Any = strings[int(np.argmax(far))]
            raise ValueError(f"{type(self).__name__}: {bad!r} differs from start at more than {self.steps} positions")
        states[:, -1] = self.steps
        return states

    def render_text(self, state: IntArray) -> str:
        if self._substitute is None:
            return super().render_text(state)
        return f"{self._token_names(state[None, :-1])[0]} after {state[-1]} of {self.steps} steps"
