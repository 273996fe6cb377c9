"""Transformer over the tokens of a state."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


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
        return self.out(self.encoder(self.embedding(tokens) + self.position).flatten(1))

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """Outputs ``first:last`` only."""
        return lambda tokens: self(tokens)[:, first:last]
