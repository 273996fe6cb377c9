"""Scaled dot-product attention for short sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: Keys and values of one attention layer, each (n, heads, tokens, width per head).
KeysAndValues = tuple[Tensor, Tensor]


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


class AttentionLayer(nn.Module):
    """A pre-norm transformer layer without dropout: a policy must be the same function in rollouts and in the loss.

    Args:
        width: embedding size.
        heads: attention heads.
        hidden: width of the hidden layer after the attention.
    """

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(
        self, x: Tensor, bias: Tensor | None, past: KeysAndValues | None = None
    ) -> tuple[Tensor, KeysAndValues]:
        """x (n, k, width), and the bias of :func:`attend` -> (n, k, width), and the keys and values.

        ``past`` holds keys and values of earlier tokens, which come first.
        """
        n, k, width = x.shape
        query, key, value = (
            self.project(self.before(x)).view(n, k, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        )
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        x = x + self.merge(attend(query, key, value, bias).transpose(1, 2).reshape(n, k, width))
        return x + self.narrow(self.widen(self.between(x)).relu()), (key, value)
