"""log Z as a function of the condition."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from agents.policies.mlp import MLP
from gfn_envs.arrays import FloatArray
from gfn_envs.conditions.conditions import ConditionArray
from gfn_envs.conditions.features import Features

#: Widths of the hidden layers.
HIDDEN = (64, 64)


class LogZ(nn.Module):
    """What log Z(c) adds to the parameter log Z: a linear function of c, and a network; 0 at first.

    Args:
        features: inputs of the network.
        speed: learning rate of the slope, in units of that of the networks.
    """

    def __init__(self, features: Features, speed: float):
        super().__init__()
        self.features, self.speed = features, speed
        self.slope = nn.Parameter(torch.zeros(features.num_varying))
        self.network = MLP([features.num_features, *HIDDEN, 1])
        for parameter in self.network.layers[-1]:
            nn.init.zeros_(parameter)

    def forward(self, conditions: ConditionArray) -> Tensor:
        """Conditions (n, k) -> (n,)."""
        scaled, features = (
            torch.from_numpy(array).to(self.slope) for array in (self.scaled(conditions), self.features(conditions))
        )
        return self.speed * (scaled @ self.slope) + self.network(features).squeeze(1)

    def scaled(self, conditions: ConditionArray) -> FloatArray:
        """The numbers that vary, from -1 to 1, float64 (n, k')."""
        return 2 * self.features.scaled(conditions) - 1

    @torch.no_grad()
    def fit(self, conditions: ConditionArray, gaps: FloatArray) -> float:
        """Change the slope so that it and a constant fit ``gaps`` (n,) best. Returns the constant.

        The slope stays as it is unless the change explains three quarters of the variance of the gaps. The slope of a
        few noisy gaps would itself be noise, which the policy would then learn from.
        """
        scaled = self.scaled(conditions)
        (n, k), mean = scaled.shape, gaps.mean()
        design, deviations = scaled - scaled.mean(0), gaps - mean
        # A small ridge keeps numbers that barely vary in the batch from large slopes.
        found = np.linalg.solve(design.T @ design + 0.1 * np.eye(k), design.T @ deviations)
        left = np.square(deviations - design @ found).sum()
        if n <= k + 1 or left / (n - k - 1) > np.square(deviations).sum() / (n - 1) / 4:
            return float(mean)
        self.slope.add_(torch.from_numpy(found / self.speed).to(self.slope))
        return float(mean - scaled.mean(0) @ found)
