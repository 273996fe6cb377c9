"""Noise on the weights of P_F while it samples (Fortunato et al. 2018, Noisy networks for exploration)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from agents.config_checks import require
from agents.exploration.explorer import Behaviors, Explorer
from agents.policies.policy import Policy, frozen_copy


class Noisy(Explorer):
    """Each group of trajectories is sampled by P_F with Gaussian noise on its weights, redrawn for every batch.

    The noise of a layer is factorized, f(e_i) f(e_j) with f(e) = sign(e) sqrt(abs(e)), and has scale sigma / sqrt(p)
    (Fortunato et al. 2018, section 3).

    Departures: sigma is fixed instead of learned, because balance objectives are off-policy and would learn P_F without
    noise. p is the larger dimension of a weight. The objective and evaluations use P_F without noise.

    Args:
        scale: sigma >= 0; 0.5 in the paper.
        draws: number of groups per batch, each with its own noise, at least 1.
    """

    name = "noisy"

    def __init__(self, scale: float = 0.5, draws: int = 4):
        require(0 <= scale < math.inf, "scale must be finite and >= 0", scale)
        require(isinstance(draws, int) and draws >= 1, "draws must be an integer of at least 1", draws)
        self.scale, self.draws = float(scale), draws

    def behaviors(self, agent: Any, n: int) -> Behaviors:
        sizes = [n // self.draws + (i < n % self.draws) for i in range(self.draws)]
        return [(self.perturbed(agent).logits("forward"), size) for size in sizes if size]

    def perturbed(self, agent: Any) -> Policy:
        """A copy of the policy with noise on its weights and biases."""
        generator = torch.Generator().manual_seed(int(agent.rng.integers(2**63)))
        copy: Policy = frozen_copy(agent.policy, agent.dag)
        with torch.no_grad():
            for parameter in copy.parameters():
                if parameter.ndim in (1, 2):
                    parameter.add_(self.noise(parameter, generator))
        return copy

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Factorized noise in the shape of a weight or a bias."""
        factors = [torch.randn(size, generator=generator) for size in like.shape]
        product = torch.ones(())
        for factor in (f.sign() * f.abs().sqrt() for f in factors):
            product = product[..., None] * factor
        return (self.scale / math.sqrt(max(like.shape)) * product).to(like)
