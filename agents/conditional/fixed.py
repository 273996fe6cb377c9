"""A policy at one condition."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from agents.policies.policy import Head, Heads, Policy
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions import Conditioned
from gfn_envs.conditions.conditions import ConditionArray


class FixedPolicy(Policy):
    """A policy on rows with conditions, as a policy on states: every row gets the same condition (1, k).

    ``shift`` is added to its log flows.
    """

    def __init__(self, policy: Policy, dag: Conditioned, condition: ConditionArray, shift: float | None = None):
        super().__init__()
        self.policy, self.shift = policy, shift
        self.learns_backward, self.learns_flow = policy.learns_backward, policy.learns_flow
        self.rows: Callable[[IntArray], IntArray] = lambda states: dag.join(states, condition)
        self.inputs = lambda states: policy.inputs(self.rows(states))

    def forward(self, states: IntArray) -> Heads:
        heads: Heads = self.policy(self.rows(states))
        if self.shift is None or heads.log_flow is None:
            return heads
        return heads._replace(log_flow=heads.log_flow + self.shift)

    def head(self, head: Head) -> Callable[[IntArray], Tensor]:
        run = self.policy.head(head)
        return lambda states: run(self.rows(states))

    def logits(self, head: Head) -> Callable[[IntArray], FloatArray]:
        run = self.policy.logits(head)
        return lambda states: run(self.rows(states))
