"""Gradient-boosted regression trees as arrays, evaluated with NumPy only.

The conventions are those of scikit-learn's HistGradientBoostingRegressor: ``x[feature] <= threshold`` goes left, leaf
values already include shrinkage, and the prediction is a baseline plus one leaf value per tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data.safe_pickle import read_pickle

_HGB = "sklearn.ensemble._hist_gradient_boosting"

#: The scikit-learn classes whose attributes are read from a pickle.
RECORDS = (
    f"{_HGB}.gradient_boosting.HistGradientBoostingRegressor",
    f"{_HGB}.loss.LeastSquares",
    f"{_HGB}.binning._BinMapper",
    f"{_HGB}.predictor.TreePredictor",
)


def arrays_from_pickle(data: bytes) -> dict[str, FloatArray]:
    """Arrays for :class:`BoostedTrees` from a pickled HistGradientBoostingRegressor of scikit-learn 1.0.

    Nothing in the pickle is executed.

    Raises:
        UnsafePickleError: the pickle is damaged or contains other classes.
        ValueError: the pickle holds no such model, or :func:`node_arrays` rejects its trees.
    """
    model = read_pickle(data, RECORDS)
    if not hasattr(model, "attributes"):
        raise ValueError(f"expected a pickled HistGradientBoostingRegressor, got {type(model).__name__}")
    nodes = [tree["nodes"] for trees in model["_predictors"] for tree in trees]
    return node_arrays(nodes, float(model["_baseline_prediction"]), model["n_features_in_"])


def node_arrays(nodes: Sequence[np.ndarray], baseline: float, num_features: int) -> dict[str, FloatArray]:
    """Arrays for :class:`BoostedTrees` from scikit-learn's structured arrays ``TreePredictor.nodes``.

    Args:
        nodes: one structured array per tree.
        baseline: the prediction without trees.
        num_features: number of features of a sample.

    Raises:
        ValueError: a tree splits on categories, refers to a child or feature that does not exist, or has a non-finite
            value or threshold.
    """
    for t, tree in enumerate(nodes):
        inner, count = tree["is_leaf"] == 0, len(tree)
        children = np.concatenate([tree["left"][inner], tree["right"][inner]]).astype(np.int64)
        # Children must come after their parents, so that every walk from the root ends.
        parents = np.tile(np.flatnonzero(inner), 2)
        if "is_categorical" in (tree.dtype.names or ()) and tree["is_categorical"][inner].any():
            raise ValueError(f"tree {t} splits on categories; allowed: numerical splits")
        if (children >= count).any() or (children <= parents).any():
            raise ValueError(f"tree {t} has a child that does not exist or comes before its parent")
        if (tree["feature_idx"][inner].astype(np.int64) >= num_features).any():
            raise ValueError(f"tree {t} splits on a feature beyond the {num_features} of the model")
        if not (np.isfinite(tree["value"]).all() and np.isfinite(tree["num_threshold"][inner]).all()):
            raise ValueError(f"tree {t} has a non-finite value or threshold")
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


class BoostedTrees:
    """An ensemble of trees, evaluated for all samples and trees in one batch.

    Args:
        arrays: the result of :func:`node_arrays`: arrays (num_trees, num_nodes), the baseline and the number of
            features.
    """

    def __init__(self, arrays: Mapping[str, FloatArray]):
        self.value, self.feature, self.threshold = arrays["value"], arrays["feature"], arrays["threshold"]
        self.leaf = arrays["leaf"].astype(bool)
        own = np.arange(self.value.shape[1])
        # A leaf is its own child, so a walk that has reached a leaf stays there.
        self.left, self.right = (np.where(self.leaf, own, arrays[side]) for side in ("left", "right"))
        self.baseline, self.num_features = float(arrays["baseline"]), int(arrays["num_features"])

    def predict(self, features: FloatArray, chunk: int = 4096) -> FloatArray:
        """Predictions, float64 (n,), for ``features`` (n, num_features), computed ``chunk`` samples at a time.

        Raises:
            ValueError: ``features`` has another shape or non-finite entries.
        """
        if features.ndim != 2 or features.shape[1] != self.num_features or not np.isfinite(features).all():
            raise ValueError(f"expected finite features of shape (n, {self.num_features}), got {features.shape}")
        parts = [self._walk(features[start : start + chunk]) for start in range(0, len(features), chunk)]
        return np.concatenate([np.zeros(0), *parts])

    def _walk(self, features: FloatArray) -> FloatArray:
        """Predictions (n,) by following every tree from its root."""
        num_trees, width = self.value.shape
        base = np.arange(num_trees) * width
        row = np.arange(len(features))[:, None]
        node = np.broadcast_to(base, (len(features), num_trees))
        feature, threshold = self.feature.ravel(), self.threshold.ravel()
        left, right = (self.left + base[:, None]).ravel(), (self.right + base[:, None]).ravel()
        while not self.leaf.ravel()[node].all():
            node = np.where(features[row, feature[node]] <= threshold[node], left[node], right[node])
        return self.sum_leaves(self.value.ravel()[node])

    def sum_leaves(self, leaves: FloatArray) -> FloatArray:
        """Baseline plus leaf values (n, num_trees), float64 (n,), added in the same order as in scikit-learn."""
        leaves = leaves.copy()
        leaves[:, 0] += self.baseline
        return np.asarray(leaves.cumsum(axis=1)[:, -1])
