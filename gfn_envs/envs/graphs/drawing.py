"""Pictures of graphs: vertices on a circle, edges as straight lines."""

from __future__ import annotations

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray


def node_link(adjacent: BoolArray, colors: rendering.Image, finished: bool, size: int = 256) -> rendering.Image:
    """A graph as an RGB image, uint8 (size, size, 3).

    Args:
        adjacent: adjacency matrix, bool (n, n).
        colors: color of each vertex, uint8 (n, 3).
        finished: draws a red frame.
        size: width and height in pixels.
    """
    n = len(colors)
    image = np.full((size, size, 3), 255, dtype=np.uint8)
    angle = 2 * np.pi * np.arange(n) / max(n, 1)
    places = size / 2 + 0.42 * size * np.stack([-np.cos(angle), np.sin(angle)], axis=1)  # the first one on top
    radius = max(2.0, min(size / 20, size / max(n, 1)))
    u, v = np.nonzero(np.triu(adjacent))
    along = np.linspace(0, 1, size)[:, None, None]
    rows, columns = ((1 - along) * places[u] + along * places[v]).reshape(-1, 2).astype(int).T
    image[rows, columns] = 120
    offset = np.mgrid[-int(radius) : int(radius) + 1, -int(radius) : int(radius) + 1].reshape(2, -1)
    disc = offset[:, (offset**2).sum(0) <= radius**2]
    spots = places.astype(int)[:, :, None] + disc
    image[spots[:, 0], spots[:, 1]] = colors[:, None]
    if finished:
        for edge in (np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:]):
            image[edge] = rendering.RED
    return image
