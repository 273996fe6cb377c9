"""Measured: values of some strings; the others have a stated value, or that of a model fitted to the measured ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.envs.strings import fitted
from gfn_envs.envs.strings.strands import canonical
from gfn_envs.row_cache import RowCache
from gfn_envs.validation import real, shown

logger = logging.getLogger(__name__)

#: Value of strings that are not in the table: "raise", a number, the name of a model, or a function that makes a
#: regressor.
Missing = float | str | Callable[[], Any]
Names = Callable[[IntArray], list[str]]


def checked_missing(missing: Any, where: str) -> Missing:
    """``missing``. Raises ValueError or TypeError if it is not one of the forms of :data:`Missing`."""
    if callable(missing) or (isinstance(missing, str) and missing in ("raise", *fitted.MODELS)):
        return missing
    if isinstance(missing, str):
        names = ", ".join(map(repr, ("raise", *fitted.MODELS)))
        allowed = f"a number, {names}, or a function that makes a regressor"
        raise ValueError(f"{where}: missing must be {allowed}, got {shown(missing)}")
    return real("missing", missing, where)


def one_strand(
    tokens: IntArray, values: FloatArray, complement: IntArray, names: Names, where: str
) -> tuple[IntArray, FloatArray]:
    """Canonical strings (m, length) and their values (m,), each once.

    Raises:
        ValueError: a string and its reverse complement have different values.
    """
    tokens = canonical(tokens, complement)
    _, first, inverse = np.unique(row_keys(tokens), return_index=True, return_inverse=True)
    unequal = values != values[first][inverse]
    if unequal.any():
        bad = int(np.argmax(unequal))
        pair = sorted((float(values[first][inverse[bad]]), float(values[bad])))
        name = names(tokens[[bad]])[0]
        raise ValueError(f"{where}: {name!r} and its reverse complement have two values, {pair[0]} and {pair[1]}")
    return tokens[first], values[first]


class Measured:
    """Values of strings, float64 (n,), from tokens (n, length).

    Args:
        tokens: the measured strings, each once, int (m, length).
        values: their values, finite, float64 (m,).
        missing: value of other strings.
        num_letters: of the alphabet; an empty position has this token.
        names: names of tokens, for messages.
        where: start of messages.

    Raises:
        ValueError: a string is repeated, a value is not finite, or there are too few for the model.
        ImportError: the model needs scikit-learn, which is not installed.

    Attributes:
        cross_validation: quality of the model on held-out strings; None without a model.
    """

    def __init__(
        self,
        tokens: IntArray,
        values: FloatArray,
        missing: Missing,
        num_letters: int,
        names: Names,
        where: str,
    ):
        self.names, self.where = names, where
        self._dtype: npt.DTypeLike = np.int64
        keys, first, times = np.unique(row_keys(self._rows(tokens)), return_index=True, return_counts=True)
        if (times > 1).any():
            name = names(tokens[first[[np.argmax(times)]]])[0]
            raise ValueError(f"{where}: the table has {name!r} {times.max()} times")
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            name = names(tokens[[bad]])[0]
            raise ValueError(f"{where}: the value of {name!r} in the table is {values[bad]}; allowed: finite numbers")
        self._keys, self._values = keys, values[first]
        self.otherwise = missing if isinstance(missing, int | float) else math.nan
        self.cross_validation: fitted.CrossValidation | None = None
        self._model: RowCache | None = None
        if callable(missing) or missing in fitted.MODELS:
            model = fitted.Fitted(tokens, values, missing, num_letters, where)
            self.cross_validation, self._model = model.cross_validation, RowCache(model)
            logger.warning("%s: %s", where, model.cross_validation)

    def _rows(self, tokens: IntArray) -> IntArray:
        return np.ascontiguousarray(tokens, dtype=self._dtype)

    def known(self, tokens: IntArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Position of each string among the measured ones, int64 (n,), and whether it is one of them, bool (n,)."""
        keys = row_keys(self._rows(tokens))
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return place, self._keys[place] == keys

    def __call__(self, tokens: IntArray) -> FloatArray:
        place, known = self.known(tokens)
        values = np.where(known, self._values[place], self.otherwise)
        if self._model is not None and not known.all():
            values[~known] = self._model(tokens[~known])
        elif math.isnan(self.otherwise) and not known.all():
            bad = self.names(tokens[[np.argmin(known)]])[0]
            raise ValueError(f"{self.where}: the table has no value for {bad!r}; give missing")
        return values
