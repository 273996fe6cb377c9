"""The DAG of forests: labeled rooted trees that are joined, two at a time, until one is left."""

from __future__ import annotations

import functools
import math

import numpy as np
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.dag import Dag
from gfn_envs.envs.phylogenetics import forests

#: Number of forests per chunk of features: their subtrees fit in the cache of a processor.
CHUNK = 128


class ForestDag(Dag):
    """Rooted binary trees over n labels, joined two at a time. :class:`PhyloTree` explains states and actions.

    Args:
        num_labels: n, at least 2.
    """

    feature_bounds = (0.0, 1.0)

    def __init__(self, num_labels: int):
        self.num_labels = n = num_labels
        # The labels i < j of each action.
        self._first, self._second = np.triu_indices(n, 1)
        self._one_per_taxon = np.ones((n, 1), dtype=np.float32)
        self.num_actions, self.num_backward_actions = len(self._first), n - 1
        self.max_length, self.state_width = n - 1, 2 * (n - 1)
        self.state_dtype = np.dtype(np.int8 if n < 127 else np.int16)
        self.num_features = len(self._first)
        self.num_tokens, self.num_positions = n, 2 * (n - 1)
        self.observation_space = spaces.MultiDiscrete([n] * (2 * (n - 1)))
        self.declared_num_terminal_states = math.prod(range(1, 2 * n - 2, 2))
        # The sum over k of (n - 1 + k)! / ((n - 1 - k)! k! 2^k), each from the one before.
        with_joins = self.declared_num_states = 1
        for k in range(n - 1):
            with_joins = with_joins * (n + k) * (n - 1 - k) // (2 * (k + 1))
            self.declared_num_states += with_joins

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return (states[:, : self.num_labels - 1] != 0).all(1)

    def forward_mask(self, states: IntArray) -> BoolArray:
        is_label = forests.is_label(states)
        return is_label[:, self._first] & is_label[:, self._second]

    def backward_mask(self, states: IntArray) -> BoolArray:
        into, _ = forests.joined(states)
        has_joins = np.zeros((len(states), self.num_labels), dtype=bool)
        row, column = np.nonzero(into >= 0)
        has_joins[row, into[row, column]] = True
        return (has_joins & forests.is_label(states))[:, :-1]

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        label, other = self._first.take(actions), self._second.take(actions)
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = label + 1
        out[row, self.num_labels - 2 + other] = forests.num_joined(states, label) + 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        other = forests.last_joined(states, np.asarray(backward_actions))
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = out[row, self.num_labels - 2 + other] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._first.take(actions).astype(np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        label = np.asarray(backward_actions, dtype=np.int64)
        # (n - 1) + (n - 2) + ... + (n - i) pairs come before those of label i.
        before = label * (2 * self.num_labels - label - 1) // 2
        return before + forests.last_joined(states, label) - label - 1

    def encode(self, states: IntArray) -> FloatArray:
        features = np.empty((len(states), self.num_features), dtype=np.float32)
        # Forests with similar numbers of joins share a chunk, because a chunk costs as much as its longest.
        order = forests.num_joins(states).argsort(kind="stable")
        for start in range(0, len(states), CHUNK):
            rows = order[start : start + CHUNK]
            features[rows] = self._common_subtrees(states[rows])
        return features

    def _common_subtrees(self, states: IntArray) -> FloatArray:
        """Share of the taxa in the smallest common subtree of each pair of taxa, 0 if there is none, (n, pairs)."""
        left, right = (side.astype(np.float32) for side in forests.subtrees(states))
        size = (left + right) @ self._one_per_taxon
        left *= size / np.float32(self.num_labels)
        # At most one join has one taxon of a pair on its left and the other on its right.
        together = left.transpose(0, 2, 1) @ right
        together = (together + together.transpose(0, 2, 1)).reshape(len(states), self.num_labels**2)
        return together.take(self._first * self.num_labels + self._second, axis=1)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def tokens(self, states: IntArray) -> IntArray:
        """The state row, int64 (n, 2 (num_labels - 1))."""
        return states.astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if each subtree of the forest has the same taxa as some subtree of the object."""
        state_clades, object_clades = forests.clades(states), forests.clades(objects)
        ids = np.unique(np.concatenate([state_clades, object_clades]).ravel(), return_inverse=True)[1]
        mine = ids[: state_clades.size].reshape(state_clades.shape)
        theirs = ids[state_clades.size :].reshape(object_clades.shape)
        result = np.ones((len(states), len(objects)), dtype=bool)
        joins = forests.num_joins(states)
        for k in range(self.num_labels - 1):
            result &= (mine[:, k, None, None] == theirs).any(2) | (joins <= k)[:, None]
        return result

    @functools.cached_property
    def _log_factorials(self) -> FloatArray:
        return log_factorials(self.num_labels)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of orders of the m joins, by the hook length formula.

        The number is m! divided by the product, over all inner nodes, of the number of inner nodes of the subtree.
        """
        joins = forests.num_joins(states)
        left, right = forests.subtrees(states)
        inner = np.maximum(left.sum(2) + right.sum(2) - 1, 1)
        # Summed from left to right: NumPy's sum depends on the padding, and so on the other rows.
        logs = np.concatenate([np.zeros((len(states), 1)), np.log(inner)], axis=1).cumsum(1)
        return self._log_factorials[joins] - logs[:, -1]
