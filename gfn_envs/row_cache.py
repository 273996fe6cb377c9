"""Scores that cost something, computed once for each different row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


class Memo:
    """A function of rows that remembers its values: duplicates in a batch, and rows seen before, cost a look-up.

    The function must give a row the same value, to the bit, whatever the batch it is in. Otherwise the values would
    depend on what was asked before.

    Args:
        function: from rows, integers 0..255 (n, width), to float64 values (n,).
        max_rows: values remembered; where there would be more, all are forgotten.
    """

    def __init__(self, function: Callable[[IntArray], FloatArray], max_rows: int = 100_000):
        self.function, self.max_rows = function, max_rows
        self._known: dict[bytes, float] = {}

    def __call__(self, rows: IntArray) -> FloatArray:
        rows = np.ascontiguousarray(rows, dtype=np.uint8)
        if not rows.size:
            return np.asarray(self.function(rows), dtype=np.float64)
        data, width = rows.tobytes(), rows.shape[1]
        keys = [data[start : start + width] for start in range(0, len(data), width)]
        # The last position of each unknown row: one of its duplicates is enough.
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            if len(self._known) + len(new) > self.max_rows:
                self._known = {}
                new = {key: i for i, key in enumerate(keys)}
            values = self.function(rows[list(new.values())])
            self._known.update(zip(new, values.tolist(), strict=True))
        known = self._known
        return np.array([known[key] for key in keys], dtype=np.float64)
