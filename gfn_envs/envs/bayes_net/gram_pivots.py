"""Determinants of submatrices of a Gram matrix, to a given error: in extended precision, else in exact arithmetic."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray

Extended = npt.NDArray[np.longdouble]
#: 1e-19 on x86, that of double precision elsewhere.
EPSILON = float(np.finfo(np.longdouble).eps)
LOG_2 = np.log(np.longdouble(2))


class GramPivots:
    """Elimination in submatrices of G = X'X + ridge I, or of the posterior scale matrix of a Gaussian.

    The determinant of a Gram matrix loses twice the digits by which its columns are dependent, and more if they are far
    from 0. Columns are therefore centered and scaled, their mean enters by one more row of the elimination (which adds
    to pivots and never cancels), and families whose error could exceed the given one are computed with fractions.

    Args:
        data: X, finite, float64 (N, d).
        ridge: >= 0.
        shrunken_mean: None for X'X. With a >= 0 the matrix is that of ``BGe``: the scatter about the mean m, plus
            N a / (N + a) m m'.
    """

    def __init__(self, data: FloatArray, ridge: float, shrunken_mean: float | None = None):
        n, d = data.shape
        self._entries: dict[tuple[int, int], Fraction] = {}
        self.data, self.ridge, self.shrunken_mean = data, ridge, shrunken_mean
        self._has_border = bool(shrunken_mean)
        # Powers of two scale without rounding.
        self._exponents = np.frexp(np.abs(data).max(0))[1].astype(np.int64)
        columns = np.ldexp(data, -self._exponents).astype(np.longdouble)
        mean = np.zeros(d, dtype=np.longdouble)
        if shrunken_mean is not None:
            mean = columns.mean(0)
            columns = columns - mean
            shift = columns.mean(0)
            columns, mean = columns - shift, mean + shift
        spread = columns.T @ columns + np.diag(np.ldexp(np.longdouble(ridge), -2 * self._exponents))
        scale = np.sqrt(np.diag(spread))
        self._log_scale = 2 * (np.log(scale) + self._exponents * LOG_2)
        self._matrix = spread / scale / scale[:, None]
        if shrunken_mean:
            # Eliminating the row (m, -1 / w) adds w m m' to the rest.
            weight = np.longdouble(n) * shrunken_mean / (n + np.longdouble(shrunken_mean))
            border = np.append(mean / scale, -1 / weight)
            self._matrix = np.block([[self._matrix, border[:-1, None]], [border[None]]])
            self._log_weight = np.log(weight)

    def __call__(self, nodes: IntArray, columns: IntArray, max_error: float) -> tuple[Extended, Extended]:
        """log |G of the columns| and log of (|G of columns and node| / |G of the columns|), longdouble (m,) each.

        Args:
            nodes: the node of each family (m,).
            columns: its other columns (m, p).
            max_error: bound of the error of either logarithm.
        """
        m, p = columns.shape
        order = [columns, nodes[:, None]]
        if self._has_border:
            order.insert(1, np.full((m, 1), len(self._exponents)))
        index = np.concatenate(order, axis=1)
        pivots, smallest = _pivots(self._matrix[index[:, :, None], index[:, None, :]], p)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.abs(pivots))
        log_det = logs[:, :-1].sum(1) + self._log_scale[columns].sum(1)
        if self._has_border:
            log_det += self._log_weight
        log_pivot = logs[:, -1] + self._log_scale[nodes]
        # The diagonal is 1, so rounding errors of entries are absolute, and a pivot's relative error is theirs over the
        # smallest pivot. Entries are sums over rows.
        error = EPSILON * (4 * (p + 1) ** 2 + math.sqrt(len(self.data)))
        for i in np.flatnonzero(~(error < max_error * smallest)):
            log_det[i], log_pivot[i] = self._exact([*columns[i].tolist(), int(nodes[i])])
        return log_det, log_pivot

    # ------------------------------------------------------------------ exact arithmetic

    @functools.cached_property
    def _integers(self) -> tuple[npt.NDArray[Any], list[int]]:
        """Columns as integers and their exponents: X = integers * 2^exponents."""
        mantissa, exponent = np.frexp(self.data)
        exponent = np.where(self.data == 0, exponent.max(0), exponent).astype(np.int64)
        lowest = exponent.min(0)
        whole = np.ldexp(mantissa, 53).astype(np.int64).astype(object)
        return whole * 2 ** (exponent - lowest).astype(object), (lowest - 53).tolist()

    def _entry(self, i: int, j: int) -> Fraction:
        i, j = min(i, j), max(i, j)
        if (i, j) not in self._entries:
            self._entries[i, j] = self._exact_entry(i, j)
        return self._entries[i, j]

    def _exact_entry(self, i: int, j: int) -> Fraction:
        integers, exponents = self._integers
        x, y = integers[:, i], integers[:, j]
        total = Fraction(int(x @ y))
        if self.shrunken_mean is not None:
            total -= Fraction(int(x.sum()) * int(y.sum())) / (len(x) + Fraction(self.shrunken_mean))
        return total * Fraction(2) ** (exponents[i] + exponents[j]) + (Fraction(self.ridge) if i == j else 0)

    def _exact(self, family: list[int]) -> tuple[np.longdouble, np.longdouble]:
        rows = [[self._entry(i, j) for j in family] for i in family]
        logs = []
        for k, row in enumerate(rows):
            logs.append(_log(row[k]))
            for lower in rows[k + 1 :]:
                factor = lower[k] / row[k]
                lower[k:] = [a - factor * b for a, b in zip(lower[k:], row[k:], strict=True)]
        return sum(logs[:-1], np.longdouble(0)), logs[-1]


def _pivots(matrix: Extended, num_columns: int) -> tuple[Extended, Extended]:
    """Pivots (m, k) of symmetric matrices (m, k, k), and the smallest one that is not the mean's, (m,)."""
    m, k, _ = matrix.shape
    pivots, smallest = np.empty((m, k), dtype=np.longdouble), np.ones(m, dtype=np.longdouble)
    for i in range(k):
        pivots[:, i] = matrix[:, i, i]
        if i < num_columns or i == k - 1:
            smallest = np.minimum(smallest, pivots[:, i])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            factors = matrix[:, i + 1 :, i] / pivots[:, i, None]
        matrix[:, i + 1 :, i + 1 :] -= factors[:, :, None] * matrix[:, None, i, i + 1 :]
    return pivots, smallest


def _log(value: Fraction) -> np.longdouble:
    """log of a positive fraction of any size."""
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return np.log(np.longdouble(float(value / Fraction(2) ** shift))) + shift * LOG_2
