"""Subset: base class of environments that build a set, one item at a time."""

from __future__ import annotations

import abc

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials
from gfn_envs.dag import Dag


class Subset(Dag):
    """Sets of items. Each step adds an item; the order of the steps does not matter.

    A state row holds 1 for each item in the set and 0 for the others, and, if sets end by a stop action, a flag that is
    1 after the stop. Without a stop action, a set ends when no item can be added. Backward action i removes item i. If
    a set can be built, so can each of its subsets, and none of them ends it.

    A subclass defines :meth:`addable` and :meth:`partial_log_reward`, 0 for the empty set; it is the log reward, too.

    Args:
        items: names of the items, n different texts.
        stops: True if sets end by a stop action, which is the last action and legal in every unfinished set.
        max_size: number of items in the largest set.
    """

    feature_bounds, num_tokens = (0.0, 1.0), 2
    state_dtype = np.dtype(np.int8)

    def __init__(self, items: tuple[str, ...], stops: bool, max_size: int):
        self.items, self.can_stop_anywhere, self.max_length = items, stops, max_size + stops
        self.num_items = self.num_features = self.num_positions = n = len(items)
        self.num_actions = self.num_backward_actions = self.state_width = n + stops
        self.observation_space = spaces.MultiDiscrete([2] * n)
        self._log_factorials = log_factorials(max_size)

    @abc.abstractmethod
    def addable(self, sets: IntArray) -> BoolArray:
        """Items that can be added to sets (n, num_items), which are not in them, bool (n, num_items)."""

    def sets(self, states: IntArray) -> IntArray:
        """The sets of states, int8 (n, num_items)."""
        return states[:, : self.num_items]

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return np.asarray(states[:, -1] != 0 if self.can_stop_anywhere else ~self.addable(states).any(1))

    def forward_mask(self, states: IntArray) -> BoolArray:
        mask = self.addable(self.sets(states))
        if not self.can_stop_anywhere:
            return mask
        unfinished = ~self.is_terminal(states)[:, None]
        return np.concatenate([mask & unfinished, unfinished], axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        mask = states != 0
        if self.can_stop_anywhere:  # After the stop, only the stop can be undone.
            mask[self.is_terminal(states), :-1] = False
        return mask

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), actions] = 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), backward_actions] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.array(actions, dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return np.array(backward_actions, dtype=np.int64)

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.partial_log_reward(states)

    def encode(self, states: IntArray) -> FloatArray:
        return self.sets(states).astype(np.float32)

    def observe(self, states: IntArray) -> IntArray:
        return self.sets(states).astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if the state is a subset of the object. A finished set contains only itself, bool (n, m)."""
        contained, stopped = all_columns(np.less_equal, states, objects), self.is_terminal(states)
        contained[stopped] = all_columns(np.equal, states[stopped], objects)
        return contained

    def tokens(self, states: IntArray) -> IntArray:
        return self.observe(states)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log k! of a set of k items, which can be added in any order, float64 (n,)."""
        return self._log_factorials[self.sets(states).sum(1)]

    def action_label(self, action: int) -> str:
        return f"add {self.items[action]}" if action < self.num_items else "stop"

    def object_names(self, states: IntArray) -> list[str]:
        """The items, such as ``{a, c}``."""
        return [f"{{{', '.join(self.items[i] for i in np.flatnonzero(row))}}}" for row in self.sets(states)]

    def render_text(self, state: IntArray) -> str:
        return self.object_names(state[None])[0] + " stopped" * bool(self.can_stop_anywhere and state[-1])

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per item: gray if it is not in the set, blue if it is, red if the set is finished."""
        color = rendering.RED if self.is_terminal(state[None])[0] else rendering.BLUE
        image = rendering.wrapped_tiles(np.where(self.sets(state[None])[0, :, None] != 0, color, rendering.GREY))
        image[-2:] = color  # A finished empty set differs from an unfinished one.
        return image
