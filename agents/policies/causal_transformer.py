"""Causal transformer over tokens that are appended one by one, with cached keys and values of prefixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from agents.memory import MOST_CACHED
from agents.policies.attention import AttentionLayer
from agents.policies.prefixes import find_prefixes, sizes
from agents.policies.token_cache import CompiledTokenCache, TokenCache, token_cache
from gfn_envs.arrays import IntArray, row_keys

#: Groups of rows by their size in a batch whose gradient is needed, and the smallest number of rows of a group.
GROUPS, GROUP_ROWS = 8, 16


class CausalTransformer(nn.Module):
    """Attention from each token to itself and earlier ones, and a linear map from the last token to the outputs.

    Actions append tokens and never change them, so the states of a trajectory are prefixes of its last state. The
    embedding of a token depends only on the tokens up to it. A batch is therefore evaluated on the states that are
    prefixes of no other state. A step of a rollout evaluates the new tokens, and takes the keys and values of the
    others from the previous step.

    Args:
        num_tokens: size of the vocabulary. Token ``num_tokens - 1`` is an empty position; it also begins each sequence.
        order: positions of the tokens of a state in the order in which actions fill them (num_positions,).
        outputs: width of the output.
        width: embedding size, a multiple of ``heads``.
        layers: attention layers.
        heads: attention heads.
    """

    def __init__(self, num_tokens: int, order: IntArray, outputs: int, width: int, layers: int, heads: int):
        super().__init__()
        self.empty, self.order = num_tokens - 1, np.asarray(order)
        self.embedding = nn.Embedding(num_tokens, width)
        self.position = nn.Parameter(torch.randn(len(order) + 1, width) * 0.02)
        self.layers = nn.ModuleList(AttentionLayer(width, heads, 4 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, outputs)

    @property
    def last_bias(self) -> Tensor:
        """The bias of the outputs."""
        return self.out.bias

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        if f"{prefix}encoder.norm.weight" in state_dict:
            raise ValueError(
                "these weights are of a transformer that is not causal; actions of this environment append tokens, so "
                "its transformers are causal now: retrain, or load the weights with the version that saved them"
            )
        super()._load_from_state_dict(state_dict, prefix, *others)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens, int64 (n, num_positions) -> (n, outputs)."""
        longest, row, size = find_prefixes(self.in_order(tokens), self.empty)
        first, total = requested(row, size, len(longest))
        start, parts, count = np.zeros(len(longest), np.int64), [], 0
        for group in groups_by_size(total):
            x, attended, _ = self.through(longest[group, : total[group].max(initial=0)], first[group], total[group])
            start[group] = count + x.shape[1] * np.arange(len(group))
            parts.append((x.flatten(0, 1), attended.flatten(0, 1)))
            count += len(parts[-1][0])
        x, attended = (torch.cat(part) for part in zip(*parts, strict=True))
        return self.out(self.finish(x, attended, start.take(row) + size))

    @property
    def attention_layers(self) -> list[AttentionLayer]:
        """The layers, typed."""
        return cast(list[AttentionLayer], list(self.layers))

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """Outputs ``first:last`` only, as a function that keeps the keys and values of the states of its last call."""
        return Rollout(self, first, last)

    def in_order(self, tokens: Tensor) -> IntArray:
        """The tokens in the order in which they were appended, a NumPy array (n, num_positions)."""
        return tokens.cpu().numpy().take(self.order, axis=1)

    def evaluate(self, rows: IntArray) -> tuple[Tensor, IntArray, list[Tensor]]:
        """Embeddings of rows of tokens in order.

        Returns:
            ``(embedded, longest, past)``: the embedding of the last token of each row (n, width), the rows that are
            prefixes of no other row, and the keys and values of their tokens in each layer, as
            :meth:`AttentionLayer.append` takes them.
        """
        longest, row, size = find_prefixes(rows, self.empty)
        x, attended, past = self.through(longest[:, : int(size.max(initial=0))], *requested(row, size, len(longest)))
        place = row * x.shape[1] + size
        return self.finish(x.flatten(0, 1), attended.flatten(0, 1), place), longest, past

    def through(self, rows: IntArray, first: IntArray, last: IntArray) -> tuple[Tensor, Tensor, list[Tensor]]:
        """All layers but the end of the last, for the start and the tokens of each row (n, k).

        Args:
            rows: tokens.
            first, last: the tokens of each row whose embedding is requested (n,); 0 is the start.

        Returns:
            ``(x, attended, past)``: what :meth:`AttentionLayer.finish` of the last layer takes, both
            (n, k + 1, width), and the keys and values in each layer.
        """
        start = np.full((len(rows), 1), self.empty)
        tokens = torch.from_numpy(np.concatenate([start, rows], axis=1)).to(self.position.device)
        x, past = self.embedding(tokens) + self.position[: tokens.shape[1]], []
        for layer in self.attention_layers[:-1]:
            attended, known = layer.causal(x, np.zeros_like(first), last)
            x = layer.finish(x, attended)
            past.append(known)
        attended, known = self.attention_layers[-1].causal(x, first, last)
        return x, attended, [*past, known]

    def finish(self, x: Tensor, attended: Tensor, place: IntArray) -> Tensor:
        """Embeddings of some tokens (m, width): the end of the last layer, which no other token needs.

        Args:
            x, attended: input and attention of the last layer (tokens, width).
            place: the tokens (m,).
        """
        index = torch.from_numpy(place).to(x.device)
        return self.norm(self.attention_layers[-1].finish(x.index_select(0, index), attended.index_select(0, index)))


def requested(row: IntArray, size: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """The smallest and the largest of the sizes that are requested in each of n rows; both (n,)."""
    first, last = np.full(n, np.iinfo(np.int64).max), np.zeros(n, np.int64)
    np.minimum.at(first, row, size)
    np.maximum.at(last, row, size)
    return first, last


def groups_by_size(size: IntArray) -> list[IntArray]:
    """Indices of rows in groups of similar size, because all rows of a group are as long as its longest one.

    At most :data:`GROUPS` groups of at least :data:`GROUP_ROWS` rows; one if all rows have the same size.
    """
    number = min(GROUPS, len(size) // GROUP_ROWS) if (size != size[:1]).any() else 1
    return np.array_split(size.argsort(kind="stable"), max(1, number))


class Rollout:
    """Outputs ``first:last`` of a causal transformer, for one state after another of the same trajectories.

    If each row has one token more than a row of the last call, only these tokens are evaluated; otherwise all tokens
    are. The result equals that of a fresh rollout up to rounding. New weights need a new rollout.

    Args:
        network: the network.
        first, last: the outputs.
    """

    def __init__(self, network: CausalTransformer, first: int, last: int):
        self.network, self.first, self.last = network, first, last
        self.known: IntArray | None = None
        self.cache: TokenCache | CompiledTokenCache | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        network = self.network
        rows = network.in_order(tokens)
        size = sizes(rows, network.empty)
        parents = self._parents(rows, size)
        if parents is None:
            embedded, self.known, past = network.evaluate(rows)
            self.cache = token_cache(network.attention_layers, past, len(network.order) + 1)
        else:
            assert self.cache is not None
            last = int(size[0]) - 1
            x = network.embedding(torch.from_numpy(rows[:, last]).to(network.position.device))
            x = self.cache.append(x + network.position[last + 1], last + 1, parents)
            embedded, self.known = network.norm(x), rows
        if self.cache.entries > MOST_CACHED:
            self.known = self.cache = None
        return torch.addmm(
            network.out.bias[self.first : self.last], embedded, network.out.weight[self.first : self.last].t()
        )

    def _parents(self, rows: IntArray, size: IntArray) -> IntArray | None:
        """The row of the last call that each row extends by one token (n,); None if a row has no such predecessor."""
        if self.known is None or not len(rows) or not len(self.known):
            return None
        if (size != size[0]).any():
            return None
        parents = rows.copy()
        parents[:, size[0] - 1] = self.network.empty
        if np.array_equal(parents, self.known):
            return np.arange(len(rows))
        keys, known = row_keys(parents), row_keys(self.known)
        order = known.argsort(kind="stable")
        at = order.take(np.searchsorted(known, keys, sorter=order), mode="clip")
        return at if (known.take(at) == keys).all() else None
