"""Models of the reward, fitted to the objects called so far: mean and standard deviation of any object's reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from gfn_envs.arrays import FloatArray


class Surrogate(Protocol):
    """A model of values given features."""

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        """Fit to features (n, width) and values (n,), which have mean 0 and standard deviation 1."""

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of the values at features (m, width), each (m,)."""


class Forest:
    """A random forest (Breiman 2001). The standard deviation is that of its trees.

    Args:
        seed: seed of the trees.
        trees: their number.
    """

    def __init__(self, seed: int = 0, trees: int = 100):
        ensemble = _sklearn("ensemble")
        self.model = ensemble.RandomForestRegressor(trees, max_features=1 / 3, random_state=seed % 2**32)

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        self.model.fit(features, values)

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows = np.ascontiguousarray(features, dtype=np.float32)
        # The trees' own functions check and convert the rows once per tree, which takes longer than the rest.
        each = np.stack([tree.tree_.predict(rows)[:, 0] for tree in self.model.estimators_])
        return each.mean(0), each.std(0)


class GaussianProcess:
    """A Gaussian process with a squared-exponential kernel and noise, whose parameters maximize the likelihood.

    Args:
        seed: seed of the choice of objects.
        most: it is fitted to at most this many objects, the best half of them and others at random.
    """

    def __init__(self, seed: int = 0, most: int = 1000):
        gaussian_process = _sklearn("gaussian_process")
        kernels = gaussian_process.kernels
        kernel = kernels.ConstantKernel(1.0) * kernels.RBF(1.0, (1e-2, 1e3)) + kernels.WhiteKernel(0.1, (1e-6, 10.0))
        self.model = gaussian_process.GaussianProcessRegressor(kernel, random_state=seed % 2**32)
        self.rng, self.most = np.random.default_rng(seed), most

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        if len(values) > self.most:
            order = np.argsort(-values)
            half = self.most // 2
            kept = np.concatenate([order[:half], self.rng.choice(order[half:], self.most - half, replace=False)])
            features, values = features[kept], values[kept]
        self.model.fit(features, values)

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, deviation = self.model.predict(features, return_std=True)
        return mean, deviation


#: Name -> function of a seed that makes a surrogate.
SURROGATES: dict[str, Callable[[int], Surrogate]] = {"forest": Forest, "gp": GaussianProcess}


def _sklearn(module: str) -> Any:
    """A module of scikit-learn. Raises ImportError if it is not installed."""
    try:
        import sklearn.ensemble
        import sklearn.gaussian_process
    except ImportError as error:
        raise ImportError("surrogates need scikit-learn: pip install 'gfn-envs[acquire]'") from error
    return {"ensemble": sklearn.ensemble, "gaussian_process": sklearn.gaussian_process}[module]
