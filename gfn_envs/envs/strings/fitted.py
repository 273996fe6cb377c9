"""Regressors of scikit-learn (the extra ``acquire``) on one-hot strings, with their cross-validated error."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray, one_hot_table

#: Names of models: ridge regression with a cross-validated penalty, and a random forest of 100 trees.
MODELS = ("ridge", "forest")
#: Folds of the cross-validation, and the fewest measured strings.
FOLDS, FEWEST = 5, 10


class CrossValidation(NamedTuple):
    """Errors of predictions for strings of one fold by a model that was fitted to the other folds.

    Attributes:
        model: its name.
        strings: number of measured strings.
        r2: explained share of the variance of the values, at most 1; 0 for the mean of all values.
        rmse: root mean square error, in the unit of the values.
        spread: standard deviation of the values.
    """

    model: str
    strings: int
    r2: float
    rmse: float
    spread: float

    def __str__(self) -> str:
        return (
            f"strings without a value are predicted by {self.model}, fitted to {self.strings:,}; cross-validated on "
            f"{FOLDS} folds: R2 {self.r2:.2f}, error {self.rmse:.3g} (RMSE; standard deviation {self.spread:.3g})"
        )


class Fitted:
    """Predictions, float64 (n,), from tokens (n, length).

    The features are the one-hot letters of the positions at which the measured strings differ.

    Args:
        tokens, values: the measured strings, int (m, length) and float64 (m,).
        model: one of MODELS, or a function without arguments that makes a regressor with the methods of scikit-learn.
        num_letters: of the alphabet; an empty position has this token.
        where: start of messages.

    Raises:
        ValueError: there are fewer than FEWEST strings.
        TypeError: the result of the function has no ``fit`` and ``predict``.
        ImportError: scikit-learn is not installed.
    """

    def __init__(self, tokens: IntArray, values: FloatArray, model: Any, num_letters: int, where: str):
        if len(tokens) < FEWEST:
            raise ValueError(f"{where}: a model needs at least {FEWEST} measured strings, got {len(tokens)}")
        self._one_hot = one_hot_table(num_letters)
        self._varying = np.flatnonzero((tokens != tokens[:1]).any(0))
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        features, targets = self._features(tokens), (values - self._mean) / self._scale
        self.model, name = _regressor(model, where)
        model_selection, base = _sklearn()[2:]
        folds = model_selection.KFold(FOLDS, shuffle=True, random_state=0)
        held_out = model_selection.cross_val_predict(base.clone(self.model), features, targets, cv=folds)
        error = float(np.sqrt(np.mean((held_out - targets) ** 2)))
        self.cross_validation = CrossValidation(
            name, len(values), 1 - error**2 / (targets.var() or 1.0), error * self._scale, float(values.std())
        )
        self.model.fit(features, targets)

    def _features(self, tokens: IntArray) -> FloatArray:
        # Predictions of float32 would depend on the other rows of a batch in the seventh digit.
        return self._one_hot.take(tokens[:, self._varying], axis=0).reshape(len(tokens), -1).astype(np.float64)

    def __call__(self, tokens: IntArray) -> FloatArray:
        # Rounded, as the last bits depend on the other rows of a batch.
        predicted = np.round(np.asarray(self.model.predict(self._features(tokens)), dtype=np.float64).reshape(-1), 9)
        return self._mean + self._scale * predicted


def _regressor(model: Any, where: str) -> tuple[Any, str]:
    """An unfitted regressor and its name."""
    linear_model, ensemble, *_ = _sklearn()
    if model == "ridge":
        return linear_model.RidgeCV(np.logspace(-3, 3, 13)), model
    if model == "forest":
        return ensemble.RandomForestRegressor(100, random_state=0), model
    made = model()
    if not hasattr(made, "fit") or not hasattr(made, "predict"):
        raise TypeError(f"{where}: missing must make a regressor with fit and predict, got {type(made).__name__}")
    return made, type(made).__name__


def _sklearn() -> tuple[Any, ...]:
    """The modules of scikit-learn. Raises ImportError if it is not installed."""
    try:
        from sklearn import base, ensemble, linear_model, model_selection
    except ImportError:
        raise ImportError("models of missing values need scikit-learn: pip install 'gfn-envs[acquire]'") from None
    return linear_model, ensemble, model_selection, base
