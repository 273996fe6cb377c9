"""Assignment: base class of environments that give values to variables, one variable per step."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials, one_hot_columns, one_hot_table
from gfn_envs.closed_levels import ProductLevels, product_levels
from gfn_envs.dag import Dag
from gfn_envs.validation import check_size, one_of

#: Largest number of values of a variable.
MAX_VALUES = 2**16

CONSTRUCTIONS = ("autoregressive", "non_autoregressive")


class Assignment(Dag):
    """D variables with K values each. Each step assigns a value to one variable, until all are assigned.

    A state row holds the value of each variable, or K if the variable is unassigned.

    * Non-autoregressive construction assigns any unassigned variable, with action = variable * K + value. Backward
      action i unassigns variable i.
    * Autoregressive construction assigns the next variable in ``order``, with action = value. The only backward action
      unassigns the last one, so P_B = 1.

    A subclass defines :meth:`partial_log_reward`, which must be 0 if no variable is assigned. The log reward of a
    terminal state is the same function, unless the subclass overrides :meth:`log_reward`.

    Args:
        num_variables: D.
        num_values: K, at most 65,536.
        construction: "autoregressive" or "non_autoregressive".
        order: a permutation of the variables (D,), for autoregressive construction; None is 0, 1, ..., D - 1.

    Raises:
        ValueError: ``construction`` is unknown, or K or D K is too large.
    """

    feature_bounds = (0.0, 1.0)

    def __init__(self, num_variables: int, num_values: int, construction: str, order: IntArray | None = None):
        where = type(self).__name__
        one_of("construction", construction, CONSTRUCTIONS, where)
        if num_values > MAX_VALUES:
            raise ValueError(f"{where}: at most {MAX_VALUES} values per variable, got {num_values}")
        check_size(f"{num_variables:,} variables of {num_values:,} values", num_variables * num_values, where)
        self.num_variables = self.state_width = self.max_length = num_variables
        self.num_values, self.autoregressive = num_values, construction == "autoregressive"
        self.order = np.arange(num_variables) if order is None else np.asarray(order, dtype=np.int64)
        self.num_actions = num_values if self.autoregressive else num_variables * num_values
        self.num_backward_actions = 1 if self.autoregressive else num_variables
        self.state_dtype = np.dtype(np.int8 if num_values <= 127 else np.int32)
        self.num_features = num_variables * num_values
        self.num_tokens, self.num_positions = num_values + 1, num_variables
        self.token_order = self.order if self.autoregressive else None
        self.observation_space: spaces.Space[Any] = spaces.MultiDiscrete([num_values + 1] * num_variables)
        k, d = num_values, num_variables
        self.declared_num_terminal_states = k**d
        self.declared_num_states = (k ** (d + 1) - 1) // (k - 1) if self.autoregressive else (k + 1) ** d
        self._mask_if_terminal = np.array([[True] * k, [False] * k])  # autoregressive

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.full((n, self.num_variables), self.num_values, dtype=self.state_dtype)

    def _assigned(self, states: IntArray) -> BoolArray:
        """True for each assigned variable, bool (n, D)."""
        assigned: BoolArray = np.not_equal(states, self.num_values)
        return assigned

    def is_terminal(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return self._assigned(states[:, self.order[-1]])
        return np.asarray(self._assigned(states).all(1))

    def forward_mask(self, states: IntArray) -> BoolArray:
        if self.autoregressive:
            return self._mask_if_terminal.take(self.is_terminal(states), axis=0)
        return np.repeat(~self._assigned(states), self.num_values, axis=1)

    def backward_mask(self, states: IntArray) -> BoolArray:
        return self._assigned(states[:, self.order[:1]] if self.autoregressive else states)

    def _variable_and_value(self, states: IntArray, actions: IntArray) -> tuple[IntArray, IntArray]:
        if self.autoregressive:
            # argmin finds the first unassigned variable in this order.
            next_variable = self._assigned(states).take(self.order, axis=1).argmin(1)
            return self.order[next_variable], np.asarray(actions)
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
    def closed_levels(self) -> ProductLevels | None:  # type: ignore[override]
        """In non-autoregressive construction, the level of a state is its number of assigned variables."""
        depths = [[1] * self.num_values + [0]] * self.num_variables
        return None if self.autoregressive else product_levels(depths, self.state_dtype)

    @functools.cached_property
    def _one_hot(self) -> FloatArray | None:
        """The one-hot vectors of all values; None if there are so many that writing ones takes less time."""
        return one_hot_table(self.num_values) if self.num_values <= 1024 else None

    def encode(self, states: IntArray) -> FloatArray:
        if self._one_hot is not None:
            return self._one_hot.take(states, axis=0).reshape(len(states), self.num_features)
        features = np.zeros((len(states), self.num_features), dtype=np.float32)
        row, column = np.nonzero(self._assigned(states))
        features[row, column * self.num_values + states[row, column]] = 1
        return features

    def active_features(self, states: IntArray) -> IntArray | None:
        return one_hot_columns(states, self.num_values)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if the object agrees with every assigned variable of the state, bool (n, m)."""
        return all_columns(lambda mine, theirs: (mine == self.num_values) | (mine == theirs), states, objects)

    def tokens(self, states: IntArray) -> IntArray:
        """The value of each variable, K if unassigned, int64 (n, D)."""
        return states.astype(np.int64)

    @functools.cached_property
    def _log_orders(self) -> FloatArray:
        """log of the number of orders of k assigned variables, float64 (D + 1,)."""
        return np.zeros(self.num_variables + 1) if self.autoregressive else log_factorials(self.num_variables)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log k! with k assigned variables (non-autoregressive), or 0 (autoregressive), float64 (n,)."""
        return self._log_orders[self._assigned(states).sum(1)]

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        if self.autoregressive:
            return f"next = {action}"
        variable, value = divmod(action, self.num_values)
        return f"x{variable} = {value}"

    def render_text(self, state: IntArray) -> str:
        return " ".join("." if value == self.num_values else str(value) for value in state.tolist())

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per variable in a square grid, colored by its value, or gray if unassigned."""
        colors = rendering.colormap(np.arange(self.num_values) / max(1, self.num_values - 1))
        return rendering.wrapped_tiles(np.vstack([colors, rendering.GREY])[state])
