"""Scaled dot-product attention for short sequences."""

from __future__ import annotations

import math

from torch import Tensor, nn

#: Fused attention is faster than :func:`attend` from this number of tokens on.
FUSED = 16


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


def attend_to_earlier(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """:func:`attend` of each token to itself and the tokens before it; query, key and value are (n, heads, k, d)."""
    tokens = key.shape[2]
    if tokens >= FUSED:
        return nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    return attend(query, key, value, key.new_full((tokens, tokens), -math.inf).triu_(1))


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

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x (n, k, width), and the bias of :func:`attend` -> (n, k, width)."""
        query, key, value = self.projections(x)
        return self.finish(x, attend(query, key, value, bias))

    def causal(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`forward` where each token attends to itself and earlier ones.

        Returns:
            The output (n, k, width), and keys and values (2, n, heads, width per head, k) for :meth:`append`.
        """
        projected = self.projections(x)
        return self.finish(x, attend_to_earlier(*projected)), projected[1:].transpose(3, 4)

    def append(self, x: Tensor, past: Tensor) -> Tensor:
        """:meth:`causal` at the last tokens x (n, width) alone, without gradients.

        ``past`` (2, n, heads, width per head, k) holds the keys and values of the k - 1 tokens before each. Those of
        the last ones are written into it. Products are written out, because matrix products of one row are slower.
        """
        n, width = x.shape
        query, *new = self.project(self.before(x)).view(n, 3, self.heads, width // self.heads).unbind(1)
        for kept, last in zip(past, new, strict=True):
            kept[..., -1] = last
        keys, values = past
        scores = ((query / math.sqrt(query.shape[2])).unsqueeze(3) * keys).sum(2)
        weights = (scores - scores.amax(2, keepdim=True)).exp_()
        weights /= weights.sum(2, keepdim=True)
        return self.finish(x, (weights.unsqueeze(2) * values).sum(3).unsqueeze(2))

    def projections(self, x: Tensor) -> Tensor:
        """Queries, keys and values of x (n, k, width), (3, n, heads, k, width per head)."""
        n, k, width = x.shape
        return self.project(self.before(x)).view(n, k, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, after the attention (n, heads, k, width per head)."""
        x = x + self.merge(attended.transpose(1, 2).reshape(x.shape))
        return x + self.narrow(self.widen(self.between(x)).relu())
