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
    """(n, num_backward_actions), None if P_B is not learned"""
    log_flow: Tensor | None
    """(n,), None if state flows are not learned"""


def frozen_copy(network: Any, dag: Dag) -> Any:
    """A target network: an untrained copy. It shares the environment, including its enumerated states."""
    return copy.deepcopy(network, {id(dag): dag}).requires_grad_(False)


class Policy(nn.Module, abc.ABC):
    """A network on states of one environment. Logits of illegal actions are ignored."""

    learns_backward: bool
    """True if there are backward logits."""
    learns_flow: bool
    """True if there are state flows."""
    inputs: Callable[[IntArray], FloatArray | IntArray]
    """Input of the network as a function of states, such as ``dag.encode`` or ``dag.tokens``."""

    @abc.abstractmethod
    def forward(self, states: IntArray) -> Heads:
        """Map states, a NumPy matrix (n, state_width), to :class:`Heads`."""

    @abc.abstractmethod
    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        """The logits of one head as a fast function of states, for rollouts."""

    def flow_bias(self) -> Tensor | None:
        """The bias of log F, a part of a parameter (1,); None without one."""
        return None

    def change_flow(self, states: IntArray, change: FloatArray) -> bool:
        """Change log F of states by about ``change`` (n,), if this policy can. Returns whether it can."""
        return False

    def read(self, states: IntArray) -> Tensor:
        """Network input for states, on its device: features in its precision, or integer tokens."""
        inputs, like = torch.from_numpy(self.inputs(states)), self.anchor
        if inputs.dtype == like.dtype and like.is_cpu:  # A conversion of nothing takes a microsecond.
            return inputs
        return inputs.to(like) if inputs.is_floating_point() else inputs.to(like.device)

    @functools.cached_property
    def anchor(self) -> nn.Parameter:
        """A parameter, for its device and precision. Cached: the lookup takes as long as a matrix product."""
        return next(self.parameters())

    def logits(self, head: Head) -> Callable[[IntArray], FloatArray]:
        """:meth:`head` with NumPy inputs and outputs, to be called inside ``torch.inference_mode()``."""
        evaluate = self.head(head)
        if self.anchor.device.type == "cpu":
            return lambda states: evaluate(states).numpy()
        return lambda states: np.asarray(evaluate(states).cpu().numpy())
