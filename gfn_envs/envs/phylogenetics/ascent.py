"""Maxima of many independent functions: batched quasi-Newton ascent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: Largest change of a coordinate per iteration, and maximum numbers of iterations and of halvings of a step.
MAX_CHANGE, ITERATIONS, HALVINGS = 2.0, 200, 30


class Point(NamedTuple):
    """Values (b,), gradients (b, d) and second derivatives by each coordinate (b, d) of the functions."""

    value: FloatArray
    gradient: FloatArray
    curvature: FloatArray

    def put(self, rows: IntArray, other: Point) -> None:
        for mine, new in zip(self, other, strict=True):
            mine[rows] = new


def maximize(
    function: Callable[[IntArray, FloatArray], Point], start: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    """Local maxima by the BFGS method from the diagonal Hessian, with step halving (Nocedal and Wright 2006, 6.1).

    The result of a row does not depend on the others.

    Args:
        function: ``function(rows, x)`` gives the functions of these rows (r,) at points x (r, d).
        start: first points (b, d).
        tolerance: a row is done when a Newton step would raise its value by less, to second order.

    Returns:
        ``(x, gain)``: the maxima (b, d), and the gain of a further Newton step (b,).
    """
    x, rows = start.copy(), np.arange(len(start))
    at = function(rows, x)
    inverse = np.zeros((*x.shape, x.shape[1]))  # of the negative Hessian
    diagonal = np.arange(x.shape[1])
    inverse[:, diagonal, diagonal] = 1 / np.maximum(np.abs(at.curvature), 1e-2)
    gain = np.full(len(x), np.inf)
    for _ in range(ITERATIONS):
        direction = (inverse[rows] @ at.gradient[rows, :, None])[:, :, 0]
        gain[rows] = (direction * at.gradient[rows]).sum(1) / 2
        left = gain[rows] >= tolerance
        rows, direction = rows[left], direction[left]
        if not len(rows):
            break
        size = np.abs(direction).max(1, keepdims=True)
        step = direction * np.minimum(1, MAX_CHANGE / size)
        before_x, before = x[rows], at.gradient[rows]
        _line_search(function, rows, x, at, step)
        _update(inverse, rows, x[rows] - before_x, before - at.gradient[rows])
    return x, gain


def _line_search(
    function: Callable[[IntArray, FloatArray], Point], rows: IntArray, x: FloatArray, at: Point, step: FloatArray
) -> None:
    """Move the points of ``rows`` along their steps, halved until the value rises enough."""
    start, slope = x[rows], (step * at.gradient[rows]).sum(1)
    waiting, scale = np.arange(len(rows)), 1.0
    for _ in range(HALVINGS):
        tried = start[waiting] + scale * step[waiting]
        there = function(rows[waiting], tried)
        good = there.value >= at.value[rows[waiting]] + 1e-4 * scale * slope[waiting]
        x[rows[waiting[good]]] = tried[good]
        at.put(rows[waiting[good]], Point(*(each[good] for each in there)))
        waiting, scale = waiting[~good], scale / 2
        if not len(waiting):
            return


def _update(inverse: FloatArray, rows: IntArray, moved: FloatArray, fell: FloatArray) -> None:
    """The BFGS update of the inverse Hessians: the gradients fell by ``fell`` (r, d) over the steps ``moved``."""
    product = (moved * fell).sum(1)
    good = product > 1e-12
    rows, moved, fell, product = rows[good], moved[good], fell[good], product[good]
    seen = (inverse[rows] @ fell[:, :, None])[:, :, 0]
    ratio = (1 + (fell * seen).sum(1) / product) / product
    cross = moved[:, :, None] * seen[:, None] / product[:, None, None]
    outer = moved[:, :, None] * moved[:, None] * ratio[:, None, None]
    inverse[rows] += outer - cross - cross.transpose(0, 2, 1)
