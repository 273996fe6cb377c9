"""Transformer over the tokens of a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from agents.policies.attention import attend


class Transformer(nn.Module):
    """Encoder layers over token and position embeddings, and a linear map of all positions to the outputs.

    The last layer reads each position separately, so that it can distinguish actions that name a position.

    Args:
        num_tokens: size of the vocabulary.
        num_positions: tokens in a state.
        outputs: width of the output.
        width: embedding size, a multiple of ``heads``.
        layers: encoder layers.
        heads: attention heads.
    """

    def __init__(self, num_tokens: int, num_positions: int, outputs: int, width: int, layers: int, heads: int):
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, width)
        self.position = nn.Parameter(torch.randn(num_positions, width) * 0.02)
        # No dropout: a policy must be the same function in rollouts and in the loss.
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(num_positions * width, outputs)

    @property
    def last_bias(self) -> Tensor:
        """The bias of the outputs."""
        return self.out.bias

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens, int64 (n, num_positions) -> (n, outputs)."""
        x = self.embedding(tokens) + self.position
        for layer in self.encoder.layers:
            x = _encode(cast(nn.TransformerEncoderLayer, layer), x)
        return self.out(cast(nn.LayerNorm, self.encoder.norm)(x).flatten(1))

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """Outputs ``first:last`` only."""
        return lambda tokens: self(tokens)[:, first:last]


def _encode(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """``layer(x)`` of a pre-norm layer without dropout, (n, k, width), with attention that is fast for few tokens."""
    n, k, width = x.shape
    attention, heads = layer.self_attn, layer.self_attn.num_heads
    projected = nn.functional.linear(layer.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = projected.view(n, k, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    x = x + attention.out_proj(attend(query, key, value).transpose(1, 2).reshape(n, k, width))
    return x + layer.linear2(layer.linear1(layer.norm2(x)).relu())
