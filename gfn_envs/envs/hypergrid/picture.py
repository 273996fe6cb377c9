"""Picture of a grid of one or two dimensions."""

from __future__ import annotations

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import FloatArray, IntArray


def heat_map(log_reward: FloatArray, side: int, visited: IntArray, cell: IntArray, stopped: bool) -> rendering.Image:
    """A heat map of log R with a path and its last cell.

    Args:
        log_reward: log R of every cell in lexicographic order, (side,) or (side^2,).
        side: number of cells along each dimension.
        visited: cells before the last, (t, ndim).
        cell: the last cell, (ndim,).
        stopped: whether the walk has stopped there.
    """
    heat = (log_reward - log_reward.min()) / (np.ptp(log_reward) or 1.0)
    # The second coordinate increases from bottom to top.
    colors = rendering.colormap(heat.reshape(side, -1).T[::-1])
    tile = max(4, 256 // side)
    image = rendering.tiles(colors, tile)
    for place in visited:
        rendering.mark(image, _row(place, side), place[0], tile, rendering.WHITE, inset=tile * 3 // 8)
    rendering.mark(image, _row(cell, side), cell[0], tile, rendering.RED if stopped else rendering.WHITE)
    return image


def _row(cell: IntArray, side: int) -> int:
    return side - 1 - int(cell[1]) if len(cell) == 2 else 0
