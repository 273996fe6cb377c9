"""The interface of policy networks: states in, logits and flows out."""

from __future__ import annotations

import abc
import copy
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag

Head = Literal["forward", "backward"]


class Heads(NamedTuple):
    """Outputs of a policy network for n states."""

    forward_logits: Tensor
    """(n, num_actions)"""
    backward_logits: Tensor | None
    """(n, num_backward_actions), None where P_B is not learned"""
    log_flow: Tensor | None
    """(n,), None where state flows are not learned"""


def frozen_copy(network: Any, dag: Dag) -> Any:
    """A target network: a copy that is not trained. The environment that it reads, with all its states, is shared."""
    return copy.deepcopy(network, {id(dag): dag}).requires_grad_(False)


class Policy(nn.Module, abc.ABC):
    """A network on states of one environment. Entries of illegal actions are ignored by everyone."""

    learns_backward: bool
    """True if there are backward logits."""
    learns_flow: bool
    """True if there are state flows."""
    inputs: Callable[[IntArray], FloatArray | IntArray]
    """Input of the network as a function of states, such as ``dag.encode`` or ``dag.tokens``."""

    @abc.abstractmethod
    def forward(self, states: IntArray) -> Heads:
        """States (n, state_width), a NumPy matrix, to :class:`Heads`."""

    @abc.abstractmethod
    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        """The logits of one head as a lean function of states, for rollouts."""

    def read(self, states: IntArray) -> Tensor:
        """Input of the network for states: features in its own precision, or integer tokens; on its device."""
        inputs = torch.from_numpy(self.inputs(states))
        return inputs.to(self.anchor) if inputs.is_floating_point() else inputs.to(self.anchor.device)

    @functools.cached_property
    def anchor(self) -> nn.Parameter:
        """A parameter, for its device and precision; to look for one takes as long as a matrix product."""
        return next(self.parameters())

    def logits(self, head: Head) -> Callable[[IntArray], FloatArray]:
        """:meth:`head` from NumPy to NumPy, to be called inside ``torch.inference_mode()``."""
        evaluate = self.head(head)
        if self.anchor.device.type == "cpu":
            return lambda states: evaluate(states).numpy()
        return lambda states: np.asarray(evaluate(states).cpu().numpy())
