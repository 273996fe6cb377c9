"""Networks whose last hidden layer the condition scales and shifts (Perez et al. 2018, FiLM)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkSettings
from agents.policies.build import make_policy
from agents.policies.mlp import MLP
from agents.policies.state_action import StateActionPolicy
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions import Conditioned


class FiLM(nn.Module):
    """relu((1 + scale(c)) embedding(s) + shift(c)), and a linear map to the outputs.

    The input is one matrix, so that batches of rows stay batches of rows: the flattened input of the embedding, then
    the features of the condition.

    Args:
        embedding: input of shape (n, *shape) -> (n, width).
        shape: shape of that input.
        integer: whether it consists of integers (tokens).
        width: width of the embedding.
        num_features: width of the features of the condition.
        outputs: number of outputs.
    """

    def __init__(
        self, embedding: nn.Module, shape: Sequence[int], integer: bool, width: int, num_features: int, outputs: int
    ):
        super().__init__()
        self.embedding, self.shape, self.integer = embedding, tuple(shape), integer
        self.modulation = MLP([num_features, width, 2 * width])
        self.out = nn.Linear(width, outputs)

    @property
    def last_bias(self) -> Tensor:
        """The bias of the outputs."""
        return self.out.bias

    def hidden(self, x: Tensor) -> Tensor:
        size = int(np.prod(self.shape))
        states = x[:, :size].reshape(len(x), *self.shape)
        scale, shift = self.modulation(x[:, size:]).chunk(2, dim=1)
        return torch.relu((1 + scale) * self.embedding(states.long() if self.integer else states) + shift)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(x))

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """A function that returns outputs ``first:last`` only."""
        weight, bias = self.out.weight[first:last], self.out.bias[first:last]
        return lambda x: torch.nn.functional.linear(self.hidden(x), weight, bias)


class Inputs:
    """The input of :class:`FiLM` as a function of rows.

    Args:
        dag: the environment with conditions.
        of_states: the input of the embedding as a function of states.
    """

    def __init__(self, dag: Conditioned, of_states: Callable[[IntArray], Any]):
        self.dag, self.of_states = dag, of_states

    def __call__(self, rows: IntArray) -> FloatArray:
        seen: Any = self.of_states(self.dag.states_of(rows))
        features = self.dag.conditions.features(self.dag.conditions_of(rows))
        return np.concatenate([seen.reshape(len(seen), -1).astype(np.float32, copy=False), features], axis=1)


def film_policy(dag: Conditioned, config: NetworkSettings, backward: bool, flow: bool) -> StateActionPolicy:
    """A policy whose networks embed the state as ``config`` says, and are modulated by the condition.

    Args:
        dag: the environment with conditions.
        config: ``network`` and its sizes.
        backward: whether to learn P_B.
        flow: whether to learn log F(s).

    Raises:
        ValueError: the policy form is "ssr", or nothing about the conditions varies.
    """
    if config.form != "sa":
        raise ValueError(f"condition_by 'film' needs the policy form 'sa', got {config.form!r}")
    features = dag.conditions.features
    if not features.num_features:
        raise ValueError(f"condition_by 'film' needs a condition that varies, got {dag.conditions.range_text}")
    width = (config.hidden or (64,))[-1] if config.network == "mlp" else config.width

    def network(sizes: Sequence[int]) -> nn.Module:
        return FiLM(embedder(dag, config)[0], *shape, width, features.num_features, sum(sizes))

    inputs = Inputs(dag, embedder(dag, config)[1])
    example = np.asarray(inputs.of_states(dag.base.source(1)))
    shape = (example.shape[1:], example.dtype.kind in "iu")
    num_backward = dag.num_backward_actions if backward else 0
    return StateActionPolicy(inputs, network, dag.num_actions, num_backward, flow, config.shared)


def embedder(dag: Conditioned, config: NetworkSettings) -> tuple[nn.Module, Callable[[IntArray], Any]]:
    """The network that embeds states of the environment, and its input: those of the policy form "ssr"."""
    policy: Any = make_policy(dag.base, dataclasses.replace(config, form="ssr"), backward=False, flow=False)
    return policy.encoders[0], policy.inputs
