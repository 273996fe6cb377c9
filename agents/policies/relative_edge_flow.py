"""Relative edge flow policies (SSR): a score of each pair of a state and its child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.likelihood import distinct
from agents.policies.mlp import MLP
from agents.policies.policy import Head, Heads, Policy
from gfn_envs.dag import Dag, FloatArray, IntArray


class RelativeEdgeFlowPolicy(Policy):
    """log P_F(s'|s) = log softmax of g([E(s); E(s')]) over the distinct children s' of s (Shen et al. 2023, SSR).

    All children of a batch are encoded in one packed call. Parallel edges to one child share its probability equally,
    forward and backward, so their shares cancel in every objective. The backward policy has a scorer and an encoder of
    its own.

    Args:
        dag: the environment.
        inputs: what the encoder reads of states, such as ``dag.encode`` or ``dag.tokens``.
        make_encoder: from the width of the embedding to the encoder, a module; E(s) is the ReLU of its output.
        embedding: width of E(s).
        hidden: width of the one hidden layer of the scorer g.
        backward: whether to learn P_B.
        flow: whether to predict log F(s), from E(s).
    """

    def __init__(
        self,
        dag: Dag,
        inputs: Callable[[IntArray], Any],
        make_encoder: Callable[[int], nn.Module],
        embedding: int,
        hidden: int,
        backward: bool,
        flow: bool,
    ):
        super().__init__()
        self.dag, self.inputs = dag, inputs
        self.learns_backward, self.learns_flow, self.embedding = backward, flow, embedding
        self.encoders = nn.ModuleList(make_encoder(embedding) for _ in range(1 + backward))
        self.scorers = nn.ModuleList(MLP([2 * embedding, hidden, 1]) for _ in range(1 + backward))
        self.flow = MLP([embedding, hidden, 1]) if flow else None

    def forward(self, states: IntArray) -> Heads:
        forward_logits, embedded = self._scores(states, "forward")
        backward = self._scores(states, "backward")[0] if self.learns_backward else None
        log_flow = None if self.flow is None else self.flow(embedded).squeeze(1)
        return Heads(forward_logits, backward, log_flow)

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        return lambda states: self._scores(states, head)[0]

    def _scores(self, states: IntArray, head: Head) -> tuple[Tensor, Tensor]:
        """Logits (n, actions), 0 where illegal, and E(s) (n, embedding)."""
        dag, which = self.dag, 0 if head == "forward" else 1
        encoder: Any = self.encoders[which]
        scorer: Any = self.scorers[which]
        if head == "forward":
            row, neighbours, actions = dag.children(states)
            width = dag.num_actions
        else:
            row, actions = np.nonzero(dag.backward_mask(states))
            neighbours, width = dag.undo(states[row], actions), dag.num_backward_actions
        pair, log_share, first = parallel_edges(row, neighbours)
        # A child is often another's child too, or in the batch itself: each distinct state is encoded once, and so is
        # its share of the scorer's first layer, which is linear in [E(s); E(s')].
        unique, place = distinct(np.concatenate([states, neighbours[first]]))
        places = torch.from_numpy(place).to(self.anchor.device)
        encoded = encoder(self.read(unique)).relu()
        (weight, bias), (out, out_bias) = scorer.layers
        here = encoded.index_select(0, places[: len(states)])
        own = torch.addmm(bias, here, weight[: self.embedding])
        other = encoded @ weight[self.embedding :]
        rows = torch.from_numpy(row[first]).to(own.device)
        hidden = (own.index_select(0, rows) + other.index_select(0, places[len(states) :])).relu()
        score = torch.addmm(out_bias, hidden, out.t()).squeeze(1)
        edge = score.index_select(0, torch.from_numpy(pair).to(score.device)) + torch.from_numpy(log_share).to(score)
        flat = torch.from_numpy(row * width + actions).to(score.device)
        logits = torch.zeros(len(states) * width, dtype=score.dtype, device=score.device).index_copy(0, flat, edge)
        return logits.view(len(states), width), here


def parallel_edges(row: IntArray, neighbours: IntArray) -> tuple[IntArray, FloatArray, IntArray]:
    """Merge edges between the same two states.

    Args:
        row: of each edge's own state in the batch (e,), ascending.
        neighbours: the state at its other end (e, state_width).

    Returns:
        ``(pair, log_share, first)``: which distinct pair each edge belongs to (e,), minus the log of the number of
        edges of that pair (e,), and one edge of each pair (p,).
    """
    _, pair = distinct(np.concatenate([row[:, None], neighbours], axis=1))
    first = np.empty(pair.max(initial=-1) + 1, dtype=np.int64)
    first[pair] = np.arange(len(pair))
    return pair, -np.log(np.bincount(pair)[pair]), first
