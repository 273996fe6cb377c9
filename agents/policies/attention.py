"""Scaled dot-product attention for short sequences."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gfn_envs.arrays import IntArray

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


@functools.cache
def kernels() -> Any:
    """:mod:`agents.policies.compiled_attention`; None where Numba is not installed or has no directory for its code."""
    try:
        from agents.policies import compiled_attention  # Numba is optional, and takes a second to import.
    except (ImportError, RuntimeError):
        return None
    return compiled_attention


def can_compile(x: Tensor) -> bool:
    """Whether the compiled functions take a tensor."""
    return x.is_cpu and x.dtype == torch.float32 and kernels() is not None


class CompiledAttention(torch.autograd.Function):
    """:func:`attend_to_earlier` of queries, keys and values next to each other (n, k, 3 * width) -> (n, k, width).

    Compiled by Numba. With heads of 8 numbers, it takes a third to two thirds of the time of torch. Tokens before
    ``first`` and after ``last`` of each row (n,) are left out: their attention is 0.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, heads: int, first: IntArray, last: IntArray) -> Tensor:
        """The attention of each token."""
        ctx.given = heads, first, last
        out, ctx.log_sums = kernels().causal(projected.detach().numpy(), *ctx.given)
        found = torch.from_numpy(out)
        ctx.save_for_backward(projected, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of ``projected``."""
        projected, found = (x.detach().numpy() for x in ctx.saved_tensors)
        given = gradient.contiguous().numpy()
        found = kernels().causal_gradient(projected, *ctx.given, found, ctx.log_sums, given)
        return torch.from_numpy(found), None, None, None


class AttentionLayer(nn.Module):
    """A pre-norm transformer layer without dropout: a policy must be the same function in rollouts and in the loss.

    Args:
        width: embedding size.
        heads: attention heads.
        hidden: width of the hidden layer after the attention.
    """

    #: Whether second derivatives are needed, which compiled attention does not have.
    twice_differentiable = False

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x (n, k, width), and the bias of :func:`attend` -> (n, k, width)."""
        query, key, value = self.by_heads(self.project(self.before(x)))
        return self.finish(x, attend(query, key, value, bias).transpose(1, 2).flatten(2))

    def causal(self, x: Tensor, first: IntArray, last: IntArray) -> tuple[Tensor, Tensor]:
        """Attention of tokens to themselves and earlier ones, which :meth:`finish` takes.

        Args:
            x: (n, k, width).
            first, last: the tokens of each row whose attention is requested (n,). That of others is not determined.

        Returns:
            The attention (n, k, width), and keys and values (2, n, heads, width per head, k) for :meth:`append`.
        """
        projected = self.project(self.before(x))
        split = self.by_heads(projected)
        if can_compile(x) and not self.twice_differentiable:
            attended = CompiledAttention.apply(projected, self.heads, first, last)
        else:
            attended = attend_to_earlier(*split).transpose(1, 2).flatten(2)
        return attended, split[1:].transpose(3, 4)

    def append(self, x: Tensor, past: Tensor) -> Tensor:
        """:meth:`causal` and :meth:`finish` at the last tokens x (n, width) alone, without gradients.

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
        return self.finish(x, (weights.unsqueeze(2) * values).sum(3).flatten(1))

    def by_heads(self, projected: Tensor) -> Tensor:
        """Queries, keys and values next to each other (n, k, 3 * width) -> (3, n, heads, k, width per head)."""
        n, k, width = projected.shape
        return projected.view(n, k, 3, self.heads, width // (3 * self.heads)).permute(2, 0, 3, 1, 4)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of the layer, after the attention (..., width)."""
        x = x + self.merge(attended)
        return x + self.narrow(self.widen(self.between(x)).relu())
