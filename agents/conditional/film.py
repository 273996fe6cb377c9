"""Networks whose last hidden layer the condition scales and shifts (Perez et al. 2018, FiLM)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.config import NetworkSettings
from agents.policies.build import make_policy
from agents.policies.mlp import MLP
from agents.policies.policy import Head
from agents.policies.state_action import StateActionPolicy
from gfn_envs.arrays import IntArray, distinct, row_keys
from gfn_envs.conditions import Conditioned


class Read(NamedTuple):
    """Inputs of :class:`FiLM`: row i is state ``of_state[i]`` with condition ``of_condition[i]``.

    Batches have far fewer distinct states and conditions than rows. Each is embedded once.
    """

    states: Tensor
    """Inputs of the embedding (k, ...)."""
    of_state: Tensor | None
    """(n,); None: row i is state i."""
    features: Tensor
    """Features of conditions (m, num_features)."""
    of_condition: Tensor
    """(n,)"""


class FiLM(nn.Module):
    """relu((1 + scale(c)) embedding(s) + shift(c)), and a linear map to the outputs.

    Args:
        embedding: input of states -> (n, width).
        width: width of the embedding.
        num_features: width of the features of the condition.
        outputs: number of outputs.
    """

    def __init__(self, embedding: nn.Module, width: int, num_features: int, outputs: int):
        super().__init__()
        self.embedding = embedding
        self.modulation = MLP([num_features, width, 2 * width])
        self.out = nn.Linear(width, outputs)

    @property
    def last_bias(self) -> Tensor:
        """The bias of the outputs."""
        return self.out.bias

    def hidden(self, rows: Read, modulation: Tensor) -> Tensor:
        """The last hidden layer (n, width), given the scale and shift of each condition (m, 2 width)."""
        embedded = self.embedding(rows.states)
        if rows.of_state is not None:
            embedded = embedded.index_select(0, rows.of_state)
        scale, shift = modulation.index_select(0, rows.of_condition).chunk(2, dim=1)
        return torch.addcmul(embedded + shift, scale, embedded).relu_()

    def forward(self, rows: Read) -> Tensor:
        return self.out(self.hidden(rows, self.modulation(rows.features)))

    def columns(self, first: int, last: int) -> Callable[[Read], Tensor]:
        """A function that returns outputs ``first:last`` only. It modulates the same features once."""
        weight, bias = self.out.weight[first:last], self.out.bias[first:last]
        parameter = self.modulation.last_bias
        known: tuple[Any, int, Any] = None, 0, None

        def run(rows: Read) -> Tensor:
            nonlocal known
            # Training changes weights in place. Copies of networks made for rollouts have no version, and stay.
            version = 0 if parameter.is_inference() else parameter._version
            if known[0] is not rows.features or known[1] != version:
                known = rows.features, version, self.modulation(rows.features)
            return torch.nn.functional.linear(self.hidden(rows, known[2]), weight, bias)

        return run


class FiLMPolicy(StateActionPolicy):
    """A policy on rows with conditions whose networks are :class:`FiLM`.

    Args:
        dag: the environment with conditions.
        of_states: input of the embedding as a function of states.
        *args: as for :class:`StateActionPolicy`, from ``make_network``.
    """

    def __init__(self, dag: Conditioned, of_states: Callable[[IntArray], Any], *args: Any):
        super().__init__(functools.partial(of_rows, dag, of_states), *args)
        self.dag = dag

    def read(self, states: IntArray) -> Any:
        """:class:`Read` of rows with conditions."""
        parts = states[:, : self.dag.base.state_width], states[:, self.dag.base.state_width :]
        (first_state, of_state), (first_condition, of_condition) = map(first_of_each, parts)
        at = [torch.from_numpy(index).to(self.anchor.device) for index in (of_state, of_condition)]
        return Read(super().read(states[first_state]), at[0], self.features(states[first_condition]), at[1])

    def features(self, rows: IntArray) -> Tensor:
        """Features of the conditions of rows."""
        features = self.dag.conditions.features(self.dag.conditions_of(rows))
        return torch.from_numpy(features).to(self.anchor)

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        network, first, last = self._columns(head)
        run, width = network.columns(first, last), self.dag.base.state_width
        known: Any = np.zeros(0, dtype="S")
        features: Tensor = self.anchor

        def logits(states: IntArray) -> Tensor:
            # All rows of a rollout have conditions of its first rows.
            nonlocal known, features
            keys = row_keys(states[:, width:])
            place = np.searchsorted(known, keys)
            if not len(known) or place.max(initial=0) == len(known) or not (known[place] == keys).all():
                known, first_row, place = np.unique(keys, return_index=True, return_inverse=True)
                features = self.features(states[first_row])
            at = torch.from_numpy(place).to(self.anchor.device)
            return run(Read(super(FiLMPolicy, self).read(states), None, features, at))

        return logits


def of_rows(dag: Conditioned, of_states: Callable[[IntArray], Any], rows: IntArray) -> Any:
    """A function of the states of rows."""
    return of_states(dag.states_of(rows))


def first_of_each(rows: IntArray) -> tuple[IntArray, IntArray]:
    """A position of each distinct row (m,), and the number of each row among the distinct ones (n,)."""
    inverse = distinct(np.ascontiguousarray(rows))[1]
    first = np.empty(int(inverse.max(initial=-1)) + 1, dtype=np.int64)
    first[inverse] = np.arange(len(rows))
    return first, inverse


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

    of_states = embedder(dag, config)[1]

    def network(sizes: Sequence[int]) -> nn.Module:
        return FiLM(embedder(dag, config)[0], width, features.num_features, sum(sizes))

    num_backward = dag.num_backward_actions if backward else 0
    return FiLMPolicy(dag, of_states, network, dag.num_actions, num_backward, flow, config.shared)


def embedder(dag: Conditioned, config: NetworkSettings) -> tuple[nn.Module, Callable[[IntArray], Any]]:
    """The network that embeds states of the environment, and its input: those of the policy form "ssr"."""
    policy: Any = make_policy(dag.base, dataclasses.replace(config, form="ssr"), backward=False, flow=False)
    return policy.encoders[0], policy.inputs
