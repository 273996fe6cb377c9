"""Assignment: what Ising models and factor graphs share, variables that are given values one by one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials, one_hot_table
from gfn_envs.dag import Dag

CONSTRUCTIONS = ("non_autoregressive", "autoregressive")


class Assignment(Dag):
    """D variables with K values each; a step gives a value to one that has none, until all have one.

    A row holds the value of each variable, K where it has none. Non-autoregressive construction assigns any variable,
    with action = variable * K + value, and unassigns any; autoregressive construction assigns the next one in
    ``order``, with action = value, and unassigns the last (so P_B = 1).

    A subclass defines :meth:`partial_log_reward`, 0 where no variable is assigned; the reward is that of full rows.

    Args:
        num_variables: D.
        num_values: K, at most 127.
        construction: "non_autoregressive" or "autoregressive".
        order: a permutation of the variables (D,), for autoregressive construction.
    """

    def __init__(self, num_variables: int, num_values: int, construction: str, order: IntArray | None = None):
        where = type(self).__name__
        if construction not in CONSTRUCTIONS:
            raise ValueError(f"{where}: construction must be one of {CONSTRUCTIONS}, got {construction!r}")
        if num_values > 127:
            raise ValueError(f"{where}: at most 127 values a variable, got {num_values}")
        self.num_variables = self.state_width = self.max_length = num_variables
        self.num_values, self.autoregressive = num_values, construction == "autoregressive"
        self.order = np.arange(num_variables) if order is None else np.asarray(order, dtype=np.int64)
        self.num_actions = num_values if self.autoregressive else num_variables * num_values
        self.num_backward_actions = 1 if self.autoregressive else num_variables
        self.state_dtype = np.dtype(np.int8)
        self.num_features = num_variables * num_values
        self.num_tokens, self.num_positions = num_values + 1, num_variables
        self.observation_space: spaces.Space[Any] = spaces.MultiDiscrete([num_values + 1] * num_variables)
        k, d = num_values, num_variables
        self.declared_num_terminal_states = k**d
        self.declared_num_states = sum(k**t for t in range(d + 1)) if self.autoregressive else (k + 1) ** d

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.full((n, self.num_variables), self.num_values, dtype=self.state_dtype)

    def _assigned(self, states: IntArray) -> BoolArray:
        assigned: BoolArray = np.not_equal(states, self.num_values)
        return assigned

    def is_terminal(self, states: IntArray) -> BoolArray:
        return np.asarray(self._assigned(states).all(1))

    def forward_mask(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return np.repeat(~self.is_terminal(states)[:, None], self.num_values, axis=1)
        return np.repeat(~self._assigned(states), self.num_values, axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        assigned = self._assigned(states)
        return np.asarray(assigned.any(1, keepdims=True)) if self.autoregressive else assigned

    def _variable_and_value(self, states: IntArray, actions: IntArray) -> tuple[IntArray, IntArray]:
        if self.autoregressive:
            # On a full row, which has no next variable, whatever the mask rules out may happen.
            place = np.minimum(self._assigned(states).sum(1), self.num_variables - 1)
            return self.order[place], np.asarray(actions)
        return np.divmod(actions, self.num_values)

    def _variable_to_undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        if self.autoregressive:
            return self.order[self._assigned(states).sum(1) - 1]
        return np.asarray(backward_actions, dtype=np.int64)

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        variable, value = self._variable_and_value(states, actions)
        out = states.copy()
        out[np.arange(len(out)), variable] = value
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        out = states.copy()
        out[np.arange(len(out)), self._variable_to_undo(states, backward_actions)] = self.num_values
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        if self.autoregressive:
            return np.zeros(len(states), dtype=np.int64)
        return np.asarray(actions, dtype=np.int64) // self.num_values

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        variable = self._variable_to_undo(states, backward_actions)
        value = states[np.arange(len(states)), variable].astype(np.int64)
        return value if self.autoregressive else variable * self.num_values + value

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.partial_log_reward(states)

    @functools.cached_property
    def _one_hot(self) -> FloatArray:
        return one_hot_table(self.num_values)

    def encode(self, states: IntArray) -> FloatArray:
        return self._one_hot.take(states, axis=0).reshape(len(states), self.num_features)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """The object agrees wherever the state is assigned."""
        return all_columns(lambda value, of_object: (value == self.num_values) | (value == of_object), states, objects)

    def tokens(self, states: IntArray) -> IntArray:
        """The value of each variable, num_values where it has none, int64 (n, num_variables)."""
        return states.astype(np.int64)

    @functools.cached_property
    def _log_orders(self) -> FloatArray:
        return np.zeros(self.num_variables + 1) if self.autoregressive else log_factorials(self.num_variables)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log k! with k variables assigned in any order, 0 where the order is fixed."""
        return self._log_orders[self._assigned(states).sum(1)]

    # ------------------------------------------------------------------ for people

    def action_label(self, action: int) -> str:
        if self.autoregressive:
            return f"next = {action}"
        variable, value = divmod(action, self.num_values)
        return f"x{variable} = {value}"

    def render_text(self, state: IntArray) -> str:
        return " ".join("." if value == self.num_values else str(value) for value in state.tolist())

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile a variable, coloured by its value, grey while it has none; about as many rows as columns."""
        colours = rendering.colormap(np.arange(self.num_values) / max(1, self.num_values - 1))
        palette = np.vstack([colours, rendering.GREY, rendering.WHITE])
        columns = int(np.ceil(np.sqrt(self.num_variables)))
        rows = -(-self.num_variables // columns)
        cells = np.pad(state, (0, rows * columns - self.num_variables), constant_values=self.num_values + 1)
        return rendering.tiles(palette[cells.reshape(rows, columns)], tile=24)
