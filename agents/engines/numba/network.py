"""The network on a batch of trajectories, and its gradient.

Python calls the kernels one after another: Numba compiles a kernel again within each compiled function that calls it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agents.engines.numba import kernels
from agents.engines.numba.parts import Part
from gfn_envs.arrays import FloatArray, IntArray

#: Weights and biases of a network, in the shapes of :mod:`agents.engines.numba.kernels`.
Layers = tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]


class Evaluated(NamedTuple):
    """Log-probabilities and log flows of a batch, and how they were computed."""

    log_pf: FloatArray
    """(e,)"""
    log_pb: FloatArray
    """(e,)"""
    log_flow: FloatArray
    """The network's log F (s,), and log R at terminal states; empty without a flow head."""
    shown: IntArray
    """Distinct states that the network evaluated (k,)."""
    row: IntArray
    """Row of each state of the batch among them, or -1 (s,)."""
    memory: FloatArray
    """Their hidden layers."""
    outputs: FloatArray
    """The network's outputs, with log-probabilities in place of logits (k, outputs)."""


def evaluate(part: Part, network: Layers, num_backward: int, has_flow: bool) -> Evaluated:
    """Log-probabilities and log flows of a part of a batch. P_B is uniform without backward logits.

    Args:
        part: hidden layers of its ``kept`` states are not computed again.
        network: weights and biases.
        num_backward: number of backward logits.
        has_flow: whether the last output is log F.
    """
    tables, batch, kept, scratch = part.tables, part.batch, part.kept, part.scratch
    memory = kept.memory if len(kept.states) else scratch.memory
    shown, row = kernels.distinct(tables, num_backward, part.indices, scratch.place, kept.states)
    memory = scratch.memory = kernels.room(network[0], memory, len(kept.states), len(shown))
    kernels.fill(tables, *network, memory, shown, len(kept.states), len(shown))
    outputs = kernels.outputs_of(tables, *network, num_backward, memory, shown)
    edges = batch.actions, batch.backward_actions, batch.offsets
    log_pf, log_pb, log_flow = kernels.read(
        tables, num_backward, has_flow, part.indices, *edges, batch.log_reward, row, outputs
    )
    return Evaluated(log_pf, log_pb, log_flow, shown, row, memory, outputs)


def gradients(
    part: Part,
    network: Layers,
    num_backward: int,
    has_flow: bool,
    evaluated: Evaluated,
    d_log_probs: tuple[FloatArray, ...],
) -> tuple[FloatArray, ...]:
    """Flat gradients of weight and bias of each layer.

    Args:
        part, network, num_backward, has_flow: as for :func:`evaluate`.
        evaluated: its result.
        d_log_probs: gradients with respect to log P_F, log P_B and log F, float32.
    """
    (weights, biases), batch, shown = network, part.batch, evaluated.shown
    edges = part.indices, batch.actions, batch.backward_actions, batch.offsets
    d_outputs = kernels.output_gradient(
        part.tables, num_backward, has_flow, *edges, shown, evaluated.row, evaluated.outputs, d_log_probs
    )
    grad_weights, grad_biases = tuple(map(np.empty_like, weights)), tuple(map(np.empty_like, biases))
    work = part.scratch.work_for(len(shown) * max(map(len, biases[:-1])))
    kernels.differentiate(part.tables, weights, evaluated.memory, shown, d_outputs, *work, grad_weights, grad_biases)
    return tuple(g.reshape(-1) for layer in zip(grad_weights, grad_biases, strict=True) for g in layer)
