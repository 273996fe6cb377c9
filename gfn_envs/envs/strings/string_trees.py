"""Gradient-boosted trees on one-hot strings, evaluated with a few table lookups per tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.envs.strings.boosted_trees import BoostedTrees


class StringTrees:
    """Trees on the one-hot letters of strings: feature = position * num_letters + letter.

    A string is cut into two halves. Each half on its own determines which leaves of a tree remain reachable. Halves
    with the same reachable leaves form a class, and a small table maps a pair of classes to the value of the leaf. A
    string is thus scored with two lookups per tree instead of a walk.

    Args:
        trees: the ensemble.
        num_letters, length: of the strings.

    Raises:
        ValueError: the number of features differs from num_letters * length, or a tree does not lead every string to
            exactly one leaf.
    """

    def __init__(self, trees: BoostedTrees, num_letters: int, length: int):
        if trees.num_features != num_letters * length:
            raise ValueError(
                f"the trees have {trees.num_features} features; strings of {length} letters of {num_letters} have "
                f"{num_letters * length}"
            )
        self.trees, self.num_letters, self.length = trees, num_letters, length
        self.cut = length - length // 2
        self._tables: list[FloatArray] = []
        firsts, seconds = [], []
        for tree in range(len(trees.value)):
            table, first, second = self._classes(tree)
            self._tables.append(table)
            firsts.append(first)
            seconds.append(second)
        self._first, self._second = np.stack(firsts, axis=1), np.stack(seconds, axis=1)  # (halves, trees)
        self._flat = np.concatenate([table.ravel() for table in self._tables])
        sizes = np.array([table.size for table in self._tables])
        self._base = np.cumsum(sizes) - sizes
        self._columns = np.array([table.shape[1] for table in self._tables])

    def _classes(self, tree: int) -> tuple[FloatArray, IntArray, IntArray]:
        """The table of leaf values (first classes, second classes), and the class of every first and second half."""
        possible, values = self._possible(tree)
        halves = []
        for positions in (range(self.cut), range(self.cut, self.length)):
            reach = np.ones((1, len(values)), dtype=bool)
            for p in positions:  # The last position varies fastest, which gives alphabetical order.
                reach = (reach[:, None] & possible[p]).reshape(-1, len(values))
            # One key of packed bits per half is far faster than np.unique(axis=0).
            _, chosen, classes = np.unique(row_keys(np.packbits(reach, axis=1)), return_index=True, return_inverse=True)
            halves.append((reach[chosen], classes))
        (first, first_class), (second, second_class) = halves
        both = first[:, None] & second
        if not (both.sum(2) == 1).all():
            raise ValueError(f"tree {tree} does not lead every string to exactly one leaf")
        return values[both.argmax(2)], first_class, second_class

    def _possible(self, tree: int) -> tuple[Any, FloatArray]:
        """The leaves compatible with each letter at each position, bool (length, num_letters, leaves); their values."""
        trees, q = self.trees, self.num_letters
        left, right, leaf = trees.left[tree], trees.right[tree], trees.leaf[tree]
        paths, leaves = [(0, np.ones((self.length, q), dtype=bool))], []
        while paths:
            node, allowed = paths.pop()
            if leaf[node]:
                leaves.append((trees.value[tree, node], allowed))
                continue
            position, letter = divmod(int(trees.feature[tree, node]), q)
            goes_left = (np.arange(q) == letter) <= trees.threshold[tree, node]
            for child, fits in ((left[node], goes_left), (right[node], ~goes_left)):
                below = allowed.copy()
                below[position] &= fits
                if below.any(1).all():
                    paths.append((int(child), below))
        values, possible = zip(*leaves, strict=True)
        return np.stack(possible, axis=2), np.array(values)

    def score(self, tokens: IntArray) -> FloatArray:
        """Predictions, float64 (n,), for tokens of strings (n, length)."""
        strides = self.num_letters ** np.arange(self.length)[::-1]
        code = tokens.astype(np.int64) @ strides
        first, second = np.divmod(code, self.num_letters ** (self.length - self.cut))
        index = self._base + self._first[first] * self._columns + self._second[second]
        return self.trees.sum_leaves(self._flat.take(index))

    def score_all(self, chunk: int = 2**21) -> Iterator[FloatArray]:
        """Predictions for all strings in alphabetical order, float64, in arrays of about ``chunk`` entries."""
        rows = max(1, chunk // len(self._second))
        second = np.ascontiguousarray(self._second.T)
        for start in range(0, len(self._first), rows):
            first = self._first[start : start + rows]
            total = np.full((len(first), len(self._second)), self.trees.baseline)
            for tree, table in enumerate(self._tables):
                used, which = np.unique(first[:, tree], return_inverse=True)
                total += table[used].take(second[tree], axis=1)[which]
            yield total.ravel()
