"""Random numbers of rollouts: for actions, exploration and the first step at which a trajectory may stop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


def gumbel_noise(rng: np.random.Generator, steps: int, n: int, width: int, epsilon: float) -> FloatArray:
    """Gumbel noise float32 (steps, n, width).

    With probability ``epsilon``, a row explores: its noise is scaled up until the logits do not matter.
    """
    # In single precision an exponential can be exactly 0.
    gumbel = rng.standard_exponential((steps, n, width), dtype=np.float32)
    np.negative(np.log(np.maximum(gumbel, np.float32(1e-30), out=gumbel), out=gumbel), out=gumbel)
    if epsilon > 0:
        gumbel[rng.random((steps, n), dtype=np.float32) < epsilon] *= np.float32(1e20)
    return gumbel


def noise_of_steps(rng: np.random.Generator, n: int, width: int, epsilon: float) -> Iterator[FloatArray]:
    """The noise (n, width) of one step after another, drawn for several steps together.

    If ``rng`` gives a part of a batch's numbers, as many steps are drawn together as for the whole batch
    (:mod:`agents.distributed.engine`).
    """
    steps = max(1, 2048 // (getattr(rng, "batch", n) * width))
    while True:
        yield from gumbel_noise(rng, steps, n, width, epsilon)


def uniform_of_steps(rng: np.random.Generator, n: int, explores: bool) -> Iterator[FloatArray]:
    """Uniform numbers float32 (2, n) of one step after another: for the action, and for whether it explores.

    If actions never explore, the second row is the first. Several steps are drawn together, as many as for the whole
    batch if ``rng`` gives a part of its numbers.
    """
    steps = max(1, 2048 // getattr(rng, "batch", n))
    while True:
        u = rng.random((steps, n), dtype=np.float32)
        other = rng.random((steps, n), dtype=np.float32) if explores else u
        yield from np.stack([u, other], axis=1)


def first_stops(rng: np.random.Generator, n: int, delay_stop: float, max_length: int) -> IntArray:
    """The step, from 1, at which each trajectory may stop at the earliest, int64 (n,).

    With probability ``delay_stop``, it is uniform in 1 ... ``max_length``, independently for each trajectory; else it
    is 1.
    """
    if delay_stop == 0:
        return np.ones(n, np.int64)
    delayed, place = rng.random((2, n))
    return np.where(delayed < delay_stop, 1 + (max_length * place).astype(np.int64), 1)
