"""Scaled dot-product attention for short sequences."""

from __future__ import annotations

import math

from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(query key' / sqrt(d) + bias) value, (n, heads, q, d).

    The softmax is written out: on the CPU, torch's own is ten times slower over rows of a few numbers, and so is its
    fused attention.

    Args:
        query: (n, heads, q, d).
        key, value: (n, heads, k, d).
        bias: broadcasts to (n, heads, q, k); -inf hides a key. Each query must see some key.
    """
    scores = query @ key.transpose(2, 3) / math.sqrt(key.shape[3])
    if bias is not None:
        scores = scores + bias
    # The largest score, which keeps exp finite, does not change the result, and so has no gradient.
    weights = (scores - scores.detach().amax(3, keepdim=True)).exp()
    return (weights @ value) / weights.sum(3, keepdim=True)
