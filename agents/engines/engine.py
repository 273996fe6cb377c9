"""The interface of engines, which sample trajectories and take gradient steps."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from agents.log_probs import LogProbs
from agents.losses.balance import Balance
from agents.policies.backward import BackwardPolicy
from agents.policies.policy import Policy
from agents.rollout import ON_POLICY, Exploration, Logits
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray
from gfn_envs.dag import Dag


class Learner(Protocol):
    """The part of an agent that an engine needs."""

    dag: Dag
    config: Any
    policy: Policy
    backward: BackwardPolicy
    log_z_parameter: Any
    optimizer: torch.optim.Optimizer
    device: torch.device
    rng: np.random.Generator
    iteration: int
    beta: float
    """Exponent of the reward in training. Batches hold log R^beta already."""
    target: Any
    """Target network that evaluates the second state of each pair; None if there is none."""

    @property
    def name(self) -> str:
        """Name of the agent."""

    @property
    def balance(self) -> Balance | None:
        """The objective as a balance declaration; None if it is not a balance objective."""

    @property
    def log_odds(self) -> float:
        """Added to log P_F - log P_B of every edge in the balance (alpha-GFN)."""

    def loss(self, trajectories: Trajectories) -> Tensor:
        """Scalar loss of a batch."""

    def auxiliary_loss(self, trajectories: Trajectories) -> Tensor | None:
        """Loss of further networks on a batch; None if they have none."""

    def log_pb(self, trajectories: Trajectories) -> Tensor:
        """log P_B of the edges (e,)."""

    def log_probs(self, trajectories: Trajectories) -> LogProbs:
        """log P_F and log P_B of the edges."""

    def forward_logits(self) -> Logits:
        """P_F as a function of states."""

    def set_learning_rates(self) -> None:
        """Set the learning rates of this iteration."""


class Combine(Protocol):
    """Combines the results of the processes that share a batch (:mod:`agents.distributed`)."""

    def loss(self, loss: float) -> float:
        """Loss of the whole batch, from that of this process's part."""

    def gradients(self, gradients: Sequence[Any]) -> None:
        """Replace gradients of this part, float32 arrays or tensors, by those of the whole batch."""


class Engine(abc.ABC):
    """Samples trajectories of a learner's P_F, and takes gradient steps on them."""

    name: ClassVar[str]
    #: Set while several processes share each batch. A step then sees a part of it. It combines the loss before it
    #: checks it, and the gradients of all parameters before it clips them.
    combine: Combine | None = None

    def __init__(self, learner: Learner):
        self.learner = learner

    @abc.abstractmethod
    def sample(
        self, n: int, rng: np.random.Generator, exploration: Exploration = ON_POLICY, rewards: bool = True
    ) -> Trajectories:
        """``n`` trajectories of P_F.

        Args:
            n: number of trajectories.
            rng: source of randomness.
            exploration: departures from P_F.
            rewards: evaluate the rewards; otherwise log R is NaN.

        Raises:
            FloatingPointError: NaN or infinite logits.
            NoLegalActionError: a state without a legal action, or a trajectory longer than ``max_length``.
        """

    @abc.abstractmethod
    def step(self, batch: Trajectories, sampled: Trajectories | None = None) -> float:
        """One gradient step on a batch; returns its loss.

        Args:
            batch: trajectories of the objective.
            sampled: new trajectories of P_F, for a P_B with a separate loss; None skips that loss.

        Raises:
            FloatingPointError: the loss is NaN or infinite. Nothing is changed.
        """

    @abc.abstractmethod
    def log_ratio(self, batch: Trajectories) -> FloatArray:
        """log P_F - log P_B of each trajectory, float64 (n,)."""

    def finite(self, loss: float) -> float:
        """The loss of the whole batch, or FloatingPointError if it is NaN or infinite."""
        if self.combine is not None:
            loss = self.combine.loss(loss)
        if not np.isfinite(loss):
            message = f"iteration {self.learner.iteration}: the loss is {loss}; try a lower learning rate"
            raise FloatingPointError(message)
        return loss
