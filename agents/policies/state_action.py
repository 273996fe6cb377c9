"""State-action policies: one network, one logit per action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from agents.policies.mlp import MLP
from agents.policies.policy import Head, Heads, Policy
from gfn_envs.arrays import FloatArray, IntArray


class Network(Protocol):
    """A module whose ``columns`` computes a part of its outputs, for rollouts."""

    def __call__(self, inputs: Tensor) -> Tensor: ...

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]: ...


class StateActionPolicy(Policy):
    """One logit per action (SA), from a trunk that all heads share or from one network per head.

    Args:
        inputs: network input as a function of states, such as ``dag.encode`` or ``dag.tokens``.
        make_network: (number of forward logits, of backward logits, of flows), 0 for none -> a :class:`Network` module
            with these outputs in order.
        num_actions: number of forward logits.
        num_backward_actions: number of backward logits; 0 if P_B is not learned.
        flow: whether to predict log F(s).
        shared: one trunk for all heads, or one network per head.
    """

    def __init__(
        self,
        inputs: Callable[[IntArray], Any],
        make_network: Callable[[Sequence[int]], nn.Module],
        num_actions: int,
        num_backward_actions: int = 0,
        flow: bool = False,
        shared: bool = True,
    ):
        super().__init__()
        self.inputs = inputs
        self.sizes = [num_actions, num_backward_actions, int(flow)]
        self.learns_backward, self.learns_flow = num_backward_actions > 0, flow
        separate = [[size if i == head else 0 for i, size in enumerate(self.sizes)] for head in range(3)]
        outputs = [self.sizes] if shared else separate
        self.networks = nn.ModuleList(make_network(sizes) for sizes in outputs if any(sizes))

    def forward(self, states: IntArray) -> Heads:
        inputs = self.read(states)
        if len(self.networks) == 1:
            parts = self.networks[0](inputs).split_with_sizes(self.sizes, dim=1)
        else:
            parts = [network(inputs) for network in self.networks]
            if not self.learns_backward:
                parts.insert(1, None)
        return Heads(
            parts[0],
            parts[1] if self.learns_backward else None,
            parts[2].squeeze(1) if self.learns_flow else None,
        )

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        network, first, last = self._columns(head)
        run = network.columns(first, last)
        return lambda states: run(self.read(states))

    def flow_bias(self) -> Tensor | None:
        bias = getattr(self.networks[-1], "last_bias", None)
        return bias[-1:] if self.learns_flow and bias is not None else None

    def change_flow(self, states: IntArray, change: FloatArray) -> bool:
        network = self.networks[-1]
        if not self.learns_flow or not isinstance(network, MLP):
            return False
        network.add_to_last_output(self.read(states), change)
        return True

    def _columns(self, head: Head) -> tuple[Any, int, int]:
        """The network of a head, and the range of its outputs: (network, first, last)."""
        alone = len(self.networks) > 1
        first = 0 if head == "forward" or alone else self.sizes[0]
        size = self.sizes[0] if head == "forward" else self.sizes[1]
        return self.networks[1 if head == "backward" and alone else 0], first, first + size
