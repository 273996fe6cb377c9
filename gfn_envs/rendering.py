"""Small RGB images as uint8 arrays (H, W, 3), drawn with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

# Anchors of a perceptually uniform color map from dark to bright (viridis).
_ANCHORS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], dtype=np.float64)

WHITE, BLACK, GREY, RED, BLUE = (
    np.array(color, dtype=np.uint8)
    for color in ([255, 255, 255], [30, 30, 30], [200, 200, 200], [214, 39, 40], [31, 119, 180])
)


def colormap(values: npt.ArrayLike) -> Image:
    """Colors of ``values`` (...) in [0, 1], uint8 (..., 3). Values outside are clipped."""
    position = np.clip(np.asarray(values, dtype=np.float64), 0, 1) * (len(_ANCHORS) - 1)
    lower = np.minimum(position.astype(int), len(_ANCHORS) - 2)
    weight = (position - lower)[..., None]
    return ((1 - weight) * _ANCHORS[lower] + weight * _ANCHORS[lower + 1]).astype(np.uint8)


def tiles(colors: Image, tile: int, gap: int = 1) -> Image:
    """A grid of square tiles with white gaps: colors (rows, columns, 3) give (rows * tile, columns * tile, 3)."""
    image = np.repeat(np.repeat(colors, tile, axis=0), tile, axis=1)
    for axis, count in enumerate(colors.shape[:2]):
        edges = (np.arange(count)[:, None] * tile + np.arange(gap)).ravel()
        image[tuple([slice(None)] * axis + [edges])] = WHITE
    return image


def wrapped_tiles(colors: Image, columns: int | None = None, tile: int = 24) -> Image:
    """Colors (m, 3) as tiles, row by row; None: in about as many columns as rows. Tiles that are left are white."""
    columns = columns or int(np.ceil(np.sqrt(len(colors))))
    rows = -(-len(colors) // columns)
    padded = np.pad(colors, ((0, rows * columns - len(colors)), (0, 0)), constant_values=255)
    return tiles(padded.reshape(rows, columns, 3), tile)


def bars(heights: npt.ArrayLike, top: float, color: npt.NDArray[Any], tile: int = 24, height: int = 160) -> Image:
    """A bar chart (height, m * tile, 3) of ``heights`` (m,) on a scale from 0 to ``top``."""
    heights = np.asarray(heights, dtype=np.float64)
    image = np.full((height, len(heights) * tile, 3), 255, dtype=np.uint8)
    for i, bar in enumerate(np.round(heights / top * (height - 4)).astype(int)):
        image[height - 2 - bar : height - 2, i * tile + 3 : (i + 1) * tile - 3] = color
    image[height - 2 :] = BLACK
    return image


def feature_tiles(features: npt.ArrayLike, low: float, high: float, tile: int = 16, columns: int = 16) -> Image:
    """Features (m,) as tiles, row by row, colored from ``low`` to ``high``, which may be infinite."""
    values = np.asarray(features, dtype=np.float64)
    bounded = np.isfinite(low) and np.isfinite(high) and high > low
    scaled = (values - low) / (high - low) if bounded else 0.5 + np.arctan(values) / np.pi
    return wrapped_tiles(colormap(scaled), min(columns, len(values)), tile)


def mark(image: Image, row: Any, column: Any, tile: int, color: npt.NDArray[Any], inset: int | None = None) -> None:
    """Draw a smaller square inside tile (row, column) of ``image``, in place. ``inset`` is its margin in pixels."""
    inset = tile // 4 if inset is None else inset
    top, left = int(row) * tile, int(column) * tile
    image[top + inset : top + tile - inset, left + inset : left + tile - inset] = color
