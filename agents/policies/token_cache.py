"""Keys and values of the tokens that a causal transformer has seen in a rollout, so that a step evaluates new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agents.policies.attention import AttentionLayer, can_compile, kernels
from gfn_envs.arrays import FloatArray, IntArray


class TokenCache:
    """Keys and values on any device, with torch.

    Args:
        layers: the layers of the network.
        past: keys and values of each layer, (2, n, heads, width per head, tokens).
        cap: tokens of the longest row, the limit of what is kept.
    """

    def __init__(self, layers: Sequence[AttentionLayer], past: list[Tensor], cap: int):
        self.layers, self.past, self.cap = layers, past, cap

    @property
    def entries(self) -> int:
        """Number of keys and values that are kept."""
        return sum(known.numel() for known in self.past)

    def append(self, x: Tensor, size: int, parents: IntArray) -> Tensor:
        """Output of the last layer (n, width) for tokens x (n, width), each of which follows ``size`` tokens: those of
        row ``parents`` of the last call. Their keys and values are kept."""
        if not np.array_equal(parents, np.arange(self.past[0].shape[1])):
            at = torch.from_numpy(parents).to(x.device)
            self.past = [known.index_select(1, at) for known in self.past]
        if (room := self.past[0].shape[4]) <= size:
            self.past = [F.pad(known, (0, min(2 * room, self.cap) - room)) for known in self.past]
        for layer, known in zip(self.layers, self.past, strict=True):
            x = layer.append(x, known[..., : size + 1])
        return x


class CompiledTokenCache:
    """Keys and values on the CPU, with a step compiled by Numba: for few rows 4 times as fast.

    Rows of trajectories that have ended stay where they are, because a copy of the others takes longer.

    Args:
        layers: the layers of the network.
        past: keys and values of each layer, (2, n, heads, width per head, tokens).
        cap: tokens of the longest row, the limit of what is kept.
    """

    def __init__(self, layers: Sequence[AttentionLayer], past: list[Tensor], cap: int):
        self.layers, self.first, self.cap = layers, past, cap
        self.past: FloatArray = np.empty(0)
        self.slots = np.arange(past[0].shape[1])
        self.weights: tuple[FloatArray, ...] = ()

    @property
    def entries(self) -> int:
        """Number of keys and values that are kept."""
        return self.past.size or sum(known.numel() for known in self.first)

    def append(self, x: Tensor, size: int, parents: IntArray) -> Tensor:
        """As :meth:`TokenCache.append`."""
        if not self.weights:
            self.past, self.weights = torch.stack(self.first).numpy(), weights_of(self.layers)
            self.first = []
        self.slots = self.slots.take(parents)
        if np.bincount(self.slots).max() > 1:  # Two rows continue the same one.
            self.past, self.slots = self.past.take(self.slots, axis=2), np.arange(len(parents))
        if (room := self.past.shape[-1]) <= size:
            more = np.empty((*self.past.shape[:-1], min(2 * room, self.cap) - room), self.past.dtype)
            self.past = np.concatenate([self.past, more], axis=-1)
        out = np.array(x.numpy())
        kernels().append(out, self.slots, size, self.past, *self.weights)
        return torch.from_numpy(out)


def token_cache(layers: Sequence[AttentionLayer], past: list[Tensor], cap: int) -> TokenCache | CompiledTokenCache:
    """The cache that is the faster one: compiled on the CPU, if Numba is installed and can store its code."""
    if can_compile(past[0]) and not torch.is_grad_enabled():
        return CompiledTokenCache(layers, past, cap)
    return TokenCache(layers, past, cap)


def weights_of(layers: Sequence[AttentionLayer]) -> tuple[FloatArray, ...]:
    """Copies of the weights as :func:`agents.policies.compiled_attention.append` takes them, from ``norms`` on."""
    pairs = ((layer.before, layer.between) for layer in layers)
    norms: list[list[Tensor]] = [[first.weight, first.bias, second.weight, second.bias] for first, second in pairs]
    maps = ([layer.project, layer.merge, layer.widen, layer.narrow] for layer in layers)
    return (
        torch.stack([torch.stack(four) for four in norms]).detach().numpy(),
        *(torch.stack([_with_bias(part) for part in same]).detach().numpy() for same in zip(*maps, strict=True)),
    )


def _with_bias(part: nn.Linear) -> Tensor:
    """Weight and bias, (in + 1, out)."""
    return torch.cat([part.weight.t(), part.bias[None]])
