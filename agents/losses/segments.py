"""Sums over the trajectories of a packed batch."""

from __future__ import annotations

import torch
from torch import Tensor


def segment_ids(offsets: Tensor, total: int) -> Tensor:
    """Index of the segment ``offsets[i]:offsets[i + 1]`` of each of ``total`` entries, (total,)."""
    n = len(offsets) - 1
    return torch.repeat_interleave(torch.arange(n, device=offsets.device), offsets.diff(), output_size=total)


def segment_sum(values: Tensor, offsets: Tensor) -> Tensor:
    """Sum of ``values`` (e,) within each segment ``offsets[i]:offsets[i + 1]``, (n,)."""
    return torch.segment_reduce(values, "sum", offsets=offsets)


def segment_logsumexp(values: Tensor, segment: Tensor, n: int) -> Tensor:
    """log sum exp of ``values`` (k,) within each of ``n`` segments, (n,). Every segment must have an entry."""
    top = torch.full((n,), -torch.inf, dtype=values.dtype, device=values.device)
    top = top.scatter_reduce(0, segment, values.detach(), "amax")
    return top + torch.zeros_like(top).index_add(0, segment, (values - top[segment]).exp()).log()
