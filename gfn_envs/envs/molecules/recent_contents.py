"""A cache of the codes of the trees of the last step, which their masks need again."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import row_keys
from gfn_envs.envs.molecules.canonical_trees import BlockTrees, Contents, Trees


class RecentContents:
    """``trees.contents`` with those of one batch kept. Copies and pickles start without it.

    Args:
        trees: canonical forms.
    """

    def __init__(self, trees: BlockTrees):
        self.trees = trees
        self._kept: tuple[npt.NDArray[Any], npt.NDArray[np.int64], Contents] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"trees": self.trees, "_kept": None}

    def keep(self, trees: Trees, contents: Contents) -> None:
        """Keep the contents of ``trees`` instead of those kept before."""
        keys = _keys(trees)
        order = keys.argsort(kind="stable")
        self._kept = keys.take(order), order, contents

    def __call__(self, trees: Trees) -> Contents:
        """Codes of every block of ``trees``."""
        kept = self._kept  # Another thread may replace it meanwhile.
        if kept is not None and len(kept[0]) and len(trees.kind):
            keys, order, contents = kept
            wanted = _keys(trees)
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            if np.array_equal(keys.take(place), wanted):
                row = order.take(place)
                return Contents(contents.totals.take(row, axis=2), *(each.take(row, axis=0) for each in contents[1:]))
        return self.trees.contents(trees)


def _keys(trees: Trees) -> npt.NDArray[Any]:
    """One byte string per tree (n,)."""
    kind, parent, port, entry = trees
    return row_keys(((kind << 16 | parent) << 16 | port) << 16 | entry)
