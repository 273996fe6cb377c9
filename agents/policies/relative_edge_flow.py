"""Relative edge flow policies (SSR): a score of each pair of a state and its child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.policies.mlp import MLP
from agents.policies.policy import Head, Heads, Policy
from gfn_envs.arrays import FloatArray, IntArray, distinct, parallel_edges
from gfn_envs.dag import Dag

#: Below this many rows, NumPy evaluates the scores on the CPU.
NUMPY_ROWS = 48


class Pairs(NamedTuple):
    """The distinct pairs of a state in a batch and one of its neighbors, and their edges."""

    unique: IntArray
    """Distinct states (u, state_width)."""
    place: IntArray
    """Row in ``unique`` of each state of the batch (n,)."""
    row: IntArray
    """State of each pair, as a row of the batch (p,)."""
    there: IntArray
    """Neighbor of each pair, as a row of ``unique`` (p,)."""
    pair: IntArray
    """Pair of each edge (e,)."""
    log_share: FloatArray
    """Minus log of the number of edges of the pair (e,)."""
    flat: IntArray
    """Position of each edge in the flattened logits (n, width), (e,)."""
    width: int
    """Number of actions."""


class RelativeEdgeFlowPolicy(Policy):
    """log P_F(s'|s) = log softmax of g([E(s); E(s')]) over the distinct children s' of s (Shen et al. 2023, SSR).

    All children of a batch are encoded in one packed call. Parallel edges to one child share its probability equally,
    forward and backward, so their shares cancel in every objective. The backward policy has its own scorer and encoder.

    Args:
        dag: the environment.
        inputs: encoder input as a function of states, such as ``dag.encode`` or ``dag.tokens``.
        make_encoder: embedding width -> encoder, a module. E(s) is the ReLU of its output.
        embedding: width of E(s).
        hidden: width of the one hidden layer of the scorer g.
        backward: whether to learn P_B.
        flow: whether to predict log F(s), from E(s).
        slope: of the ReLU at negative inputs.
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
        slope: float = 0.0,
    ):
        super().__init__()
        self.dag, self.inputs = dag, inputs
        self.learns_backward, self.learns_flow, self.embedding = backward, flow, embedding
        self.encoders = nn.ModuleList(make_encoder(embedding) for _ in range(1 + backward))
        self.scorers = nn.ModuleList(MLP([2 * embedding, hidden, 1], slope) for _ in range(1 + backward))
        self.flow = MLP([embedding, hidden, 1], slope) if flow else None

    def forward(self, states: IntArray) -> Heads:
        forward_logits, embedded = self._scores(states, "forward")
        backward = self._scores(states, "backward")[0] if self.learns_backward else None
        log_flow = None if self.flow is None else self.flow(embedded).squeeze(1)
        return Heads(forward_logits, backward, log_flow)

    def flow_bias(self) -> Tensor | None:
        return None if self.flow is None else self.flow.last_bias

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        return lambda states: self._scores(states, head)[0]

    def logits(self, head: Head) -> Callable[[IntArray], FloatArray]:
        many, which = super().logits(head), 0 if head == "forward" else 1
        encoder: Any = self.encoders[which]
        if not isinstance(encoder, MLP) or self.anchor.device.type != "cpu":
            return many
        few = self._numpy_scores(head, encoder.numpy_columns(0, self.embedding), self.scorers[which])
        return lambda states: few(states) if len(states) < NUMPY_ROWS else many(states)

    def _scores(self, states: IntArray, head: Head) -> tuple[Tensor, Tensor]:
        """Logits (n, actions), 0 where illegal, and E(s) (n, embedding)."""
        which, device = 0 if head == "forward" else 1, self.anchor.device
        encoder: Any = self.encoders[which]
        scorer: Any = self.scorers[which]
        pairs = self._pairs(states, head)
        place, row, there, pair, flat = (
            torch.from_numpy(index).to(device)
            for index in (pairs.place, pairs.row, pairs.there, pairs.pair, pairs.flat)
        )
        encoded = scorer.activate(encoder(self.read(pairs.unique)))
        (weight, bias), (out, out_bias) = scorer.layers
        here = encoded.index_select(0, place)
        own = torch.addmm(bias, here, weight[: self.embedding])
        other = encoded @ weight[self.embedding :]
        hidden = scorer.activate(own.index_select(0, row).add_(other.index_select(0, there)))
        # Without pairs, torch.addmv would return the shape of its bias.
        score = hidden.mv(out.squeeze(0)) + out_bias
        edge = score.index_select(0, pair) + torch.from_numpy(pairs.log_share).to(score)
        logits = torch.zeros(len(states) * pairs.width, dtype=score.dtype, device=device).index_copy(0, flat, edge)
        return logits.view(len(states), pairs.width), here

    def _numpy_scores(self, head: Head, encode: Callable[[FloatArray], FloatArray], scorer: Any) -> Any:
        """The logits of :meth:`_scores` in NumPy, on the CPU: calls take half as long for a few rows."""
        (weight, bias), (out, out_bias) = [(w.detach().numpy(), b.detach().numpy()) for w, b in scorer.layers]
        upper, lower, vector = weight[: self.embedding], weight[self.embedding :], out[0]

        def logits(states: IntArray) -> FloatArray:
            pairs = self._pairs(states, head)
            encoded = encode(self.inputs(pairs.unique))
            scorer.numpy_activate(encoded)
            hidden = (encoded.take(pairs.place, axis=0) @ upper + bias).take(pairs.row, axis=0)
            hidden += (encoded @ lower).take(pairs.there, axis=0)
            scorer.numpy_activate(hidden)
            result = np.zeros(len(states) * pairs.width, dtype=hidden.dtype)
            result[pairs.flat] = (hidden @ vector + out_bias).take(pairs.pair) + pairs.log_share
            return result.reshape(len(states), pairs.width)

        return logits

    def _pairs(self, states: IntArray, head: Head) -> Pairs:
        """Pairs of the states with their children or parents.

        Children are often shared or in the batch themselves, so each distinct state is encoded once. So is its part of
        the scorer's first layer, which is linear in [E(s); E(s')].
        """
        dag = self.dag
        if head == "forward":
            row, neighbors, actions = dag.children(states)
            width = dag.num_actions
        else:
            row, actions = np.nonzero(dag.backward_mask(states))
            neighbors, width = dag.undo(states.take(row, axis=0), actions), dag.num_backward_actions
        unique, place = distinct(np.concatenate([states, neighbors]))
        there = place[len(states) :]
        pair, log_share, first = parallel_edges(row, there)
        return Pairs(
            unique, place[: len(states)], row[first], there[first], pair, log_share, row * width + actions, width
        )
