"""The engine for every agent, network and device: NumPy rollouts and torch gradients."""

from __future__ import annotations

import numpy as np
import torch

from agents import rollout
from agents.engines.adam import flushed_denormals, minimize
from agents.engines.engine import Engine
from agents.rollout import ON_POLICY, Exploration
from agents.threads import on_working_threads
from agents.trajectories import Trajectories
from gfn_envs.arrays import FloatArray


class TorchEngine(Engine):
    """NumPy rollouts, and gradient steps with torch on the learner's own loss."""

    name = "torch"

    @on_working_threads
    def sample(
        self, n: int, rng: np.random.Generator, exploration: Exploration = ON_POLICY, rewards: bool = True
    ) -> Trajectories:
        with torch.inference_mode(), flushed_denormals():
            logits = self.learner.forward_logits()
            return rollout.sample_forward(self.learner.dag, logits, n, rng, exploration, rewards)

    @on_working_threads
    def step(self, batch: Trajectories, sampled: Trajectories | None = None) -> float:
        learner = self.learner
        with flushed_denormals():
            loss = learner.loss(batch)
            fit = None if sampled is None else learner.backward.loss(learner.log_pb, sampled, learner.rng)
            for more in (fit, learner.auxiliary_loss(batch)):
                loss = loss if more is None else loss + more
            value = self.finite(loss.item())
            learner.set_learning_rates()
            combine = None if self.combine is None else self.combine.gradients
            minimize(loss, learner.optimizer, learner.config.max_grad_norm, combine)
        return value

    @on_working_threads
    def log_ratio(self, batch: Trajectories) -> FloatArray:
        with torch.inference_mode(), flushed_denormals():
            found = self.learner.log_probs(batch)
            ratio = (found.log_pf - found.log_pb).double().cpu().numpy()
        return np.add.reduceat(ratio, batch.edge_offsets[:-1])
