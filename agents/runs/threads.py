"""Threads of torch during training: one rule for ``gfn train`` and :func:`agents.train`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

#: Matrix products of batches of up to this many trajectories are faster on one thread.
SMALL_BATCH = 256


@contextlib.contextmanager
def training_threads(batch_size: int, threads: int | None = None) -> Iterator[None]:
    """Set the number of torch's threads, and restore it at the end.

    Args:
        batch_size: trajectories per iteration.
        threads: number of threads. Default: 1 for batches of up to SMALL_BATCH, else the present number.

    Raises:
        ValueError: ``threads`` is below 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or (1 if batch_size <= SMALL_BATCH else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
