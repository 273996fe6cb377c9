"""Backward policies P_B. One object defines sampling and log-probabilities; subclass it to write your own.

class Newest(BackwardPolicy):
    "Undo the action with the largest number first."
    name = "newest"

    def logits(self, dag, states):
        return np.tile(np.arange(dag.num_backward_actions, dtype=np.float32), (len(states), 1))

agents.make_agent("tb", dag, backward=Newest())      # gfn train tb ENV --agent.backward mine:Newest
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from agents.policies.policy import Policy
from agents.replay.trajectories import TrajectoryMemory
from agents.rollout import Logits
from agents.trajectories import Trajectories
from gfn_envs import named
from gfn_envs.arrays import FloatArray, IntArray, distinct, parallel_edges
from gfn_envs.dag import Dag

#: trajectories -> log P_B of their edges (e,), with a gradient.
LogPb = Callable[[Trajectories], Tensor]


class BackwardPolicy:
    """P_B(s|s'): the probability of each backward action.

    A fixed policy defines :meth:`logits`. A learned one (``learned = True``) gets them from the policy network.
    """

    name: ClassVar[str]
    learned: ClassVar[bool] = False
    """True if the policy network has backward logits."""
    in_objective: ClassVar[bool] = True
    """True if the objective of P_F also trains a learned P_B. Otherwise :meth:`loss` trains it."""

    def logits(self, dag: Dag, states: IntArray) -> FloatArray:
        """Logits of the backward actions, (n, num_backward_actions). Entries of illegal actions are ignored."""
        raise NotImplementedError(f"{type(self).__name__} defines no logits")

    def log_probs(self, dag: Dag, trajectories: Trajectories) -> FloatArray:
        """log P_B of the edges, float64 (e,). Override it only if there is a faster formula."""
        targets = trajectories.states[trajectories.targets]
        scores = np.where(dag.backward_mask(targets), self.logits(dag, targets).astype(np.float64), -np.inf)
        chosen = scores[np.arange(len(targets)), trajectories.backward_actions]
        return chosen - np.logaddexp.reduce(scores, axis=1)

    def sampler(self, dag: Dag, policy: Policy) -> Logits | None:
        """Logits as a function of states, for rollouts; None if P_B is uniform."""
        return policy.logits("backward") if self.learned else functools.partial(self.logits, dag)

    def loss(self, log_pb: LogPb, sampled: Trajectories, rng: np.random.Generator) -> Tensor | None:
        """Loss of P_B on trajectories sampled from P_F, a scalar; None if P_B has no separate loss."""
        return None

    def state_dict(self) -> list[dict[str, Any]]:
        """State that later iterations depend on."""
        return []

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Restore :meth:`state_dict`."""


class Learned(BackwardPolicy):
    """Trained with the objective of P_F."""

    name = "learned"
    learned = True


class Uniform(BackwardPolicy):
    """All legal backward actions are equally likely."""

    name = "uniform"

    def logits(self, dag: Dag, states: IntArray) -> FloatArray:
        return np.zeros((len(states), dag.num_backward_actions), dtype=np.float32)

    def log_probs(self, dag: Dag, trajectories: Trajectories) -> FloatArray:
        return dag.uniform_log_pb(trajectories.states[trajectories.targets])

    def sampler(self, dag: Dag, policy: Policy) -> Logits | None:
        return None


class Distinct(BackwardPolicy):
    """All distinct parents are equally likely; edges from the same parent share (Shen et al. 2023, "MaxEnt").

    It is the uniform policy if no two edges join the same states. It has maximum entropy at each step, unlike
    :class:`MaxEnt`, which has it over trajectories.
    """

    name = "distinct"

    def logits(self, dag: Dag, states: IntArray) -> FloatArray:
        mask = dag.backward_mask(states)
        row, actions = np.nonzero(mask)
        _, log_share, _ = parallel_edges(row, distinct(dag.undo(states[row], actions))[1])
        logits = np.zeros(mask.shape, dtype=np.float32)
        logits[row, actions] = log_share
        return logits


class MaxEnt(BackwardPolicy):
    """P_B(s|s') = n(s) / n(s'), with n(s) the number of trajectories from s0 to s (Mohammadpour et al. 2024).

    All trajectories to an object are then equally likely.
    """

    name = "maxent"

    def logits(self, dag: Dag, states: IntArray) -> FloatArray:
        mask = dag.backward_mask(states)
        row, actions = np.nonzero(mask)
        logits = np.zeros(mask.shape, dtype=np.float32)
        log_n = dag.log_num_paths(dag.undo(states[row], actions))
        # Relative to the count of the state itself, so that single precision suffices for long trajectories.
        logits[row, actions] = log_n - dag.log_num_paths(states)[row]
        return logits

    def log_probs(self, dag: Dag, trajectories: Trajectories) -> FloatArray:
        log_n = dag.log_num_paths(trajectories.states)
        return log_n[trajectories.sources] - log_n[trajectories.targets]


class TLM(BackwardPolicy):
    """Trajectory likelihood maximization: P_B is fitted to trajectories of P_F (Gritsaev et al. 2025)."""

    name = "tlm"
    learned, in_objective = True, False

    def loss(self, log_pb: LogPb, sampled: Trajectories, rng: np.random.Generator) -> Tensor | None:
        """Negative log-likelihood -log P_B(tau|x), averaged over trajectories."""
        return -log_pb(sampled).sum() / len(sampled)


class Pessimistic(TLM):
    """P_B is fitted to trajectories from the last 20 batches of P_F (Jang et al. 2024)."""

    name = "pessimistic"

    def __init__(self) -> None:
        self.memory = TrajectoryMemory()

    def loss(self, log_pb: LogPb, sampled: Trajectories, rng: np.random.Generator) -> Tensor | None:
        if not self.memory.batches or self.memory.batches[-1] is not sampled:  # Not if it is another step on a batch.
            self.memory.add(sampled)
        return super().loss(log_pb, self.memory.sample(rng), rng)

    def state_dict(self) -> list[dict[str, Any]]:
        return self.memory.state_dict()

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        self.memory.load_state_dict(state)


#: name -> backward policy; agents work on copies of these.
BACKWARD_POLICIES: dict[str, BackwardPolicy] = {
    policy.name: policy for policy in (Learned(), Uniform(), Distinct(), MaxEnt(), Pessimistic(), TLM())
}


def backward_policy(given: str | BackwardPolicy) -> BackwardPolicy:
    """The backward policy with that name, that ``module:name`` names, or a copy of the given one, which is registered.

    Raises:
        ValueError: an unknown name, or the name of a policy of another class.
        ImportError, TypeError: ``module:name`` cannot be imported, or is not a backward policy.
    """
    if isinstance(given, BackwardPolicy):
        known = BACKWARD_POLICIES.setdefault(given.name, given)
        if type(known) is not type(given):
            raise ValueError(f"there is a backward policy named {given.name!r} already; choose another name")
        BACKWARD_POLICIES[given.name] = given
        return copy.deepcopy(given)
    if given not in BACKWARD_POLICIES and named.is_named(given):
        found = named.load_instance(given, BackwardPolicy, "backward")
        found.name = given  # type: ignore[misc]  # Saved runs name the module.
        BACKWARD_POLICIES[given] = found
    if given not in BACKWARD_POLICIES:
        allowed = " or ".join(map(repr, BACKWARD_POLICIES))
        raise ValueError(f"backward must be {allowed} or module:name, got {given!r}")
    return copy.deepcopy(BACKWARD_POLICIES[given])
