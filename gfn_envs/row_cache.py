"""A cache of expensive scores, one per distinct row."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray

#: Maximum memory of the rows that a cache keeps, in bytes. Each row takes about ``ENTRY_BYTES`` in addition.
MAX_BYTES, ENTRY_BYTES = 2**28, 200


class RowCache:
    """A function of rows that is evaluated once per distinct row.

    The function must return the same value for a row, to the bit, whatever else is in the batch. Otherwise results
    would depend on earlier calls. Copies and pickles start with an empty cache.

    Args:
        function: maps rows (n, width) to float64 values (n,).
        dtype: dtype to which rows are converted first.
        max_rows: number of values kept between calls, fewer if the rows take more than ``MAX_BYTES``. The oldest are
            dropped first.
    """

    def __init__(
        self, function: Callable[[IntArray], FloatArray], dtype: npt.DTypeLike = np.int64, max_rows: int = 200_000
    ):
        self.function, self.dtype, self.max_rows = function, np.dtype(dtype), max_rows
        self._known: dict[bytes, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}

    def __call__(self, rows: IntArray) -> FloatArray:
        """Values of ``rows`` (n, width), float64 (n,). The function is called at most once, on the unknown rows."""
        rows = np.ascontiguousarray(rows, dtype=self.dtype)
        if not rows.size:
            return np.asarray(self.function(rows), dtype=np.float64)
        data, size = rows.tobytes(), rows.shape[1] * self.dtype.itemsize
        keys = [data[start : start + size] for start in range(0, len(data), size)]
        known = self._known
        # The last position of each unknown row: one of its duplicates is enough.
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            values = self.function(rows[list(new.values())])
            known.update(zip(new, values.tolist(), strict=True))
        result = np.array([known[key] for key in keys], dtype=np.float64)
        cap = min(self.max_rows, MAX_BYTES // (size + ENTRY_BYTES))
        for key in list(itertools.islice(known, max(0, len(known) - cap))):
            del known[key]
        return result
