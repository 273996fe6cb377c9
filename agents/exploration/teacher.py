"""Adaptive teacher (Kim et al. 2025, Adaptive teachers for amortized samplers; code: alstn12088/adaptive-teacher)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agents.config_checks import require
from agents.errors import UnsupportedError
from agents.exploration.explorer import Behaviors, Explorer
from agents.log_probs import log_probs
from agents.losses.segments import segment_sum
from agents.policies.build import make_policy
from agents.trajectories import Trajectories


def teacher_log_reward(delta: Tensor, log_reward: Tensor, weight: float, mixing: float) -> Tensor:
    """log of log(1 + 1e-3 + delta^2 (1 + C [delta > 0])) R^alpha, (n,), as in the authors' code.

    Args:
        delta: log R(x) + log P_B(tau|x) - log Z - log P_F(tau) of the student, > 0 where it samples too rarely (n,).
        log_reward: log R (n,).
        weight: C.
        mixing: alpha.
    """
    squares = delta.square() * (1 + weight * (delta > 0))
    return (1e-3 + squares).log1p().log() + mixing * log_reward


class Teacher(Explorer):
    """A second GFlowNet, the teacher, samples the objects on which the agent, the student, has a large loss.

    Batches of the student and of the teacher alternate. Both learn from all batches, replayed ones included.

    Departures: the teacher's log Z is its best value for each batch (VarGrad) instead of a parameter with its own
    learning rate. Student and teacher take one optimizer step together, so that max_grad_norm scales both. With other
    objectives than trajectory balance, log F(s0) stands for the student's log Z in delta. The paper replays with
    priorities by rank of the teacher's reward; ``replay="loss"`` ranks by the student's loss.

    Args:
        weight: C >= 0, the additional weight of objects that the student samples too rarely; 19 in the paper.
        mixing: alpha >= 0, exponent of R in the teacher's reward.
    """

    name = "teacher"

    def __init__(self, weight: float = 19.0, mixing: float = 0.0):
        require(0 <= weight < float("inf"), "weight must be finite and >= 0", weight)
        require(0 <= mixing < float("inf"), "mixing must be finite and >= 0", mixing)
        self.weight, self.mixing = float(weight), float(mixing)

    def modules(self, agent: Any) -> dict[str, nn.Module]:
        if agent.balance is None:
            raise UnsupportedError(f"explorer 'teacher' needs an agent with a balance objective, got {agent.name!r}")
        if agent.dag.conditions is not None:
            raise UnsupportedError(
                "explorer 'teacher' compares the trajectories of a batch, so it needs an environment without "
                f"conditions, got {agent.dag!r}"
            )
        require(agent.config.batch_size >= 2, "a teacher needs a batch_size of at least 2", agent.config.batch_size)
        return {"teacher": make_policy(agent.dag, agent.config, agent.backward.learned, False)}

    def behaviors(self, agent: Any, n: int) -> Behaviors:
        return [(agent.modules["teacher"].logits("forward") if agent.iteration % 2 else None, n)]

    def loss(self, agent: Any, batch: Trajectories) -> Tensor:
        offsets = torch.from_numpy(batch.edge_offsets).to(agent.device)
        own = log_probs(agent.dag, agent.modules["teacher"], batch, agent.backward)
        with torch.no_grad():
            student = agent.log_probs(batch)
            log_reward = torch.from_numpy(batch.log_reward).to(student.log_pf)
            delta = log_reward - agent.log_z - segment_sum(student.log_pf - student.log_pb, offsets)
            target = teacher_log_reward(delta, log_reward, self.weight, self.mixing)
        score = segment_sum(own.log_pf - own.log_pb, offsets) - target
        return (score - score.mean()).square().mean()
