"""Attention over the nodes of a labeled graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.policies.attention import AttentionLayer
from gfn_envs.graph_layout import GraphLayout, NodeActions, PairActions


class GraphNetwork(nn.Module):
    """Masked attention over nodes and a virtual node for the whole graph, with messages and biases along relations.

    The input of a node is the sum of embeddings of its label, of its relations, and of the labels of its neighbors,
    which two linear maps take along the relations and against them. Sums tell a first neighbor at once, while attention
    begins as an average over all nodes. Each attention head adds biases for the relations between two nodes, in both
    directions (Ying et al. 2021, Graphormer). The output does not depend on the order of nodes, and absent nodes are
    masked. Logits of nodes are linear in the node, those of pairs are bilinear in both nodes, and all others are linear
    in the virtual node.

    Args:
        layout: sizes of the graphs.
        readouts: one per head: (number of outputs, actions on nodes or pairs; None if all are on the whole graph).
        width: embedding size, a multiple of ``heads``.
        layers: attention layers.
        heads: attention heads.
    """

    def __init__(
        self,
        layout: GraphLayout,
        readouts: Sequence[tuple[int, NodeActions | PairActions | None]],
        width: int,
        layers: int,
        heads: int,
    ):
        super().__init__()
        self.num_relations = layout.num_relations
        self.register_buffer("kinds", torch.arange(1, layout.num_relations)[:, None, None], persistent=False)
        self.label = nn.Embedding(layout.num_labels, width)
        self.root = nn.Parameter(torch.randn(width))
        self.relations = nn.Parameter(torch.rand(2 * layout.num_relations - 2, width) - 0.5)
        self.neighbors = nn.Linear(width, 2 * width, bias=False)
        # One more relation: of any node to the virtual node.
        self.bias = nn.ModuleList(nn.Embedding(layout.num_relations + 1, heads) for _ in range(2))
        self.layers = nn.ModuleList(AttentionLayer(width, heads, 2 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.readouts = nn.ModuleList(Readout(width, layout.num_nodes, *readout) for readout in readouts)
        self.ends = list(itertools.accumulate(size for size, _ in readouts))

    @property
    def last_bias(self) -> Tensor | None:
        """The bias of the outputs on the whole graph, which come last."""
        whole = cast(Readout, self.readouts[-1]).whole
        return None if whole is None else whole.bias

    def forward(self, graphs: Tensor) -> Tensor:
        """graphs, int64 (n, num_nodes, num_nodes) -> (n, outputs)."""
        nodes = self.encode(graphs)
        return torch.cat([readout(nodes) for readout in self.readouts], dim=1)

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """Outputs ``first:last`` only, those of one head."""
        readout = self.readouts[self.ends.index(last)]
        return lambda graphs: readout(self.encode(graphs))

    def encode(self, graphs: Tensor) -> Tensor:
        """Embeddings of the virtual node and of the nodes, (n, 1 + num_nodes, width)."""
        labels = graphs.diagonal(dim1=1, dim2=2)
        planes = self._planes(graphs)
        related = planes[:, :-1, 1:, 1:]
        half = self.num_relations - 1
        # Labels are few: the maps take each of them once.
        along, against = functional.embedding(labels, self.neighbors(self.label.weight)).chunk(2, dim=2)
        nodes = self.label(labels) + related.sum(3).transpose(1, 2) @ self.relations
        nodes = nodes + related[:, :half].sum(1) @ along + related[:, half:].sum(1) @ against
        x = torch.cat([self.root.expand(len(graphs), 1, -1), nodes], dim=1)
        bias = (self._weights() @ planes.flatten(2)).view(len(graphs), -1, *planes.shape[2:])
        absent = labels == 0
        if absent.any():
            bias = bias.masked_fill(functional.pad(absent, (1, 0), value=False)[:, None, None], -math.inf)
        for layer in self.layers:
            x = layer(x, bias)
        return self.norm(x)

    def _planes(self, graphs: Tensor) -> Tensor:
        """(n, 2 num_relations - 1, 1 + num_nodes, 1 + num_nodes), with the virtual node first.

        1 where a node has a relation to another, one plane for each but 0; the same for relations from the other; and a
        plane with 1 from each node to the virtual node.
        """
        n, size, half = len(graphs), graphs.shape[1], self.num_relations - 1
        planes = self.root.new_zeros(n, 2 * half + 1, 1 + size, 1 + size)
        planes[:, :half, 1:, 1:] = graphs[:, None] == self.kinds
        planes[:, :half, 1:, 1:].diagonal(dim1=2, dim2=3).zero_()  # labels
        planes[:, half:-1, 1:, 1:] = planes[:, :half, 1:, 1:].transpose(2, 3)
        planes[:, -1, 1:, 0] = 1.0
        return planes

    def _weights(self) -> Tensor:
        """Biases of the heads per plane, (heads, planes), relative to nodes without a relation. Those of the virtual
        node's own attention are equal, so a softmax cancels them."""
        weights = (cast(nn.Embedding, embedding).weight for embedding in self.bias)
        to, back = (weight - weight[:1] for weight in weights)
        return torch.cat([to[1:-1], back[1:-1], to[-1:] + back[-1:]]).t()


class Readout(nn.Module):
    """Logits of actions on nodes or on pairs of nodes, then of those on the whole graph.

    Args:
        width: embedding size.
        num_nodes: nodes per graph.
        outputs: number of logits.
        actions: the actions on nodes or on pairs; None without them.
    """

    def __init__(self, width: int, num_nodes: int, outputs: int, actions: NodeActions | PairActions | None):
        super().__init__()
        on_parts = 0 if actions is None else len(actions.place)
        self.whole = nn.Linear(width, outputs - on_parts) if outputs > on_parts else None
        self.node = nn.Linear(width, actions.per_node) if isinstance(actions, NodeActions) else None
        self.pair = nn.Linear(width, 2 * width) if isinstance(actions, PairActions) else None
        if self.pair is not None:
            # Logits start as small as with the factor 1 / sqrt(width) and learn without it: good edges need large ones.
            with torch.no_grad():
                for parameter in self.pair.parameters():
                    parameter[width:] /= math.sqrt(width)
        if actions is not None:
            # No weight depends on the graph size, so weights learned on small graphs fit larger ones.
            self.register_buffer("place", torch.from_numpy(actions.place).long(), persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        """(n, 1 + num_nodes, width) -> (n, outputs)."""
        parts = []
        if self.node is not None:
            parts.append(self.node(nodes[:, 1:]).flatten(1).index_select(1, self.place))
        if self.pair is not None:
            source, target = self.pair(nodes[:, 1:]).chunk(2, dim=2)
            parts.append((source @ target.transpose(1, 2)).flatten(1).index_select(1, self.place))
        if self.whole is not None:
            parts.append(self.whole(nodes[:, 0]))
        return torch.cat(parts, dim=1)
