"""The backward policy of a trained network, frozen."""

from __future__ import annotations

from typing import Any

import torch

from agents.policies.backward import BackwardPolicy
from agents.policies.policy import Policy, frozen_copy
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag


class Frozen(BackwardPolicy):
    """P_B of a trained policy, frozen: ``make_agent("tb", dag, backward=Frozen(trained.policy, dag))``.

    With a fixed P_B, the optimum of every balance objective is unique. Fitting P_B first and then freezing it is the
    two-stage method of Shen et al. 2023 (section 6).

    Args:
        policy: a policy with a learned P_B. It is copied.
        dag: the environment of the policy.

    Raises:
        ValueError: the policy has no backward logits.
    """

    name = "frozen"

    def __init__(self, policy: Policy, dag: Dag):
        if not policy.learns_backward:
            raise ValueError("a frozen P_B needs a policy that learned one, got a policy without backward logits")
        self.policy: Policy = frozen_copy(policy, dag)

    def __deepcopy__(self, memo: dict[int, Any]) -> Frozen:
        return self  # P_B never changes, and a copy would duplicate the environment.

    @torch.inference_mode()
    def logits(self, dag: Dag, states: IntArray) -> FloatArray:
        return self.policy.logits("backward")(states)
