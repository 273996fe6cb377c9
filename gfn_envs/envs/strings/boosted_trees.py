"""Gradient-boosted regression trees as arrays, evaluated with NumPy alone.

The trees are those of scikit-learn's HistGradientBoostingRegressor: ``x[feature] <= threshold`` goes left, the values
of the leaves already include shrinkage, and the prediction is a baseline plus one leaf of each tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.data.safe_pickle import read_pickle

_HGB = "sklearn.ensemble._hist_gradient_boosting"

#: The classes of scikit-learn whose attributes are read.
RECORDS = (
    f"{_HGB}.gradient_boosting.HistGradientBoostingRegressor",
    f"{_HGB}.loss.LeastSquares",
    f"{_HGB}.binning._BinMapper",
    f"{_HGB}.predictor.TreePredictor",
)


def pickled_model(data: bytes) -> dict[str, FloatArray]:
    """Arrays of a pickled HistGradientBoostingRegressor (scikit-learn 1.0), for :class:`Trees`; nothing is executed.

    Raises:
        UnsafePickleError: the pickle is damaged, or is something else.
        ValueError: trees that :func:`node_arrays` refuses.
    """
    model = read_pickle(data, RECORDS)
    if not hasattr(model, "attributes"):
        raise ValueError(f"expected a pickled HistGradientBoostingRegressor, got {type(model).__name__}")
    nodes = [tree["nodes"] for trees in model["_predictors"] for tree in trees]
    return node_arrays(nodes, float(model["_baseline_prediction"]), model["n_features_in_"])


def node_arrays(nodes: Sequence[np.ndarray], baseline: float, num_features: int) -> dict[str, FloatArray]:
    """Arrays for :class:`Trees`, from the structured arrays of scikit-learn's ``TreePredictor.nodes``.

    Raises:
        ValueError: a split on categories, a child or feature that does not exist, or a number that is not finite.
    """
    for t, tree in enumerate(nodes):
        inner, count = tree["is_leaf"] == 0, len(tree)
        children = np.concatenate([tree["left"][inner], tree["right"][inner]]).astype(np.int64)
        # Children behind their parents: every walk ends.
        parents = np.tile(np.flatnonzero(inner), 2)
        if "is_categorical" in (tree.dtype.names or ()) and tree["is_categorical"][inner].any():
            raise ValueError(f"tree {t} splits on categories; allowed: numerical splits")
        if (children >= count).any() or (children <= parents).any():
            raise ValueError(f"tree {t} has a child that does not exist or comes before its parent")
        if (tree["feature_idx"][inner].astype(np.int64) >= num_features).any():
            raise ValueError(f"tree {t} splits on a feature beyond the {num_features} of the model")
        if not (np.isfinite(tree["value"]).all() and np.isfinite(tree["num_threshold"][inner]).all()):
            raise ValueError(f"tree {t} has a value or a threshold that is not finite")
    width = max(map(len, nodes))

    def padded(name: str, dtype: Any) -> FloatArray:
        return np.stack([np.pad(tree[name].astype(dtype), (0, width - len(tree))) for tree in nodes])

    return {
        "value": padded("value", np.float64),
        "feature": padded("feature_idx", np.int64),
        "threshold": padded("num_threshold", np.float64),
        "left": padded("left", np.int64),
        "right": padded("right", np.int64),
        "leaf": padded("is_leaf", np.bool_),
        "baseline": np.array(baseline, dtype=np.float64),
        "num_features": np.array(num_features, dtype=np.int64),
    }


class Trees:
    """An ensemble of trees, walked for all samples and trees at once.

    Args:
        arrays: of :func:`node_arrays`: (trees, nodes) each, and two numbers.
    """

    def __init__(self, arrays: Mapping[str, FloatArray]):
        self.value, self.feature, self.threshold = arrays["value"], arrays["feature"], arrays["threshold"]
        self.leaf = arrays["leaf"].astype(bool)
        own = np.arange(self.value.shape[1])
        # A leaf is its own child: a walk that has arrived stays.
        self.left, self.right = (np.where(self.leaf, own, arrays[side]) for side in ("left", "right"))
        self.baseline, self.num_features = float(arrays["baseline"]), int(arrays["num_features"])

    def predict(self, features: FloatArray, chunk: int = 4096) -> FloatArray:
        """Predictions float64 (n,) of ``features`` (n, num_features), finite."""
        if features.ndim != 2 or features.shape[1] != self.num_features or not np.isfinite(features).all():
            raise ValueError(f"expected finite features of shape (n, {self.num_features}), got {features.shape}")
        parts = [self._walk(features[start : start + chunk]) for start in range(0, len(features), chunk)]
        return np.concatenate([np.zeros(0), *parts])

    def _walk(self, features: FloatArray) -> FloatArray:
        num_trees, width = self.value.shape
        base = np.arange(num_trees) * width
        row = np.arange(len(features))[:, None]
        node = np.broadcast_to(base, (len(features), num_trees))
        feature, threshold = self.feature.ravel(), self.threshold.ravel()
        left, right = (self.left + base[:, None]).ravel(), (self.right + base[:, None]).ravel()
        while not self.leaf.ravel()[node].all():
            node = np.where(features[row, feature[node]] <= threshold[node], left[node], right[node])
        return self._total(self.value.ravel()[node])

    def _total(self, leaves: FloatArray) -> FloatArray:
        """Baseline plus leaves (n, trees), added in order, as scikit-learn does: (n,)."""
        leaves = leaves.copy()
        leaves[:, 0] += self.baseline
        return np.asarray(leaves.cumsum(axis=1)[:, -1])


class StringTrees:
    """Trees over the one-hot letters of strings: feature = position * num_letters + letter.

    A string is cut into two halves. Each half alone decides which leaves of a tree can still be reached; halves that
    leave the same ones are of one class, and a small table of classes gives the leaf. So all strings are scored with
    two lookups a tree in place of a walk.
    """

    def __init__(self, trees: Trees, num_letters: int, length: int):
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
        """Leaf values by classes of halves (classes, classes), and the class of every first and second half."""
        possible, values = self._possible(tree)
        halves = []
        for positions in (range(self.cut), range(self.cut, self.length)):
            reach = np.ones((1, len(values)), dtype=bool)
            for p in positions:  # The last position runs fastest: alphabetical order.
                reach = (reach[:, None] & possible[p]).reshape(-1, len(values))
            # Bits as one key a half: far faster than np.unique(axis=0).
            _, chosen, classes = np.unique(row_keys(np.packbits(reach, axis=1)), return_index=True, return_inverse=True)
            halves.append((reach[chosen], classes))
        (first, first_class), (second, second_class) = halves
        both = first[:, None] & second
        if not (both.sum(2) == 1).all():
            raise ValueError(f"tree {tree} does not lead every string to one leaf")
        return values[both.argmax(2)], first_class, second_class

    def _possible(self, tree: int) -> tuple[Any, FloatArray]:
        """bool (length, num_letters, leaves): leaves that a letter at a position does not rule out; their values."""
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
        """Predictions float64 (n,) of strings (n, length)."""
        strides = self.num_letters ** np.arange(self.length)[::-1]
        code = tokens.astype(np.int64) @ strides
        first, second = np.divmod(code, self.num_letters ** (self.length - self.cut))
        index = self._base + self._first[first] * self._columns + self._second[second]
        return self.trees._total(self._flat.take(index))

    def score_all(self, chunk: int = 2**21) -> Iterator[FloatArray]:
        """Predictions of all strings in alphabetical order, in pieces of about ``chunk``, float64."""
        rows = max(1, chunk // len(self._second))
        second = np.ascontiguousarray(self._second.T)
        for start in range(0, len(self._first), rows):
            first = self._first[start : start + rows]
            total = np.full((len(first), len(self._second)), self.trees.baseline)
            for tree, table in enumerate(self._tables):
                used, which = np.unique(first[:, tree], return_inverse=True)
                total += table[used].take(second[tree], axis=1)[which]
            yield total.ravel()
