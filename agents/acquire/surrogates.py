"""Surrogates: models, fitted to the objects called so far, that predict the reward and its standard deviation."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import torch

from gfn_envs.arrays import FloatArray, IntArray


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
        trees: number of trees.
    """

    def __init__(self, seed: int = 0, trees: int = 100):
        ensemble = _sklearn("ensemble")
        self.model = ensemble.RandomForestRegressor(trees, max_features=1 / 3, random_state=seed % 2**32)

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        self.model.fit(features, values)

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows = np.ascontiguousarray(features, dtype=np.float32)
        # The public functions of the trees check and convert the rows once per tree, which takes longer than the rest.
        each = np.stack([tree.tree_.predict(rows)[:, 0] for tree in self.model.estimators_])
        return each.mean(0), each.std(0)


class GaussianProcess:
    """A Gaussian process with a squared-exponential kernel and noise, whose parameters maximize the likelihood.

    Args:
        seed: seed of the choice of objects.
        cap: it is fitted to at most this many objects, the best half of them and others at random.
    """

    def __init__(self, seed: int = 0, cap: int = 1000):
        gaussian_process = _sklearn("gaussian_process")
        kernels = gaussian_process.kernels
        kernel = kernels.ConstantKernel(1.0) * kernels.RBF(1.0, (1e-2, 1e3)) + kernels.WhiteKernel(0.1, (1e-6, 10.0))
        self.model = gaussian_process.GaussianProcessRegressor(kernel, random_state=seed % 2**32)
        self.rng, self.cap = np.random.default_rng(seed), cap

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        kept = best_and_others(values, self.cap, self.rng)
        self.model.fit(features[kept], values[kept])

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, deviation = self.model.predict(features, return_std=True)
        return mean, deviation


class BoTorch:
    """The Gaussian process of BoTorch (Balandat et al. 2020), with its priors; in double precision.

    Args:
        seed: seed of the choice of objects.
        cap: it is fitted to at most this many objects, the best half of them and others at random.
    """

    def __init__(self, seed: int = 0, cap: int = 1000):
        self.library = _botorch()
        self.model: Any = None
        self.rng, self.cap = np.random.default_rng(seed), cap

    def fit(self, features: FloatArray, values: FloatArray) -> None:
        kept = best_and_others(values, self.cap, self.rng)
        inputs, targets = (torch.from_numpy(np.asarray(a, np.float64)) for a in (features[kept], values[kept, None]))
        self.model = self.library.models.SingleTaskGP(inputs, targets)
        self.library.fit.fit_gpytorch_mll(self.library.mll(self.model.likelihood, self.model))

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        assert self.model is not None, "fit comes first"
        with torch.no_grad():
            posterior = self.model.posterior(torch.from_numpy(np.asarray(features, np.float64)))
            return posterior.mean[:, 0].numpy(), posterior.variance[:, 0].sqrt().numpy()


#: Name -> function of a seed that makes a surrogate.
SURROGATES: dict[str, Callable[[int], Surrogate]] = {"forest": Forest, "gp": GaussianProcess, "botorch": BoTorch}


def best_and_others(values: FloatArray, cap: int, rng: np.random.Generator) -> IntArray:
    """Indices of at most ``cap`` values: the largest make up half of them; the others are drawn at random."""
    order = np.argsort(-values)
    if len(values) <= cap:
        return np.arange(len(values))
    half = cap // 2
    return np.concatenate([order[:half], rng.choice(order[half:], cap - half, replace=False)])


def _botorch() -> Any:
    """The parts of BoTorch that are used. Raises ImportError if it is not installed."""
    try:
        import botorch.fit
        import botorch.models
        import gpytorch
    except ImportError as error:
        raise ImportError("surrogate 'botorch' needs BoTorch: pip install 'gfn-envs[botorch]'") from error
    mll = gpytorch.mlls.ExactMarginalLogLikelihood
    return SimpleNamespace(fit=botorch.fit, models=botorch.models, mll=mll)


def _sklearn(module: str) -> Any:
    """A module of scikit-learn. Raises ImportError if it is not installed."""
    try:
        import sklearn.ensemble
        import sklearn.gaussian_process
    except ImportError as error:
        raise ImportError("surrogates need scikit-learn: pip install 'gfn-envs[acquire]'") from error
    return {"ensemble": sklearn.ensemble, "gaussian_process": sklearn.gaussian_process}[module]
